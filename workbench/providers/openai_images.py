"""OpenAI's images, and every server that speaks the same dialect.

One call makes one picture: a failure is then that picture's alone, and partial images say whose
they are. A call is not repeatable (the API honours no idempotency key) and cannot be asked for
later, so that one whose answer was lost has an unknown outcome, which a person settles.

::

    ws.add_provider(OpenAIImages("local", base_url="http://127.0.0.1:8080/v1",
                                 profile="stable-diffusion.cpp", models=("sd-cpp-local",)))
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from workbench.domain.jobs import (
    FREE,
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Partial,
    Running,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.parameters import Model
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import (
    ConfigurationError,
    InvalidRequest,
    ProviderError,
    WorkbenchError,
)
from workbench.ports import ProviderState
from workbench.providers import failures, openai_wire
from workbench.providers.addresses import check_base_url
from workbench.providers.http import USUAL_PATIENCE, Answer, Line, Patience
from workbench.providers.openai_models import Offer, hosted, profile_of, seed_sent, served
from workbench.providers.redaction import Secret, plain

BASE_URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
ADDRESS = "OPENAI_BASE_URL"

_MAX_IMAGE_BYTES = 50_000_000  # as the image door takes them
_MAX_EVENT_BYTES = _MAX_IMAGE_BYTES * 4 // 3 + 100_000
_MAX_STREAM_BYTES = 5 * _MAX_EVENT_BYTES  # three partial images and the picture
_IN_THREAD_BYTES = 100_000  # from here on, reading JSON would hold up the loop
_LONGEST_PROMPT = 10_000
_MARGIN_S = 30.0  # between our own deadline and the runner's

_TOKENS = ("input_tokens", "output_tokens", "total_tokens")

T = TypeVar("T")


class OpenAIImages:
    """A provider in the dialect of OpenAI's images API.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    base_url:
        Address that ``/images/generations`` is appended to; None: OPENAI_BASE_URL, or OpenAI.
    key:
        The key; None: OPENAI_API_KEY, looked up anew for each call.
    profile:
        What the server can do: openai, stable-diffusion.cpp, localai, vllm-omni or together.
    models:
        Names of models, where the server is not OpenAI's.
    concurrency:
        Calls at once over all processes of a workspace; None: 4, or 1 where the server is free.
    patience:
        Limits of time.

    Examples
    --------
    >>> OpenAIImages().models()[0].id.partition(":")[0]
    'openai'
    """

    help = "Pictures by OpenAI. It needs a key and costs money for each picture."

    def __init__(
        self,
        name: str = "openai",
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
        profile: str = "openai",
        models: Sequence[str] = (),
        concurrency: int | None = None,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        has = profile_of(profile)
        self.name = name
        self.title = has.title
        if not has.hosted:
            self.help = f"A server that you named, spoken to as {has.title}."
        self.idempotency = FREE if has.free else IdempotencyPolicy(Idempotency.NONE)
        self.concurrency = concurrency or (1 if has.free else 4)
        self.deadline_s = patience.total_s + _MARGIN_S
        self._has = has
        self._base_url = base_url
        self._key = Secret(key) if isinstance(key, str) else key
        self._offers = served(name, tuple(models), has) if models else hosted(name)
        self._line = Line(
            self.title,
            patience=patience,
            secrets=self._secrets,
            key_hint=KEY if key is None else "its key",
            address_hint=ADDRESS if base_url is None else "its address",
        )

    # -- what people see --------------------------------------------------------------------------

    def state(self) -> ProviderState:
        """Ready where there is a key (and an address that is one). It asks nobody."""
        try:
            self._base()
            key = self._usable_key()
        except ConfigurationError as error:
            return ProviderState(False, "error", str(error))
        if key is None and self._has.needs_key:
            return ProviderState(
                False, "key_missing", f"Set the environment variable {KEY} to your key."
            )
        return ProviderState(True)

    def models(self) -> Sequence[Model]:
        """Return the models of the data file, or those that were named."""
        return [offer.model for offer in self._offers.values()]

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked here; the call itself is made in `events`."""
        offer = self._offer(request)
        for slot in request.slots:
            openai_wire.fields_of(request, slot, offer, self._has)
        self._address()
        if request.inputs and not self._has.edits:
            raise InvalidRequest("references", f"{self.title} takes no reference images.")
        self._headers()
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:  # noqa: ARG002 - there is no remote id
        """Make the pictures of a request, one call each."""
        total: Decimal | None = None
        usage: dict[str, JsonValue] = {}
        for slot in request.slots:
            call = _Call(self, request, slot, self._offer(request))
            try:
                async for event in call.events():
                    yield event
            finally:
                await call.close()
            usage |= call.usage
            if call.cost is not None:
                total = call.cost if total is None else total + call.cost
        yield Done(cost=total, unit=None if total is None else USD, usage=usage)

    async def cancel(self, ref: JobRef) -> None:
        """The API has no cancel; what is being made is paid for, and comes home late."""

    async def lookup(self, request: JobRequest) -> JobRef | None:  # noqa: ARG002 - the protocol's
        """The API cannot be asked what became of a call."""
        return None

    async def close(self) -> None:
        """Close connections."""
        await self._line.close()

    # -- settings ---------------------------------------------------------------------------------

    def _offer(self, request: JobRequest) -> Offer:
        offer = self._offers.get(request.model)
        if offer is None:
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"{self.title} has no model {plain(request.model)} any more. Choose another one.",
            )
        return offer

    def _base(self) -> str:
        if self._base_url is not None:
            return check_base_url(self._base_url, "base_url")
        return check_base_url(os.environ.get(ADDRESS) or BASE_URL, ADDRESS)

    def _address(self) -> str:
        try:
            return self._base()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.BAD_REQUEST, str(error)) from None

    def _current_key(self) -> Secret | None:
        if self._key is not None:
            return self._key
        # OpenAI's key goes to OpenAI's address, or to the one that was set for it.
        found = os.environ.get(KEY, "").strip() if self._base_url is None else ""
        return Secret(found) if found else None

    def _usable_key(self) -> Secret | None:
        key = self._current_key()
        text = "" if key is None else key.reveal()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigurationError(
                f"{self._line.key_hint} has characters that no key has. Copy it again."
            )
        return key

    def _secrets(self) -> list[Secret]:
        key = self._current_key()
        return [] if key is None else [key]

    def _headers(self) -> dict[str, str]:
        try:
            key = self._usable_key()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.AUTH, str(error)) from None
        if key is None:
            if self._has.needs_key:
                raise ProviderError(
                    ErrorKind.AUTH, f"There is no key for {self.title}. Set {self._line.key_hint}."
                )
            return {}
        headers = {"Authorization": f"Bearer {key.reveal()}"}
        if self._has.hosted:
            for header, name in (
                ("OpenAI-Organization", "OPENAI_ORG_ID"),
                ("OpenAI-Project", "OPENAI_PROJECT_ID"),
            ):
                value = os.environ.get(name, "").strip()
                if value.isascii() and value.isprintable() and value:
                    headers[header] = value
        return headers


class _Call:
    """One call for one picture."""

    def __init__(
        self, provider: OpenAIImages, request: JobRequest, slot: Slot, offer: Offer
    ) -> None:
        self.cost: Decimal | None = None
        self.usage: dict[str, JsonValue] = {}
        self._provider = provider
        self._line = provider._line  # noqa: SLF001 - one class in two parts
        self._has = provider._has  # noqa: SLF001 - as above
        self._base = provider._address()  # noqa: SLF001 - as above
        self._request = request
        self._slot = slot
        self._offer = offer
        self._fields = openai_wire.fields_of(request, slot, offer, self._has)
        partial = self._fields.get("partial_images")
        self._total = partial + 1 if isinstance(partial, int) else None
        self._answer: Answer | None = None

    async def events(self) -> AsyncIterator[JobEvent]:
        """Send it and follow its answer."""
        index = self._slot.index
        yield Running(0, self._total, index)
        answer = self._answer = await self._send()
        if not answer.ok:
            raise answer.error(self._clean(openai_wire.said_in(await answer.error_body())))
        id = answer.headers.get("x-request-id")
        if id:
            self.usage["request_id"] = plain(id, limit=100)
        # What it is decides, not what was asked for: servers that cannot stream send it at once.
        if answer.content_type == "text/event-stream":
            async for event in self._stream(answer):
                yield event
            return
        body = await answer.body(max_bytes=_MAX_EVENT_BYTES)
        if answer.content_type.startswith("image/"):
            yield self._ready(openai_wire.Picture(body), {})
            return
        try:
            result = await _in_thread(openai_wire.result_of, body)
        except openai_wire.NotReadable as error:
            kind = plain(answer.content_type) or "nothing that has a type"
            raise answer.unreadable(f"{error} ({kind})") from None
        async for event in self._take(result):
            yield event

    async def close(self) -> None:
        """Give the connection back."""
        if self._answer is not None:
            await self._answer.close()

    async def _send(self) -> Answer:
        headers = self._provider._headers()  # noqa: SLF001 - one class in two parts
        headers["Accept"] = "application/json, text/event-stream"
        creates = not self._has.free
        if not self._request.inputs:
            url = f"{self._base}/images/generations"
            return await self._line.open(
                "POST", url, headers=headers, json=self._fields, creates=creates
            )
        try:
            references, mask = await asyncio.to_thread(openai_wire.read_inputs, self._request)
        except (WorkbenchError, OSError) as error:
            raise ProviderError(
                ErrorKind.BAD_REQUEST, f"A reference image cannot be read: {plain(str(error))}"
            ) from None
        form = openai_wire.form_of(self._fields, references, mask, self._has)
        url = f"{self._base}/images/edits"
        return await self._line.open("POST", url, headers=headers, form=form, creates=creates)

    async def _stream(self, answer: Answer) -> AsyncIterator[JobEvent]:
        step = 0
        async for event in answer.events(
            max_bytes=_MAX_STREAM_BYTES, max_event_bytes=_MAX_EVENT_BYTES
        ):
            if event.data.strip() == b"[DONE]":
                continue
            try:
                said = await _in_thread(openai_wire.object_of, event.data)
            except openai_wire.NotReadable as error:
                raise answer.unreadable(f"{error} in an event") from None
            kind = str(said.get("type") or event.name)
            if kind == "error" or ("error" in said and not kind.endswith(".completed")):
                raise self._failed(self._clean(openai_wire.said_by(said)))
            picture = openai_wire.picture_of(said)
            if picture is None:
                continue
            if kind.endswith(".partial_image"):
                step += 1
                yield Running(step, max(step + 1, self._total or 0), self._slot.index)
                if picture.data:
                    yield Partial(picture.data, self._slot.index)
            elif kind.endswith(".completed"):
                usage = said.get("usage")
                yield await self._home(picture, usage if isinstance(usage, dict) else {})
                return  # one call makes one picture; partial images may still come late
        raise answer.unreadable("an end before its picture")

    async def _take(self, result: openai_wire.Result) -> AsyncIterator[JobEvent]:
        if not result.pictures:
            self._book(result.usage)
            if result.said.kind is not None or result.said.words:
                yield Log(f"{self._line.title} sent no picture: {self._clean(result.said).words}")
            raise self._failed(replace(result.said, kind=result.said.kind or ErrorKind.BLOCKED))
        if len(result.pictures) > 1:
            yield Log(f"{self._line.title} sent {len(result.pictures)} pictures instead of one.")
        yield await self._home(result.pictures[0], result.usage)

    async def _home(
        self, picture: openai_wire.Picture, usage: Mapping[str, JsonValue]
    ) -> ImageReady:
        if picture.url is None:
            return self._ready(picture, usage)
        self._book(usage)
        try:
            data = await self._line.fetch(picture.url, max_bytes=_MAX_IMAGE_BYTES, home=self._base)
        except ProviderError as error:
            # It was made, and is not to be made again because its address did not work.
            error.maybe_sent = not self._has.free
            raise
        return self._ready(replace(picture, data=data), usage)

    def _ready(self, picture: openai_wire.Picture, usage: Mapping[str, JsonValue]) -> ImageReady:
        self._book(usage)
        revised = picture.revised_prompt
        return ImageReady(
            picture.data,
            self._slot.index,
            seed=seed_sent(self._slot.seed) if self._has.seed else None,
            prompt_sent=None
            if revised is None
            else plain(revised, self._provider._secrets(), limit=_LONGEST_PROMPT),  # noqa: SLF001 - as above
            cost=self.cost,
            unit=None if self.cost is None else USD,
        )

    def _book(self, usage: Mapping[str, JsonValue]) -> None:
        counts: dict[str, Any] = {
            name: usage[name] for name in _TOKENS if isinstance(usage.get(name), int)
        }
        self.usage |= counts
        if self._offer.rates is not None:
            self.cost = self._offer.rates.cost(usage)

    def _clean(self, said: failures.Said) -> failures.Said:
        return replace(said, words=self._line.clean(said.words))

    def _failed(self, said: failures.Said) -> ProviderError:
        """The error for one that came inside of a success: the provider says that it failed."""
        said = self._clean(said)
        kind = said.kind or ErrorKind.TRANSIENT
        status = 500 if kind is ErrorKind.TRANSIENT else 400
        return failures.of_status(
            self._line.title, status, replace(said, kind=kind), key_hint=self._line.key_hint
        )


async def _in_thread(work: Callable[[bytes], T], body: bytes) -> T:
    return await asyncio.to_thread(work, body) if len(body) > _IN_THREAD_BYTES else work(body)
