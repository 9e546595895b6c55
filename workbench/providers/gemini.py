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
    Queued,
    Running,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures, gemini_wire
from workbench.providers.asking import EVENTS, chunks_of, of_another_shape
from workbench.providers.failures import billed, unfound
from workbench.providers.gemini_tokens import TokenRates, Tokens
from workbench.providers.gemini_wire import Interaction, Reading
from workbench.providers.hosted import Hosted
from workbench.providers.inputs import inputs_of, read_input
from workbench.providers.pictures import Previews
from workbench.providers.redaction import Secret, plain

_REVISION = {"Api-Revision": "2026-05-20"}  # of interactions, as google-genai 3.4.0 sends it
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

    def _said_in(self, value: Any) -> failures.Said:
        return gemini_wire.error_in(value)

    def _error_of(self, value: Any, *, creates: bool) -> ProviderError:
        """Return the error for one that came inside of a success."""
        said = gemini_wire.error_in(value)
        inner = value.get("error") if isinstance(value, dict) else None
        code = inner.get("code") if isinstance(inner, dict) else None
        return failures.of_status(
            self.title,
            code if isinstance(code, int) and 400 <= code <= 599 else 500,
            replace(said, words=self._line.clean(said.words)),
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
                before, reading = reading, Reading()
                content = self._content(request, slot, send, body, reading)
                try:
                    async with aclosing(content):
                        async for event in content:
                            yield event
                except ProviderError as error:
                    if error.maybe_sent or not self._cost_of(request, spent):
                        raise
                    # Asked again, it was not answered: what was billed before would be forgotten.
                    raise self._without_picture(request, before, spent) from None
                usage |= reading.about
                spent += reading.tokens
                if reading.is_lost:
                    cost = self._cost_of(request, spent)
                    raise unfound(of_another_shape(self), self.title, cost)
                if reading.pictures or last or reading.reason not in gemini_wire.ASK_AGAIN:
                    break
                yield Log(f"{self.title} sent no picture ({plain(reading.reason)}); asked again.")
            if not reading.pictures:
                raise self._without_picture(request, reading, spent)
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
        previews = Previews(slot.index)
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
                        preview = await previews.event(draft)
                        if preview is not None:
                            yield preview
        except ProviderError:
            if not reading.pictures:
                raise
            # The picture is here; only what it cost did not come any more.
        finally:
            await answer.close()
        if not (reading.pictures or reading.reason or ended):
            raise answer.unreadable("an end before its picture")

    def _without_picture(
        self, request: JobRequest, reading: Reading, spent: Tokens
    ) -> ProviderError:
        """Return the error for an answer without a picture, with what its tokens cost."""
        kind = reading.kind()
        words = self._line.clean(reading.words)
        says = f" It says: {words}" if words else ""
        if kind is not None and kind is not ErrorKind.BAD_REQUEST:
            error = self._refused(reading.words or reading.reason, kind)
        else:
            why = plain(reading.reason, limit=40) or "no reason given"
            error = ProviderError(
                kind or ErrorKind.BLOCKED,
                f"{self.title} sent no picture ({why}). Change the prompt, then retry.{says}",
            )
        return self._with_cost(error, request, spent)

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
        if now.strange and now.status == "completed":
            lost = of_another_shape(self)
            lost.kind = ErrorKind.BAD_IMAGE  # asked again, it would say the same
            raise unfound(lost, self.title, self._cost_of(request, now.tokens))
        if not now.pictures:
            raise self._with_cost(self._ended(now), request, now.tokens)
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
        if told.value != {} and "predictions" not in told.object():
            raise of_another_shape(self)  # {} is how Google writes that there are none
        said = await _in_thread(gemini_wire.predictions_of, told.object())
        pictures = said.pictures
        if len(pictures) > len(slots):
            yield Log(f"{self.title} sent {len(pictures)} pictures instead of {len(slots)}.")
        for slot, data in zip(slots, pictures, strict=False):
            yield ImageReady(data, slot.index)
        if len(pictures) < len(slots) and said.lost:
            raise of_another_shape(self)
        if len(pictures) < len(slots):
            # Those that are missing were made, and then held back.
            raise self._refused(said.reasons, ErrorKind.BLOCKED)
        yield Done()

    # -- both -------------------------------------------------------------------------------------

    async def _images(self, request: JobRequest) -> list[gemini_wire.Given]:
        given = inputs_of(request, "source", "reference")
        return [(one.mime, await read_input(one)) for one in given]

    def _cost(self, request: JobRequest, tokens: Tokens) -> Decimal | None:
        """Return what a picture's tokens cost; None where none of them are said to be of one."""
        return self._cost_of(request, tokens) if tokens.image_out else None

    def _cost_of(self, request: JobRequest, tokens: Tokens) -> Decimal | None:
        entry = self._entries().get(request.model)
        rates = entry.send.get("usd_per_million_tokens") if entry is not None else None
        return TokenRates.of(rates).cost(tokens) if isinstance(rates, dict) else None

    def _with_cost(
        self, error: ProviderError, request: JobRequest, tokens: Tokens
    ) -> ProviderError:
        """Return the error, billed with what was counted: words and thoughts cost, too.

        Google bills by tokens, and not by pictures; answers that are no success are not. That
        a refused prompt is billed, too, where its answer counts tokens, is only believed.
        """
        cost = self._cost_of(request, tokens)
        return billed(error, cost) if cost else error


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


async def _in_thread(work: Callable[[dict[str, Any]], T], value: dict[str, Any]) -> T:
    """Decode in a thread: a picture in base64 would hold up the loop."""
    return await asyncio.to_thread(work, value)
