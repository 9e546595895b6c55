"""From what a provider answered to a typed error with a sentence that a person can act on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime

from workbench.domain.money import USD
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError

# An answer of a machine in between: what stands behind it may go on and charge.
_OF_A_GATEWAY = frozenset({408, 502, 504, 520, 522, 524})
# Busy, locked, too early, at capacity: said before any work is done.
_BUSY = frozenset({409, 423, 425, 503, 529})
_LONGEST_PAUSE_S = 600.0  # that a body may ask for
_NOT_LIKED = "does not accept this request"


@dataclass(frozen=True, slots=True)
class Said:
    """The error in an answer's body, as far as it could be read.

    `words` are the provider's, made harmless; `kind` is set where a code in the body says more
    than the status does, `retry_after_s` where the body asks to wait.
    """

    words: str = ""
    kind: ErrorKind | None = None
    retry_after_s: float | None = None


NOTHING_SAID = Said()


def of_status(
    title: str,
    status: int,
    said: Said = NOTHING_SAID,
    *,
    retry_after_s: float | None = None,
    creates: bool = False,
    key_hint: str = "the key",
) -> ProviderError:
    """Return the error for an answer that is no success.

    Parameters
    ----------
    title:
        The provider's, as people read it.
    status:
        HTTP status.
    said:
        What the body says.
    retry_after_s:
        What the answer's headers ask to wait; None: what its body does.
    creates:
        The request would have cost something: an answer that leaves its end open says so.
    key_hint:
        What the key is called ("OPENAI_API_KEY").
    """
    kind = said.kind or _kind_of(status)
    words = f" It says: {sentence_of(said.words)}" if said.words else ""
    if retry_after_s is None and said.retry_after_s is not None:
        retry_after_s = min(said.retry_after_s, _LONGEST_PAUSE_S)
    if kind is ErrorKind.AUTH:
        sentence = (
            f"{title} did not accept {key_hint}. Check it, and that it may make images."
            if status == 401
            else f"{title} does not allow this with {key_hint}.{words}"
        )
    elif kind is ErrorKind.QUOTA:
        sentence = f"Your account at {title} has no credit left. Add some there, then retry.{words}"
    elif kind is ErrorKind.RATE_LIMIT:
        sentence = f"{title} asks for a pause: too many requests.{words}"
    elif kind is ErrorKind.BLOCKED:
        sentence = (
            f"{title} refused this under its content policy. Change the prompt or the "
            "reference images."
        )
    elif kind is ErrorKind.BAD_REQUEST:
        sentence = _bad_request(title, status, words)
    else:
        sentence = f"{title} has a problem of its own (status {status}).{words}"
    lost = creates and said.kind in (None, ErrorKind.TRANSIENT) and status in _OF_A_GATEWAY
    if lost:
        sentence = f"{title} gave up with status {status} after the request was sent."
    return ProviderError(kind, sentence, retry_after_s=retry_after_s, maybe_sent=lost)


def billed(error: ProviderError, cost: Decimal | None = None) -> ProviderError:
    """Return an error whose job the provider bills although there is no picture.

    Parameters
    ----------
    error:
        Why there is none.
    cost:
        What it is billed, in US dollars; None: that is not told, and what was reserved counts.

    Examples
    --------
    >>> error = billed(ProviderError(ErrorKind.BLOCKED, "It was held back."), Decimal("0.04"))
    >>> error.charged, error.ended, error.cost, error.unit
    (True, True, Decimal('0.04'), 'USD')
    """
    error.charged = error.ended = True
    error.maybe_sent = False
    if cost is not None:
        error.cost, error.unit = cost, USD
    return error


def unfound(error: ProviderError, title: str, cost: Decimal | None) -> ProviderError:
    """Return the error for an answer with a picture that cannot be found in it.

    Nobody has refused anything, and nobody has said that nothing was made: fields may have new
    names.

    Parameters
    ----------
    error:
        For an answer that cannot be read.
    title:
        The provider's, as people read it.
    cost:
        What the answer says that it is billed, in US dollars; None: it does not say.

    Examples
    --------
    >>> error = ProviderError(ErrorKind.TRANSIENT, "It cannot be read.", maybe_sent=True)
    >>> unfound(error, "Acme", None) is error, unfound(error, "Acme", Decimal("0.04")).charged
    (True, True)
    """
    if not cost:
        return error
    words = f"{title} billed a picture that cannot be found in its answer. Look into your account."
    return billed(ProviderError(ErrorKind.BAD_IMAGE, words), cost)


def lost_in_answer(title: str, *, charged: bool = True) -> ProviderError:
    """Return the error for a job that is done, with a result in which no picture can be found.

    Examples
    --------
    >>> lost_in_answer("Acme").kind
    <ErrorKind.BAD_IMAGE: 'bad_image'>
    """
    return ProviderError(
        ErrorKind.BAD_IMAGE,
        f"{title} made something, but no picture can be found in it. Choose another model, or look "
        "into your account there.",
        charged=charged,
        ended=True,
    )


def sentence_of(words: str) -> str:
    """Return what somebody said with a mark at its end, as sentences have one.

    >>> sentence_of("Insufficient credits"), sentence_of("No!"), sentence_of("")
    ('Insufficient credits.', 'No!', '')
    """
    return words if not words or words.endswith((".", "!", "?", "…")) else f"{words}."


def _kind_of(status: int) -> ErrorKind:
    if status in (401, 403, 407):
        return ErrorKind.AUTH
    if status == 402:
        return ErrorKind.QUOTA
    if status == 429:
        return ErrorKind.RATE_LIMIT
    if status >= 500 or status in _BUSY or status in _OF_A_GATEWAY:
        return ErrorKind.TRANSIENT
    return ErrorKind.BAD_REQUEST


def _bad_request(title: str, status: int, words: str) -> str:
    if 300 <= status < 400:
        return f"{title} redirects to another address, which is not followed. Check its URL."
    if status == 404:
        return f"{title} does not know this model or address. Choose another model.{words}"
    if status == 413:
        return f"The request is too large for {title}. Use fewer or smaller references.{words}"
    return f"{title} {_NOT_LIKED}.{words}" if words else f"{title} {_NOT_LIKED} (status {status})."


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that an answer asks to wait, or None if it says nothing that one can use.

    Parameters
    ----------
    headers:
        With names in lower case. ``retry-after-ms``, then ``retry-after`` in seconds or as a date.
    now:
        Unix time in seconds, for dates. Where the answer has its own ``date``, that one counts:
        the clocks of two machines differ.

    >>> retry_after_s({"retry-after": "7"}, now=0)
    7.0
    >>> retry_after_s({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=20)
    40.0
    >>> retry_after_s({"retry-after": "soon"}, now=0)
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    at = _unix_time(text)
    if at is None:
        return None
    here = _unix_time(headers.get("date"))
    return max(0.0, at - (now if here is None else here))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _unix_time(text: str | None) -> float | None:
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    try:
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
