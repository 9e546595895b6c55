"""OpenRouter: the image models of many providers behind one key.

One call makes one picture, at once or with partial images on the way, and says what it cost. A
call cannot be repeated safely, and its picture cannot be asked for later. What was charged can:
where an answer was lost after its headers, the generation's record says whether it was, and then
there is no open question. Its id comes with those headers, when nothing can be kept of it any more
for another process: a crash leaves the outcome unknown.

Gateways from before the image API are spoken to by chat.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Unpack
from urllib.parse import quote

from workbench.domain.jobs import (
    Done,
    JobEvent,
    JobRef,
    JobRequest,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import RETRYABLE, ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import failures, openrouter_models, openrouter_wire
from workbench.providers.asking import apart
from workbench.providers.hosted import Hosted, Options
from workbench.providers.http import Answer
from workbench.providers.inputs import inputs_of
from workbench.providers.openai_wire import NotReadable
from workbench.providers.openrouter_call import NO_SUCH_ADDRESS, Call
from workbench.providers.polling import Pace
from workbench.providers.redaction import plain

_MAX_LIST_BYTES = 20_000_000
_MOST_MODELS = 300  # of a listing
_RECORD_ASKED = 3  # a record may come some seconds after its picture
_LONGEST_WORDS = 200
# What OpenRouter itself answers where no provider made a picture; by its documents nothing is
# charged then. 408, 504 and 524 come from the machines in front of it.
_NOT_CHARGED = (502, 503, 529)


class OpenRouter(Hosted):
    """Image models behind OpenRouter.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<author>/<model>``.
    routing:
        Which providers may make a picture: `only`, `order`, `ignore`, `sort`, `allow_fallbacks`,
        and `options` for single ones, as OpenRouter's documents have them.
    **options:
        As for every hosted provider: base_url (``/images`` is appended to it), key, concurrency,
        patience, pace.

    Examples
    --------
    >>> OpenRouter(routing={"sort": "price"}).models()[0].provider
    'openrouter'
    """

    usual_name: ClassVar[str] = "openrouter"
    title = "OpenRouter"
    help = "Image models of many providers with one key. Each picture costs money."
    home: ClassVar[str] = "https://openrouter.ai/api/v1"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENROUTER_API_KEY",)
    address_variable: ClassVar[str] = "OPENROUTER_BASE_URL"
    data: ClassVar[str] = "openrouter"

    def __init__(
        self,
        name: str | None = None,
        *,
        routing: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, **options)
        self._routing = openrouter_wire.check_routing(routing or {})
        self._only_chat = False  # found out by the first call

    # -- what people see --------------------------------------------------------------------------

    async def test(self) -> str:
        """Ask for what is known of the key, which costs nothing."""
        async with apart(self) as asking:
            told = await asking._ask("GET", self._address("/key"))  # noqa: SLF001 - one of us
        about = told.object().get("data")
        about = about if isinstance(about, dict) else {}
        left = openrouter_models.amount_of(about.get("limit_remaining"))
        if left is None:
            return "OpenRouter answered; the key is good."
        return f"OpenRouter answered; {left:.2f} USD of the key's limit are left."

    async def discover(self) -> dict[str, Any]:
        """Ask which image models there are, what can be set and what they cost.

        Returns
        -------
        dict
            The object of a data file; `refresh` puts it over the one that ships. Prices by tokens
            cannot be said before, and are left out.

        Raises
        ------
        ProviderError
            The list does not come.
        """
        return openrouter_models.data_file(await self._read_models(), datetime.now(UTC).date())

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked here; the call itself is made in `events`."""
        entry = self._entry(request)
        if request.inputs and not entry.model.max_references:
            raise InvalidRequest("references", f"{entry.model.title} takes no reference images.")
        if inputs_of(request, "mask"):
            raise InvalidRequest("mask", "cannot be sent to OpenRouter. Choose another provider.")
        self._headers(self._address())
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:  # noqa: ARG002 - there is no remote id
        """Make the pictures of a request, one call each."""
        total: Decimal | None = None
        usage: dict[str, JsonValue] = {}
        for slot in request.slots:
            call = Call(self, request, slot, self._entry(request))
            try:
                async for event in call.events():
                    yield event
            except ProviderError as error:
                if not error.maybe_sent or call.generation is None:
                    raise
                await call.close()
                raise await self._reconciled(error, call.generation) from None
            finally:
                await call.close()
            usage |= call.usage
            if call.cost is not None:
                total = call.cost if total is None else total + call.cost
        yield Done(cost=total, unit=None if total is None else USD, usage=usage)

    # -- details ----------------------------------------------------------------------------------

    async def _read_models(self) -> list[dict[str, Any]]:
        async with apart(self) as asking:
            pace = self._pace()
            ask = asking._patiently  # noqa: SLF001 - one of us
            listing = await ask("/images/models", pace)
            models = []
            for listed in openrouter_models.ids_of(listing)[:_MOST_MODELS]:
                path = f"/images/models/{quote(listed['id'], safe='/')}/endpoints"
                try:
                    endpoints = await ask(path, pace)
                except ProviderError as error:
                    if error.kind is not ErrorKind.BAD_REQUEST:
                        raise
                    endpoints = None  # gone since it was listed, or nobody serves it now
                model = openrouter_models.model_from(listed, endpoints)
                if model is not None:
                    models.append(model)
        return models

    async def _patiently(self, path: str, pace: Pace) -> Any:
        while True:
            try:
                told = await self._ask("GET", self._address(path), max_bytes=_MAX_LIST_BYTES)
            except ProviderError as error:
                await pace.stumbled(error)
                continue
            pace.answered()
            return told.value

    async def _reconciled(self, error: ProviderError, generation: str) -> ProviderError:
        """Return what the record of a generation makes of an answer that was lost."""
        pace = self._pace()
        for _ in range(_RECORD_ASKED):
            await pace.wait()
            try:
                url = self._address(f"/generation?id={quote(generation, safe='')}")
                record = (await self._ask("GET", url)).object().get("data")
            except ProviderError:
                continue  # it is not there yet, or cannot be asked: the question stays open
            if not isinstance(record, dict):
                break
            cost = openrouter_models.amount_of(record.get("total_cost"))
            if cost:
                words = f"{error} OpenRouter made and charged the picture, and keeps none."
                return ProviderError(ErrorKind.BAD_IMAGE, words, charged=True, cost=cost, unit=USD)
            if cost is not None and record.get("cancelled") is True:
                words = f"{error} OpenRouter gave the picture up and charged nothing."
                return ProviderError(ErrorKind.TRANSIENT, words)
        return error

    async def _has_image_api(self) -> bool:
        """Tell whether there is an image API at all."""
        url = self._address("/images/models")
        answer = await self._line.open("GET", url, headers=self._headers(url))
        try:
            return answer.status not in NO_SUCH_ADDRESS
        finally:
            await answer.close()

    async def _failure(self, answer: Answer) -> ProviderError:
        """Return the error for an answer that is no success."""
        try:
            value: Any = openrouter_wire.object_of(await answer.error_body())
        except NotReadable:
            value = None
        said = self._said(value)
        own = openrouter_wire.code_of(value) == answer.status and answer.status in _NOT_CHARGED
        return failures.of_status(
            self.title,
            answer.status,
            said,
            retry_after_s=failures.retry_after_s(answer.headers, now=time.time()),
            creates=not own,
            key_hint=self._line.key_hint,
        )

    def _failed(self, value: Any, usual: ErrorKind) -> ProviderError:
        """Return the error for one that came inside of a success.

        Nothing is charged for it, so that a passing one may be sent anew by itself.
        """
        said = self._said(value)
        status = openrouter_wire.code_of(value)
        if status is not None and said.kind is None:
            return failures.of_status(self.title, status, said, key_hint=self._line.key_hint)
        error = self._refused(said.words, said.kind or usual)
        error.ended = error.kind not in RETRYABLE
        return error

    def _said(self, value: Any) -> failures.Said:
        words = openrouter_wire.words_of(value, self._said_in(value).words)
        return failures.Said(
            plain(words, self._secrets(), limit=_LONGEST_WORDS), openrouter_wire.kind_of(value)
        )
