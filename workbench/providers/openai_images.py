"""OpenAI's images, and every server that speaks the same dialect.

One call makes one picture: a failure is then that picture's alone, and partial images say whose
they are. A call is not repeatable (the API honours no idempotency key) and cannot be asked for
later, so that one whose answer was lost has an unknown outcome, which a person settles.

::

    ws.add_provider(OpenAIImages("attic", base_url="http://127.0.0.1:8080/v1", profile="localai"))
    ws.refresh_provider("attic")  # asks for its models; or name them: models=("flux.1-dev",)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from workbench.domain.jobs import (
    FREE,
    Done,
    Idempotency,
    IdempotencyPolicy,
    JobEvent,
    JobRef,
    JobRequest,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.errors import ConfigurationError, InvalidRequest
from workbench.ports import ProviderState
from workbench.providers import failures, openai_wire
from workbench.providers.asking import apart
from workbench.providers.catalogue import Entry
from workbench.providers.hosted import Hosted
from workbench.providers.http import USUAL_PATIENCE, Patience
from workbench.providers.openai_call import Call
from workbench.providers.openai_models import (
    note_names,
    noted_names,
    profile_of,
    served,
)
from workbench.providers.polling import Pace
from workbench.providers.redaction import Secret

_MAX_LIST_BYTES = 4_000_000


class OpenAIImages(Hosted):
    """A provider in the dialect of OpenAI's images API.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    base_url:
        Address that ``/images/generations`` is appended to; None: OPENAI_BASE_URL, or OpenAI.
    key:
        The key; None: OPENAI_API_KEY, looked up anew for each call. It goes to no `base_url`.
    profile:
        What the server can do: openai, stable-diffusion.cpp, localai, vllm-omni or together.
    models:
        Names of models, where the server is not OpenAI's; see `discover`.
    concurrency:
        Calls at once over all processes of a workspace; None: 4, or 1 where the server is free.
    patience, pace:
        Limits of time.

    Examples
    --------
    >>> OpenAIImages().models()[0].id.partition(":")[0]
    'openai'
    >>> local = OpenAIImages("local", base_url="http://127.0.0.1:1/v1", profile="localai")
    >>> local.state().message.partition(".")[0]
    'No model of this server is named'
    """

    usual_name: ClassVar[str] = "openai"
    usual_profile: ClassVar[str] = "openai"
    help = "Pictures by OpenAI. It needs a key and costs money for each picture."
    home: ClassVar[str] = "https://api.openai.com/v1"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    address_variable: ClassVar[str] = "OPENAI_BASE_URL"
    data: ClassVar[str] = "openai_images"

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
        profile: str | None = None,
        models: Sequence[str] = (),
        concurrency: int | None = None,
        patience: Patience = USUAL_PATIENCE,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        has = profile_of(profile or self.usual_profile)
        self._has = has
        self.title = has.title
        self.idempotency = FREE if has.free else IdempotencyPolicy(Idempotency.NONE)
        self.needs_key = has.needs_key
        super().__init__(
            name,
            base_url=base_url,
            key=key,
            concurrency=concurrency or (1 if has.free else None),
            patience=patience,
            pace=pace,
        )
        self._catalogued = has.name == self.usual_profile and not models
        if has.name != self.usual_profile:
            self.help = f"A server that you named, spoken to as {has.title}."
        self._served = served(self.name, models or has.models, has)
        self._found: Mapping[str, Entry] | None = None  # what the server said; None: not looked up

    # -- what people see --------------------------------------------------------------------------

    def state(self) -> ProviderState:
        """Ready where there are a key, an address that is one, and a model. It asks nobody."""
        state = super().state()
        if not state.ready:
            return state
        try:
            entries = self._entries()
        except ConfigurationError as error:  # the user's own file of models is not in order
            return ProviderState(False, "error", str(error))
        if not entries:
            return ProviderState(
                False,
                "error",
                "No model of this server is named. Name some, or read its list anew: "
                f"ws.refresh_provider({self.name!r}).",
            )
        return state

    @property
    def can_refresh(self) -> bool:
        """Whether the server's list of models is what there is: OpenAI's is in a data file."""
        return not self._has.hosted

    async def refresh(self) -> str:
        """Ask for the names of models, and offer them from now on; returns a sentence."""
        if not self.can_refresh:
            return await super().refresh()
        return f"{self.title}: {_counted(await self.discover())} as of today."

    async def discover(self) -> list[str]:
        """Ask the server for the names of its models, and offer them from now on.

        Servers that list every kind of model and do not say which is which name all of them. The
        names are kept beside the data files, for every program that uses a server of this name.
        OpenAI's own list changes nothing: what its models can do is in the data file.

        Returns
        -------
        list of str
            The names, of models for pictures where the server says so.

        Raises
        ------
        ProviderError
            It does not answer, or has no such list.
        """
        names = await self._listed()
        if self.can_refresh and names:
            await asyncio.to_thread(note_names, self.name, names)
            self._found = served(self.name, names, self._has)
        return names

    async def test(self) -> str:
        """Ask for the list of models, which costs nothing."""
        return f"{self.title} answered; {_counted(await self._listed())}."

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked here; the call itself is made in `events`."""
        entry = self._entry(request)
        for slot in request.slots:
            openai_wire.fields_of(request, slot, entry, self._has)
        self._headers(self._address())
        if request.inputs and not self._has.edits and self._reference_field(entry) is None:
            raise InvalidRequest("references", f"{self.title} takes no reference images.")
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
            finally:
                await call.close()
            usage |= call.usage
            if call.cost is not None:
                total = call.cost if total is None else total + call.cost
        yield Done(cost=total, unit=None if total is None else USD, usage=usage)

    # -- for servers with addresses of their own --------------------------------------------------

    def _url(self, path: str, model: str) -> str:  # noqa: ARG002 - Azure's has it in the address
        """Return the address of a path of the API, for a model ("": for none)."""
        return self._address(path)

    # -- settings ---------------------------------------------------------------------------------

    def _entries(self) -> Mapping[str, Entry]:
        if self._found is None:
            noted = noted_names(self.name) if self.can_refresh else ()
            self._found = served(self.name, noted, self._has)
        known = super()._entries() if self._catalogued else {}
        return {**self._found, **self._served, **known}

    async def _listed(self) -> list[str]:
        async with apart(self) as asking:
            url = self._url("/models", "")
            told = await asking._ask("GET", url, max_bytes=_MAX_LIST_BYTES)  # noqa: SLF001 - one of us
        return openai_wire.names_of(told.value)

    def _reference_field(self, entry: Entry) -> str | None:
        name = entry.send.get("references", self._has.references)
        return name if isinstance(name, str) else None

    def _authorization(self, key: Secret) -> dict[str, str]:
        headers = super()._authorization(key)
        if self._has.hosted:
            for header, name in (
                ("OpenAI-Organization", "OPENAI_ORG_ID"),
                ("OpenAI-Project", "OPENAI_PROJECT_ID"),
            ):
                value = os.environ.get(name, "").strip()
                if value.isascii() and value.isprintable() and value:
                    headers[header] = value
        return headers

    def _key_hint(self) -> str:
        # The environment's key goes to no address that was given here.
        return "its key" if self._base_url is not None else super()._key_hint()

    def _said_in(self, value: Any) -> failures.Said:
        return replace(super()._said_in(value), kind=openai_wire.kind_of(value))


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} model{'' if len(names) == 1 else 's'}"
