"""The one way in which providers speak HTTP.

Every request of every dialect goes through a `Line`: no redirects, nothing from the environment
(proxies, netrc), keys in headers only, a deadline over everything besides the limits of each phase,
bytes counted while they come, no compression (a few KB can hold gigabytes), and errors that are
typed sentences without keys or signed addresses. Circuit, retries and concurrency are the runner's.

`make_client` is the only place that knows how a client is made; httpx is imported there, in a
thread, since that and the certificates take longer than the loop may be held up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from workbench._version import __version__
from workbench.domain.border import awaited
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures
from workbench.providers.addresses import origin_of
from workbench.providers.redaction import Secret, Unframed, plain
from workbench.providers.sse import EventReader, EventTooLarge, ServerEvent

if TYPE_CHECKING:
    import httpx

MAX_ERROR_BYTES = 64_000
# Idle connections are closed early: many servers close theirs after 5 s, and a request that meets
# that moment is one whose outcome nobody knows.
_IDLE_S = 2.0
# The client looks at every idle connection whenever a request begins or ends: with 200 of them
# that was a third of the loop's time. So many jobs a runner has at once, if not told otherwise.
_MOST_IDLE = 32
_CLOSE_S = 2.0
_MOST_CAUSES = 8
_SENDING = "send_request_headers.started"

_log = logging.getLogger(__name__)

T = TypeVar("T")

File = tuple[str, bytes, str]  # name, content, MIME type
# With keys as secrets: they become text where the client takes them, in a frame that nobody sees.
Headers = Mapping[str, str | Secret]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds.

    Attributes
    ----------
    connect_s:
        for a connection, TLS included.
    send_s:
        for each piece that is sent.
    stall_s:
        between two pieces of an answer, and for its first one.
    total_s:
        for all of it, from the first byte sent to the last received.
    """

    connect_s: float = 10.0
    send_s: float = 60.0
    stall_s: float = 300.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: text fields, and files in their order."""

    fields: Mapping[str, str]
    files: Sequence[tuple[str, File]] = ()


USUAL_PATIENCE = Patience()


def make_client(patience: Patience) -> httpx.AsyncClient:
    """Make the client that every provider uses. It blocks: call it in a thread."""
    import httpx

    for name in ("httpx", "httpcore"):
        # At INFO they write each address, and an address may be signed.
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(
            connect=patience.connect_s,
            write=patience.send_s,
            read=patience.stall_s,
            pool=patience.connect_s,
        ),
        # How many run at once is the runner's business.
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_IDLE_S,
        ),
    )


class Line:
    """The connection of one provider to its servers. Lives on one event loop.

    Parameters
    ----------
    title:
        The provider's, for sentences.
    patience:
        Limits of time.
    secrets:
        Returns the keys that must not appear in any text.
    key_hint, address_hint:
        What a person would have to look at where the key or the address is wrong.
    client:
        Makes the client (in a thread).

    Attributes
    ----------
    answers:
        How many requests were answered, with whatever status.
    """

    def __init__(
        self,
        title: str,
        *,
        patience: Patience = USUAL_PATIENCE,
        secrets: Callable[[], Iterable[Secret]] = tuple,
        key_hint: Callable[[], str] = lambda: "the key",
        address_hint: str = "the network",
        client: Callable[[Patience], httpx.AsyncClient] = make_client,
    ) -> None:
        self.title = title
        self.patience = patience
        self._key_hint = key_hint
        self.address_hint = address_hint
        self.answers = 0
        self._secrets = secrets
        self._make = client
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    @property
    def key_hint(self) -> str:
        """What the key is called that a person would have to look at now."""
        return self._key_hint()

    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | None = None,
        json: JsonValue = None,
        form: Form | None = None,
        creates: bool = False,
    ) -> Answer:
        """Send a request and return its answer, whose body is still to be read (and closed).

        Parameters
        ----------
        method, url, headers, json, form:
            The request. Keys belong in `headers`, each as a `Secret`.
        creates:
            The request may cost money: failures after it was sent say that its outcome is open.

        Raises
        ------
        ProviderError
            There was no answer. Whatever status an answer has is not looked at here.
        """
        call = _Call(self, url, creates=creates)
        body: dict[str, Any] = {}
        if json is not None:
            body["json"] = json
        if form is not None:
            # Fields as parts: httpx would send a form without files urlencoded.
            body["files"] = [
                *((name, (None, value)) for name, value in form.fields.items()),
                *form.files,
            ]
        with Unframed(call.failed):
            async with asyncio.timeout_at(call.deadline):
                client = await self._ready()
                request = client.build_request(
                    method,
                    url,
                    headers={
                        "Accept-Encoding": "identity",
                        "User-Agent": f"image-workbench/{__version__}",
                        **revealed(headers or {}),
                    },
                    extensions={"trace": call.trace},
                    **body,
                )
                call.handed_over = True
                response = await client.send(request, stream=True)
                self.answers += 1
                return Answer(self, call, response)

    async def fetch(self, url: str, *, max_bytes: int, home: str) -> bytes:
        """Fetch a finished picture from where a provider put it. No key goes with it.

        Parameters
        ----------
        url:
            From the provider's answer: https, or on the very server of `home`.
        max_bytes:
            Cap of the body.
        home:
            The base address of the provider.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and origin_of(url) != origin_of(home):
            raise ProviderError(
                ErrorKind.BAD_IMAGE,
                f"{self.title} put the picture at an address that is not fetched from (no https).",
            )
        answer = await self.open("GET", url)
        try:
            if answer.status != 200:
                raise answer.error(failures.NOTHING_SAID)
            return await answer.body(max_bytes=max_bytes)
        finally:
            await answer.close()

    def clean(self, text: object) -> str:
        """Return what somebody else said, harmless and without keys."""
        return plain(text, self._secrets())

    async def close(self) -> None:
        """Close what is open; another request opens it again."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client.aclose, self.title)

    async def _ready(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make, self.patience)
            return self._client


class _Call:
    """What is known about one request: how far it got, and until when it may take."""

    def __init__(self, line: Line, url: str, *, creates: bool) -> None:
        self.line = line
        self.host = urlsplit(url).hostname or "?"
        self.creates = creates
        self.deadline = asyncio.get_running_loop().time() + line.patience.total_s
        self.handed_over = False  # to the client, whole
        self._traced = False
        self._sending = False

    async def trace(self, name: str, _info: Mapping[str, Any]) -> None:
        self._traced = True
        self._sending = self._sending or name.endswith(_SENDING)

    @property
    def maybe_sent(self) -> bool:
        """False only where it is known that nothing was sent."""
        return self.creates and self.handed_over and (self._sending or not self._traced)

    def failed(self, error: BaseException) -> BaseException:
        """Translate whatever the client raised: httpx, its transports, TLS, the system.

        Their texts may repeat headers, and so the key; their frames have them among their local
        variables, and so has what else comes through them (a cancel, an interrupt). What is not
        known is told by its class; no error is chained to ours, whose traceback goes into the log.
        """
        if isinstance(error, ProviderError) or not isinstance(error, Exception):
            return error  # without its frames: see `Unframed`
        if isinstance(error, EventTooLarge):
            return self.too_large()
        _log.debug("a request to %s failed: %s", self.line.title, _classes_of(error))
        import httpx

        line = self.line
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
            return ProviderError(
                ErrorKind.TRANSIENT,
                f"{line.title} cannot be reached at {self.host}. Check {line.address_hint}.",
            )
        if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
            # Such an error repeats the header that it does not like, and that may be the key.
            return ProviderError(
                ErrorKind.BAD_REQUEST,
                f"The request to {line.title} cannot be sent as it is. Check {line.key_hint} for "
                "characters that do not belong there.",
            )
        sent = self.maybe_sent
        if isinstance(error, TimeoutError) or (
            isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.PoolTimeout)
        ):
            what = f"{line.title} did not answer in time."
        elif isinstance(error, (httpx.HTTPError, httpx.StreamError, OSError)):
            what = f"The connection to {line.title} broke off."
        else:
            # The name of the class only: its text may hold anything.
            what = f"The request to {line.title} failed ({type(error).__name__})."
        return ProviderError(ErrorKind.TRANSIENT, what, maybe_sent=sent)

    def too_large(self) -> ProviderError:
        return self.unreadable("more bytes than are allowed")

    def unreadable(self, what: str) -> ProviderError:
        """The error for an answer that says success but cannot be used."""
        return ProviderError(
            ErrorKind.TRANSIENT if self.creates else ErrorKind.BAD_REQUEST,
            f"{self.line.title} answered with {what}. Check {self.line.address_hint}.",
            maybe_sent=self.creates,
        )


class Answer:
    """An answer whose headers are there. Whoever gets one closes it.

    Attributes
    ----------
    status:
        HTTP status.
    headers:
        With names in lower case.
    """

    def __init__(self, line: Line, call: _Call, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in response.headers.items()}
        self._line = line
        self._call = call
        self._response = response

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters ("" if there is none)."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def pieces(self, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        self._check_head(max_bytes)
        count = 0
        stream = self._response.aiter_raw()
        try:
            while True:
                # A generator must not hold a time limit while it is left: one for each piece.
                piece = await self._in_time(anext(stream, None))
                if piece is None:
                    return
                count += len(piece)
                if count > max_bytes:
                    raise self._call.too_large()
                yield piece
        finally:
            await stream.aclose()  # type: ignore[attr-defined] # an async generator

    async def body(self, *, max_bytes: int) -> bytes:
        """Return the whole body."""
        self._check_head(max_bytes)
        # A picture comes in dozens of pieces: with one limit for all of them they cost less.
        return await self._in_time(self._whole(max_bytes))

    async def _whole(self, max_bytes: int) -> bytes:
        # Not a list of pieces: a server may send two bytes at a time, and each would have a head.
        out = bytearray()
        stream = self._response.aiter_raw()
        try:
            async for piece in stream:
                out += piece
                if len(out) > max_bytes:
                    raise self._call.too_large()
        finally:
            await stream.aclose()  # type: ignore[attr-defined] # as in `pieces`
        return bytes(out)

    async def _in_time(self, work: Awaitable[T]) -> T:
        """Await something of the client's, until the call's deadline."""
        with Unframed(self._call.failed):
            async with asyncio.timeout_at(self._call.deadline):
                return await work

    def _check_head(self, max_bytes: int) -> None:
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise self._call.unreadable(f"a compressed body ({self._line.clean(coding)})")
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > max_bytes:
            raise self._call.too_large()

    async def events(self, *, max_bytes: int, max_event_bytes: int) -> AsyncIterator[ServerEvent]:
        """Yield the server-sent events of the body."""
        reader = EventReader(max_bytes=max_event_bytes)
        try:
            async for piece in self.pieces(max_bytes=max_bytes):
                for event in reader.feed(piece):
                    yield event
            for event in reader.close():
                yield event
        except EventTooLarge:
            raise self._call.too_large() from None

    async def error_body(self) -> bytes:
        """Return what an answer without success says; b"" where that cannot be read."""
        try:
            return await self.body(max_bytes=MAX_ERROR_BYTES)
        except ProviderError:
            return b""  # the status says enough

    def error(self, said: failures.Said) -> ProviderError:
        """Return the error that this answer stands for."""
        return failures.of_status(
            self._line.title,
            self.status,
            said,
            retry_after_s=failures.retry_after_s(self.headers, now=time.time()),
            creates=self._call.creates,
            key_hint=self._line.key_hint,
        )

    def unreadable(self, what: str) -> ProviderError:
        """Return the error for a success whose body is not what was asked for."""
        return self._call.unreadable(what)

    async def close(self) -> None:
        """Give the connection back, or cut it where the body was not read."""
        await _closed(self._response.aclose, self._line.title)


def revealed(headers: Headers) -> dict[str, str]:
    """Return headers as text, for a client of HTTP: in its call, and in no local variable.

    >>> revealed({"Accept": "image/*", "x-key": Secret("0123")})
    {'Accept': 'image/*', 'x-key': '0123'}
    """
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in headers.items()
    }


def _classes_of(error: BaseException) -> str:
    """Return what was raised, and why, without a word of it: "ConnectError, OSError 111"."""
    names: list[str] = []
    one: BaseException | None = error
    while one is not None and len(names) < _MOST_CAUSES:
        number = one.errno if isinstance(one, OSError) and one.errno is not None else None
        names.append(type(one).__name__ if number is None else f"{type(one).__name__} {number}")
        one = one.__cause__ or one.__context__
    return ", ".join(names)


async def _closed(closing: Callable[[], Awaitable[None]], title: str) -> None:
    """Close something of the client's, for two seconds at most.

    What its libraries raise for a connection that is gone (on another loop, within TLS) has no
    common class, and nothing is lost with it: a picture that came must not be lost for it. Only
    the class is told, since texts may repeat headers.
    """

    def failed(error: Exception) -> None:
        _log.debug("a connection to %s was not closed well: %s", title, type(error).__name__)

    await awaited(closing, failed, within_s=_CLOSE_S)
