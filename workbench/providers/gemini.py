"""Pictures by Google's Gemini models, and by servers that still speak Imagen.

A call of ``generateContent`` makes one picture and cannot be asked for later. With the parameter
``resumable`` the same model runs as an interaction in the background: it has an id, so that it
goes on when this process ends.

::

    ws.generate("a red fox", model="gemini:gemini-3.1-flash-image", aspect_ratio="16:9")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Partial,
    Queued,
    Running,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures, gemini_wire
from workbench.providers.gemini_wire import Interaction, Reading, TokenRates, Tokens
from workbench.providers.hosted import (
    MAX_IMAGE_BYTES,
    MAX_JSON_BYTES,
    Hosted,
    Told,
    inputs_of,
    read_input,
    read_json,
)
from workbench.providers.http import Answer, Form
from workbench.providers.redaction import Secret, plain

_MAX_EVENT_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 100_000
_MAX_PREVIEW_BYTES = 256_000
_REVISION = {"Api-Revision": "2026-05-20"}  # of interactions, as google-genai 3.4.0 sends it
EVENTS = "text/event-stream"
_WAITS = frozenset({"queued"})
_ENDS = frozenset(
    {"completed", "failed", "cancelled", "incomplete", "budget_exceeded", "requires_action"}
    | {"requires_continuation"}
)

T = TypeVar("T")


class GoogleHosted(Hosted):
    """What all of Google's Gemini API has in common: its key, its address, its errors."""

    home: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    key_variables: ClassVar[tuple[str, ...]] = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    address_variable: ClassVar[str] = "GEMINI_BASE_URL"

    async def test(self) -> str:
        """Ask for the list of models, which costs nothing."""
        told = await self._ask("GET", self._address("/models?pageSize=1000"))
        models = told.object().get("models")
        count = len(models) if isinstance(models, list) else 0
        return f"{self.title} answered; {count} models."

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"x-goog-api-key": key.reveal()}

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        json: JsonValue = None,
        form: Form | None = None,
        headers: Mapping[str, str] | None = None,
        creates: bool = False,
        max_bytes: int = MAX_JSON_BYTES,
    ) -> Told:
        """Ask as every provider does; the wait that an error asks for is in its body here."""
        accept = {"Accept": "application/json", **(headers or {})}
        answer = await self._opened(
            method, url, json=json, form=form, headers=accept, creates=creates
        )
        try:
            return Told(
                answer.status, answer.headers, await _json_of(answer, self._line.clean, max_bytes)
            )
        finally:
            await answer.close()

    async def _opened(
        self,
        method: str,
        url: str,
        *,
        json: JsonValue = None,
        form: Form | None = None,
        headers: Mapping[str, str],
        creates: bool,
    ) -> Answer:
        """Return an answer that says success; whoever gets it closes it."""
        answer = await self._line.open(
            method,
            url,
            headers={**self._headers(url), **headers},
            json=json,
            form=form,
            creates=creates,
        )
        if answer.ok:
            return answer
        try:
            body = await answer.error_body()
        finally:
            await answer.close()
        try:
            said, wait_s = gemini_wire.error_in(await read_json(body))
        except ValueError:
            said, wait_s = failures.NOTHING_SAID, None
        error = answer.error(replace(said, words=self._line.clean(said.words)))
        if error.retry_after_s is None:
            error.retry_after_s = wait_s
        raise error

    def _error_of(self, value: Any, *, creates: bool) -> ProviderError:
        """Return the error for one that came inside of a success."""
        said, wait_s = gemini_wire.error_in(value)
        inner = value.get("error") if isinstance(value, dict) else None
        code = inner.get("code") if isinstance(inner, dict) else None
        return failures.of_status(
            self.title,
            code if isinstance(code, int) and 400 <= code <= 599 else 500,
            replace(said, words=self._line.clean(said.words)),
            retry_after_s=wait_s,
            creates=creates,
            key_hint=self._line.key_hint,
        )


class Gemini(GoogleHosted):
    """Google's models that make pictures.

    Parameters
    ----------
    name, base_url, key, concurrency, patience, pace:
        As for every hosted provider.

    Examples
    --------
    >>> Gemini().models()[0].id.partition(":")[0]
    'gemini'
    """

    usual_name = "gemini"
    title = "Google Gemini"
    help = "Pictures by Google's Gemini models. It needs a key and costs money for each picture."
    data = "gemini"

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin an interaction where that is wanted; else only check: the call is in `events`."""
        entry = self._entry(request)
        if not _in_background(request, entry.send):
            self._headers(self._address())
            return JobRef()
        (slot,) = request.slots
        images = await self._images(request)
        body = await asyncio.to_thread(gemini_wire.interaction_body, request, slot, images)
        url = self._address("/interactions")
        told = await self._ask("POST", url, json=body, headers=_REVISION, creates=True)
        made = gemini_wire.interaction_of(told.object())
        if not made.id:
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} accepted the job without saying which it is.",
                maybe_sent=True,
            )
        poll = f"{url}/{quote(made.id, safe='')}"
        return JobRef(made.id, resumable=True, data={"poll": poll, "cancel": f"{poll}/cancel"})

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the pictures of a request, or follow the interaction that does."""
        send = self._entry(request).send if ref.remote_id is None else {}
        if ref.remote_id is not None:
            stream = self._follow(request, ref)
        elif send.get("api") == "predict":
            stream = self._predict(request)
        else:
            stream = self._contents(request, send)
        async with aclosing(stream):
            async for event in stream:
                yield event

    async def cancel(self, ref: JobRef) -> None:
        """Cancel an interaction; a plain call cannot be cancelled and is paid for."""
        if ref.remote_id is not None:
            await self._ask("POST", self._own(ref.data.get("cancel")), headers=_REVISION)

    # -- generateContent --------------------------------------------------------------------------

    async def _contents(
        self, request: JobRequest, send: Mapping[str, Any]
    ) -> AsyncGenerator[JobEvent]:
        images = await self._images(request)
        total: Decimal | None = None
        usage: dict[str, JsonValue] = {}
        for slot in request.slots:
            body = await asyncio.to_thread(gemini_wire.content_body, request, slot, send, images)
            spent, reading = Tokens(), Reading()
            for last in (False, True):
                reading = Reading()
                content = self._content(request, slot, send, body, reading)
                async with aclosing(content):
                    async for event in content:
                        yield event
                usage |= reading.about
                spent += reading.tokens
                if reading.pictures or last or reading.reason not in gemini_wire.ASK_AGAIN:
                    break
                yield Log(f"{self.title} sent no picture ({plain(reading.reason)}); asked again.")
            if not reading.pictures:
                raise self._without_picture(reading)
            if len(reading.pictures) > 1:
                yield Log(f"{self.title} sent {len(reading.pictures)} pictures instead of one.")
            cost = self._cost(request, spent)
            if cost is not None:
                total = cost if total is None else total + cost
            # Of several the last: what comes before it are steps on the way.
            yield _ready(reading.pictures[-1], slot, cost)
        yield Done(cost=total, unit=None if total is None else USD, usage=usage)

    async def _content(
        self,
        request: JobRequest,
        slot: Slot,
        send: Mapping[str, Any],
        body: dict[str, JsonValue],
        reading: Reading,
    ) -> AsyncGenerator[JobEvent]:
        """Ask once, and put what came into `reading`."""
        yield Running(0, None, slot.index)
        drafts = gemini_wire.wants_drafts(request.params, send)
        way = "streamGenerateContent?alt=sse" if drafts else "generateContent"
        answer = await self._opened(
            "POST",
            self._address(f"/models/{quote(request.model)}:{way}"),
            json=body,
            headers={"Accept": EVENTS if drafts else "application/json"},
            creates=True,
        )
        step = 0
        ended = False
        try:
            async with aclosing(chunks_of(answer, self._line.clean)) as chunks:
                async for chunk in chunks:
                    if "error" in chunk:
                        raise self._error_of(chunk, creates=True)
                    # An answer at once is whole; a stream is only where it says why it ended.
                    ended = "candidates" in chunk and answer.content_type != EVENTS
                    for draft in await _in_thread(reading.take, chunk):
                        step += 1
                        yield Running(step, None, slot.index)
                        if len(draft) <= _MAX_PREVIEW_BYTES:
                            yield Partial(draft, slot.index)
        except ProviderError:
            if not reading.pictures:
                raise
            # The picture is here; only what it cost did not come any more.
        finally:
            await answer.close()
        if not (reading.pictures or reading.reason or ended):
            raise answer.unreadable("an end before its picture")

    def _without_picture(self, reading: Reading) -> ProviderError:
        kind = reading.kind()
        words = self._line.clean(reading.words)
        says = f" It says: {words}" if words else ""
        if kind is not None and kind is not ErrorKind.BAD_REQUEST:
            return self._refused(reading.words or reading.reason, kind)
        why = plain(reading.reason, limit=40) or "no reason given"
        return ProviderError(
            kind or ErrorKind.BLOCKED,
            f"{self.title} sent no picture ({why}). Change the prompt, then retry.{says}",
        )

    # -- interactions -----------------------------------------------------------------------------

    async def _follow(self, request: JobRequest, ref: JobRef) -> AsyncGenerator[JobEvent]:
        slot = request.slots[0]
        url = self._own(ref.data.get("poll"))
        pace = self._pace()
        before = ""
        while True:
            try:
                told = await self._ask("GET", url, headers=_REVISION)
            except ProviderError as error:
                error.maybe_sent = True  # the job goes on without us, and is paid for
                await pace.stumbled(error)
                continue
            pace.answered()
            now = await _in_thread(gemini_wire.interaction_of, told.object())
            if now.status in _ENDS:
                break
            yield Queued() if now.status in _WAITS else Running(0, None, slot.index)
            if now.status != before:
                pace.moved()
                before = now.status
            await pace.wait()
        if not now.pictures:
            raise self._ended(now)
        if len(now.pictures) > 1:
            yield Log(f"{self.title} sent {len(now.pictures)} pictures instead of one.")
        picture = now.pictures[-1]
        data = picture if isinstance(picture, bytes) else await self._fetch(picture)
        cost = self._cost(request, now.tokens)
        yield _ready(data, slot, cost)
        yield Done(cost=cost, unit=None if cost is None else USD, usage={"interaction": now.id})

    def _ended(self, now: Interaction) -> ProviderError:
        """Return the error for an interaction that is over: asking for it again changes nothing."""
        if now.kind is ErrorKind.BLOCKED:
            return self._refused(now.words, ErrorKind.BLOCKED)
        if now.status == "budget_exceeded":
            return self._refused(now.words, ErrorKind.QUOTA)
        words = self._line.clean(now.words)
        says = f" It says: {words}" if words else ""
        if now.status == "completed":
            kind, text = ErrorKind.BLOCKED, "sent no picture. Change the prompt, then retry."
        elif now.status == "cancelled":
            kind, text = ErrorKind.TRANSIENT, "cancelled this job. Retry it."
        else:
            kind, text = ErrorKind.TRANSIENT, f"gave this picture up ({now.status}). Retry it."
        return ProviderError(kind, f"{self.title} {text}{says}", ended=True)

    # -- Imagen -----------------------------------------------------------------------------------

    async def _predict(self, request: JobRequest) -> AsyncGenerator[JobEvent]:
        slots = request.slots
        yield Running()
        url = self._address(f"/models/{quote(request.model)}:predict")
        body = gemini_wire.predict_body(request, len(slots))
        told = await self._ask("POST", url, json=body, creates=True)
        pictures, reasons = await _in_thread(gemini_wire.predictions_of, told.object())
        if len(pictures) > len(slots):
            yield Log(f"{self.title} sent {len(pictures)} pictures instead of {len(slots)}.")
        for slot, data in zip(slots, pictures, strict=False):
            yield ImageReady(data, slot.index)
        if len(pictures) < len(slots):
            # Those that are missing were made, and then held back.
            raise self._refused(reasons, ErrorKind.BLOCKED)
        yield Done()

    # -- both -------------------------------------------------------------------------------------

    async def _images(self, request: JobRequest) -> list[gemini_wire.Given]:
        given = inputs_of(request, "source") + inputs_of(request, "reference")
        return [(one.mime, await read_input(one)) for one in given]

    def _cost(self, request: JobRequest, tokens: Tokens) -> Decimal | None:
        """Return what these tokens cost; None where none of them are said to be a picture's."""
        entry = self._entries().get(request.model)
        rates = entry.send.get("usd_per_million_tokens") if entry is not None else None
        if not isinstance(rates, dict) or not tokens.image_out:
            return None
        return TokenRates.of(rates).cost(tokens)


def _in_background(request: JobRequest, send: Mapping[str, Any]) -> bool:
    return bool(send.get("background")) and request.params.get("resumable") is True


def _ready(data: bytes, slot: Slot, cost: Decimal | None) -> ImageReady:
    return ImageReady(
        data,
        slot.index,
        seed=gemini_wire.seed_sent(slot.seed),
        cost=cost,
        unit=None if cost is None else USD,
    )


async def chunks_of(
    answer: Answer, clean: Callable[[object], str], *, max_bytes: int = MAX_JSON_BYTES
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the JSON objects of an answer, whether it is a stream of events or came at once.

    What it is decides, not what was asked for: gateways that cannot stream send it at once.
    `clean` makes harmless what is said about an answer that is neither.
    """
    if answer.content_type == EVENTS:
        most = min(max_bytes, _MAX_EVENT_BYTES)
        async for event in answer.events(max_bytes=max_bytes, max_event_bytes=most):
            if event.data.strip() == b"[DONE]":
                continue
            try:
                chunk = await read_json(event.data)
            except ValueError:
                raise answer.unreadable("something that is not whole JSON in an event") from None
            if isinstance(chunk, dict):
                yield chunk
        return
    value = await _json_of(answer, clean, max_bytes)
    for chunk in value if isinstance(value, list) else [value]:
        if not isinstance(chunk, dict):
            raise answer.unreadable("JSON of another shape")
        yield chunk


async def _json_of(answer: Answer, clean: Callable[[object], str], max_bytes: int) -> Any:
    body = await answer.body(max_bytes=max_bytes)
    try:
        return await read_json(body)
    except ValueError:
        kind = clean(answer.headers.get("content-type")) or "nothing that has a type"
        raise answer.unreadable(f"something that is not whole JSON ({kind})") from None


async def _in_thread(work: Callable[[dict[str, Any]], T], value: dict[str, Any]) -> T:
    """Decode in a thread: a picture in base64 would hold up the loop."""
    return await asyncio.to_thread(work, value)
