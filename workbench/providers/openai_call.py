"""One call of OpenAI's dialect: sent, followed to its picture, booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import (
    ImageReady,
    JobEvent,
    JobRequest,
    Log,
    Running,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError, WorkbenchError
from workbench.providers import openai_wire
from workbench.providers.asking import begins_as_text, in_thread
from workbench.providers.catalogue import Entry
from workbench.providers.failures import billed, unfound
from workbench.providers.hosted import MAX_IMAGE_BYTES
from workbench.providers.http import Answer
from workbench.providers.openai_models import seed_sent, token_rates
from workbench.providers.pictures import Previews, Unreadable, painted
from workbench.providers.redaction import plain

if TYPE_CHECKING:
    from workbench.providers.openai_images import OpenAIImages

_MAX_EVENT_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 100_000
_MAX_STREAM_BYTES = 5 * _MAX_EVENT_BYTES  # three partial images and the picture
_LONGEST_PROMPT = 10_000
_MOST_TOKENS = 10**12
_NO_PICTURE = "no picture where one should be"
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")


class Call:
    """One call for one picture.

    Attributes
    ----------
    cost:
        What it was charged in USD, as far as its usage says.
    usage:
        What of its usage is worth keeping.
    """

    def __init__(
        self, provider: OpenAIImages, request: JobRequest, slot: Slot, entry: Entry
    ) -> None:
        self.cost: Decimal | None = None
        self.usage: dict[str, JsonValue] = {}
        self._provider = provider
        self._line = provider._line  # noqa: SLF001 - one class in two parts
        self._has = provider._has  # noqa: SLF001 - as above
        self._request = request
        self._slot = slot
        self._entry = entry
        self._fields = openai_wire.fields_of(request, slot, entry, self._has)
        partial = self._fields.get("partial_images")
        self._total = partial + 1 if isinstance(partial, int) else None
        self._at_edits = bool(request.inputs) and self._has.edits
        self._answer: Answer | None = None

    async def events(self) -> AsyncIterator[JobEvent]:
        """Send it and follow its answer."""
        index = self._slot.index
        yield Running(0, self._total, index)
        if self._at_edits:
            for name in sorted(openai_wire.NOT_IN_FORMS & self._fields.keys()):
                yield Log(f"{self._line.title} takes no {name} with images: it was left out.")
        answer = self._answer = await self._send()
        if not answer.ok:
            raise answer.error(self._provider._cleaned(await answer.error_body()))  # noqa: SLF001 - one class in two parts
        id = answer.headers.get("x-request-id")
        if id:
            self.usage["request_id"] = plain(id, limit=100)
        # What it is decides, not what was asked for: servers that cannot stream send it at once.
        if answer.content_type == "text/event-stream":
            async for event in self._stream(answer):
                yield event
            return
        body = await answer.body(max_bytes=_MAX_EVENT_BYTES)
        if answer.content_type.startswith("image/") and not begins_as_text(body):
            yield self._ready(openai_wire.Picture(body), {})
            return
        try:
            result = await in_thread(openai_wire.result_of, body)
        except openai_wire.NotReadable as error:
            kind = plain(answer.content_type) or "nothing that has a type"
            raise answer.unreadable(f"{error} ({kind})") from None
        if result.lost:
            raise self._unfound(answer, result.usage)
        async for event in self._take(result):
            yield event

    async def close(self) -> None:
        """Give the connection back."""
        if self._answer is not None:
            await self._answer.close()

    async def _send(self) -> Answer:
        provider, request = self._provider, self._request
        creates = not self._has.free
        references, mask = await self._inputs()
        url = provider._url(  # noqa: SLF001 - one class in two parts
            "/images/edits" if self._at_edits else "/images/generations", request.model
        )
        headers = {
            **provider._headers(url),  # noqa: SLF001 - as above
            "Accept": "application/json, text/event-stream",
        }
        if self._at_edits:
            form = openai_wire.form_of(self._fields, references, mask, self._has)
            return await self._line.open("POST", url, headers=headers, form=form, creates=creates)
        fields = self._fields
        name = provider._reference_field(self._entry)  # noqa: SLF001 - as above
        if references and name is not None:
            more = await asyncio.to_thread(openai_wire.references_of, references, name, self._has)
            fields = {**fields, **more}
        return await self._line.open("POST", url, headers=headers, json=fields, creates=creates)

    async def _inputs(self) -> tuple[list[tuple[str, bytes]], bytes | None]:
        if not self._request.inputs:
            return [], None
        try:
            references, mask = await asyncio.to_thread(
                openai_wire.read_inputs, self._request, self._has
            )
        except (WorkbenchError, OSError, ValueError, Unreadable) as error:
            raise ProviderError(
                ErrorKind.BAD_REQUEST, f"A reference image cannot be read: {plain(str(error))}"
            ) from None
        if mask is not None and self._has.mask_white:
            mask = await painted(mask)
        return references, mask

    async def _stream(self, answer: Answer) -> AsyncIterator[JobEvent]:
        step = 0
        previews = Previews(self._slot.index)
        async for event in answer.events(
            max_bytes=_MAX_STREAM_BYTES, max_event_bytes=_MAX_EVENT_BYTES
        ):
            if event.data.strip() == b"[DONE]":
                continue
            try:
                said = await in_thread(openai_wire.object_of, event.data)
            except openai_wire.NotReadable as error:
                raise answer.unreadable(f"{error} in an event") from None
            kind = str(said.get("type") or event.name)
            usage = said.get("usage")
            usage = usage if isinstance(usage, dict) else {}
            if kind == "error" or ("error" in said and not kind.endswith(".completed")):
                raise self._without_picture(said, usage, ErrorKind.TRANSIENT)
            picture = openai_wire.picture_of(said)
            if picture is not None and kind.endswith(".partial_image"):
                step += 1
                yield Running(step, max(step + 1, self._total or 0), self._slot.index)
                preview = await previews.event(picture.data)
                if preview is not None:
                    yield preview
            elif kind.endswith(".completed"):
                if picture is None and "error" in said:
                    raise self._without_picture(said, usage, ErrorKind.BLOCKED)
                if picture is None:
                    raise self._unfound(answer, usage)
                yield await self._home(picture, usage)
                return  # one call makes one picture; partial images may still come late
        raise answer.unreadable("an end before its picture")

    async def _take(self, result: openai_wire.Result) -> AsyncIterator[JobEvent]:
        if not result.pictures:
            error = self._without_picture(result.refusal or {}, result.usage, ErrorKind.BLOCKED)
            if result.refusal is not None:
                yield Log(f"{self._line.title} sent no picture: {error}")
            raise error
        if len(result.pictures) > 1:
            yield Log(f"{self._line.title} sent {len(result.pictures)} pictures instead of one.")
        yield await self._home(result.pictures[0], result.usage)

    def _without_picture(
        self, value: Mapping[str, Any], usage: Mapping[str, JsonValue], usual: ErrorKind
    ) -> ProviderError:
        """Return the error for an answer without a picture, billed with the tokens it counts."""
        self._book(usage)
        error = self._failed(value, usual)
        return billed(error, self.cost) if self.cost else error

    def _unfound(self, answer: Answer, usage: Mapping[str, JsonValue]) -> ProviderError:
        self._book(usage)
        return unfound(answer.unreadable(_NO_PICTURE), self._line.title, self.cost)

    async def _home(
        self, picture: openai_wire.Picture, usage: Mapping[str, JsonValue]
    ) -> ImageReady:
        if picture.url is None:
            return self._ready(picture, usage)
        self._book(usage)
        # It was made, and is not to be made again because its address did not work.
        data = await self._provider._fetch(picture.url)  # noqa: SLF001 - one class in two parts
        return self._ready(replace(picture, data=data), usage)

    def _ready(self, picture: openai_wire.Picture, usage: Mapping[str, JsonValue]) -> ImageReady:
        self._book(usage)
        sent = picture.revised_prompt
        if sent is None and self._has.prompt_ends_at:
            sent = openai_wire.prompt_of(self._request, self._has)
        return ImageReady(
            picture.data,
            self._slot.index,
            seed=seed_sent(self._slot.seed) if self._has.seed else None,
            prompt_sent=None
            if sent is None
            else plain(sent, self._provider._secrets(), limit=_LONGEST_PROMPT),  # noqa: SLF001 - as above
            cost=self.cost,
            unit=None if self.cost is None else USD,
        )

    def _book(self, usage: Mapping[str, JsonValue]) -> None:
        counts: dict[str, Any] = {
            name: count
            for name in _TOKENS
            if type(count := usage.get(name)) is int and 0 <= count < _MOST_TOKENS
        }
        self.usage |= counts
        rates = token_rates(self._entry)
        if rates is not None:
            self.cost = rates.cost(usage)

    def _failed(self, value: Mapping[str, Any], usual: ErrorKind) -> ProviderError:
        """Return the error for one that came inside of a success: the provider says it failed."""
        said = self._provider._said_in(value)  # noqa: SLF001 - one class in two parts
        return self._provider._refused(said.words, said.kind or usual)  # noqa: SLF001 - as above
