"""Keys that cannot be shown, and texts of others that can: nothing secret, nothing that acts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

E = TypeVar("E", bound=BaseException)
LONGEST_TEXT = 300
_HIDDEN = "…"

# What looks like a credential whoever it belongs to. Providers repeat parts of a key in errors.
_CREDENTIALS = re.compile(
    r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{12,}"
    r"|\b(?:key|token)[\s:=]+(?=\S*\d)[\w.~+/=-]{12,}"
    r"|\b(?:sk|pk|rk|hf|r8|gsk)[-_][\w*.-]{6,}"
    r"|\bAIza[\w-]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"
)
# The query of an address may be its signature, and its user part is a password.
_ADDRESS = re.compile(r"(?i)\b(https?://)(?:[^\s/?#@]*@)?([^\s?#\"'<>]*)(?:[?#][^\s\"'<>]*)?")


class Secret:
    """A key. It shows itself to nobody but `reveal`, and cannot be copied into a file.

    Parameters
    ----------
    value:
        The key itself.

    Examples
    --------
    >>> key = Secret("sk-12345678")
    >>> key, str(key), f"{key:>4}", key.reveal()[:3]
    (Secret(…), 'Secret(…)', 'Secret(…)', 'sk-')
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the key, to be put into one header and nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.__value == other.reveal()

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not copied or pickled; read it anew where it is needed.")


def bare(error: E) -> E:
    """Return an error without the frames that it came through, and without errors before it.

    Frames keep their local variables, which verbose tracebacks print: of a library that sends a
    request, they are its headers. Raise it outside of the ``except`` that caught it, or Python
    chains it again.

    Parameters
    ----------
    error:
        Any, also a cancel.

    Examples
    --------
    >>> try:
    ...     "no number" + 1
    ... except TypeError as error:
    ...     caught = bare(error)
    >>> caught.__traceback__, caught.__context__
    (None, None)
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


class Unframed:
    """A block whose errors leave it as `bare` returns them: cancels and interrupts, too.

    Parameters
    ----------
    translate:
        Returns what is raised for an error of the block; by default the error itself.

    Examples
    --------
    >>> try:
    ...     with Unframed(lambda error: ValueError(type(error).__name__)):
    ...         "a key" + 1
    ... except ValueError as error:
    ...     print(error, error.__context__)
    TypeError None
    """

    def __init__(
        self, translate: Callable[[BaseException], BaseException] = lambda error: error
    ) -> None:
        self._translate = translate

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, frames: object
    ) -> None:
        """Raise what stands for the error, if there is one, from here."""
        if error is None:
            return
        failed = bare(self._translate(error))
        del error, frames
        try:
            raise failed
        finally:
            failed.__context__ = None  # Python has chained the error that it stands for
            del failed  # or the error and this frame would keep one another


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return `text` without keys, passwords and the queries of addresses.

    Parameters
    ----------
    text:
        Anything that might be shown, stored or logged.
    secrets:
        Keys that are known; others are found by their looks.

    >>> redact("see https://ann:pw@cdn.example/a.png?sig=1#x", [])
    'see https://cdn.example/a.png?…'
    >>> redact("wrong key: 0123abcd", [Secret("0123abcd")])
    'wrong key: …'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), _HIDDEN)
    text = _ADDRESS.sub(_without_query, text)
    return _CREDENTIALS.sub(_HIDDEN, text)


def _without_query(found: re.Match[str]) -> str:
    whole = found[0]
    query = f"?{_HIDDEN}" if "?" in whole or "#" in whole else ""
    return f"{found[1]}{found[2]}{query}"


def plain(text: object, secrets: Iterable[Secret] = (), *, limit: int = LONGEST_TEXT) -> str:
    r"""Return what a provider said as one short line without secrets and control characters.

    Characters that turn the direction of text, escape sequences and line breaks are somebody
    else's, and end up in logs and pages: they become spaces.

    >>> plain("a\x1b[31m red\n fox\u202e")
    'a [31m red fox'
    """
    if not isinstance(text, str):
        return ""
    # Before it is cut, or the first half of a key would stay.
    text = redact(text[: 20 * limit], secrets)
    shown = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character
        for character in text
    )
    line = " ".join(shown.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"
