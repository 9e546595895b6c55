"""One call of OpenRouter's: sent to its image API or as a chat, followed to its picture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.domain.jobs import ImageReady, JobEvent, JobRequest, Log, Running, Slot
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import openrouter_wire
from workbench.providers.asking import MAX_IMAGE_BYTES, in_thread
from workbench.providers.catalogue import Entry
from workbench.providers.failures import billed, unfound
from workbench.providers.http import Answer
from workbench.providers.inputs import data_url, inputs_of
from workbench.providers.openai_wire import NotReadable, Picture, picture_of
from workbench.providers.pictures import Previews
from workbench.providers.redaction import plain

if TYPE_CHECKING:
    from workbench.providers.openrouter import OpenRouter

_NO_PICTURE = "no picture where one should be"
NO_SUCH_ADDRESS = (404, 405)

_MAX_EVENT_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 100_000
_MAX_STREAM_BYTES = 5 * _MAX_EVENT_BYTES


class Call:
    """One call for one picture.

    Attributes
    ----------
    cost:
        What OpenRouter says that it charged, in USD.
    usage:
        What of the call is worth keeping.
    generation:
        Its id, as soon as it is told.
    """

    def __init__(self, provider: OpenRouter, request: JobRequest, slot: Slot, entry: Entry) -> None:
        self.cost: Decimal | None = None
        self.usage: dict[str, JsonValue] = {}
        self.generation: str | None = None
        self._provider = provider
        self._line = provider._line  # noqa: SLF001 - one class in two parts
        self._request = request
        self._slot = slot
        self._seed = openrouter_wire.seed_sent(slot, entry)
        self._fields = openrouter_wire.fields_of(request, slot, entry, provider._routing)  # noqa: SLF001 - as above
        self._answer: Answer | None = None

    async def events(self) -> AsyncIterator[JobEvent]:
        """Send it and follow its answer."""
        yield Running(index=self._slot.index)
        await self._read_inputs()
        answer = await self._send()
        # Believed to be told for pictures as it is for speech; without it nothing is asked later.
        self.generation = openrouter_wire.id_of(answer.headers.get("x-generation-id"))
        if self.generation is not None:
            self.usage["generation_id"] = self.generation
        # What it is decides, not what was asked for: most models ignore `stream`.
        if answer.content_type == "text/event-stream":
            async for event in self._stream(answer):
                yield event
            return
        body = await answer.body(max_bytes=_MAX_EVENT_BYTES)
        try:
            result = await in_thread(openrouter_wire.result_of, body)
        except NotReadable as error:
            kind = plain(answer.content_type) or "nothing that has a type"
            raise answer.unreadable(f"{error} ({kind})") from None
        if result.lost:
            self._book(result.cost, result.usage)
            raise self._unfound(answer)
        async for event in self._take(result):
            yield event

    async def close(self) -> None:
        """Give the connection back."""
        answer, self._answer = self._answer, None
        if answer is not None:
            await answer.close()

    async def _read_inputs(self) -> None:
        given = inputs_of(self._request, "source", "reference")
        if given:
            addresses = [await data_url(one) for one in given]
            self._fields["input_references"] = openrouter_wire.references_of(addresses)

    async def _send(self) -> Answer:
        provider = self._provider
        if not provider._only_chat:  # noqa: SLF001 - one class in two parts
            answer = await self._open("/images", self._fields)
            if answer.ok:
                return answer
            error = await provider._failure(answer)  # noqa: SLF001 - as above
            await self.close()
            missing = answer.status in NO_SUCH_ADDRESS
            if not missing or await provider._has_image_api():  # noqa: SLF001 - as above
                raise error
            provider._only_chat = True  # noqa: SLF001 - as above
        answer = await self._open("/chat/completions", openrouter_wire.chat_of(self._fields))
        if not answer.ok:
            raise await provider._failure(answer)  # noqa: SLF001 - as above
        return answer

    async def _open(self, path: str, body: dict[str, JsonValue]) -> Answer:
        url = self._provider._address(path)  # noqa: SLF001 - one class in two parts
        self._answer = await self._line.open(
            "POST",
            url,
            headers={
                **self._provider._headers(url),  # noqa: SLF001 - as above
                "Accept": "application/json, text/event-stream",
            },
            json=body,
            creates=True,
        )
        return self._answer

    async def _stream(self, answer: Answer) -> AsyncIterator[JobEvent]:
        step = 0
        previews = Previews(self._slot.index)
        ended = came = False
        async for event in answer.events(
            max_bytes=_MAX_STREAM_BYTES, max_event_bytes=_MAX_EVENT_BYTES
        ):
            if event.data.strip() == b"[DONE]":
                ended = True
                continue
            try:
                said = await in_thread(openrouter_wire.object_of, event.data)
            except NotReadable as error:
                raise answer.unreadable(f"{error} in an event") from None
            came = True
            kind = str(said.get("type") or event.name)
            self._book(*openrouter_wire.booked(said.get("usage")))
            if kind == "error" or ("error" in said and not kind.endswith(".completed")):
                raise self._without_picture(said, ErrorKind.TRANSIENT)
            picture = picture_of(said)
            if picture is not None and kind.endswith(".partial_image"):
                step += 1
                yield Running(step, step + 1, self._slot.index)
                preview = await previews.event(picture.data)
                if preview is not None:
                    yield preview
            elif kind.endswith(".completed"):
                if picture is None and "error" in said:
                    raise self._without_picture(said, ErrorKind.BLOCKED)
                if picture is None:
                    raise self._unfound(answer)
                yield await self._home(picture)
                return  # one call makes one picture; partial images may still come late
        if came or not ended:  # only a stream without any event says that nothing was made
            raise unfound(
                answer.unreadable("an end before its picture"), self._provider.title, self.cost
            )
        raise self._without_picture(None, ErrorKind.BLOCKED)

    async def _take(self, result: openrouter_wire.Result) -> AsyncIterator[JobEvent]:
        self._book(result.cost, result.usage)
        if not result.pictures:
            error = self._without_picture(result.refusal, ErrorKind.BLOCKED)
            words = self._line.clean(result.words)
            if words:
                yield Log(f"OpenRouter sent no picture. {words}")
            raise error
        if len(result.pictures) > 1:
            yield Log(f"OpenRouter sent {len(result.pictures)} pictures instead of one.")
        yield await self._home(result.pictures[0])

    def _without_picture(self, value: Any, usual: ErrorKind) -> ProviderError:
        """Return the error for an answer without a picture, with what it cost all the same.

        Thinking about a refusal costs something, as does a picture that is held back.
        """
        error = self._provider._failed(value, usual)  # noqa: SLF001 - one class in two parts
        return billed(error, self.cost) if self.cost else error

    def _unfound(self, answer: Answer) -> ProviderError:
        return unfound(answer.unreadable(_NO_PICTURE), self._provider.title, self.cost)

    async def _home(self, picture: Picture) -> ImageReady:
        if picture.url is not None:
            data = await self._provider._fetch(picture.url)  # noqa: SLF001 - one class in two parts
            picture = replace(picture, data=data)
        return ImageReady(
            picture.data,
            self._slot.index,
            seed=self._seed,
            cost=self.cost,
            unit=None if self.cost is None else USD,
        )

    def _book(self, cost: Decimal | None, usage: Mapping[str, JsonValue]) -> None:
        self.cost = self.cost if cost is None else cost
        self.usage |= usage
