"""Cog: a server around one model, on a machine of your own.

Models at Replicate are packed with it, and run in the same way anywhere. The server makes one
picture at a time and keeps no results: the call lasts as long as the work, and a broken call ends
the work. A second request for the same prediction is answered with how far the first one is.

::

    studio = Cog("studio", base_url="http://127.0.0.1:5000")
    ws.add_provider(studio)
    ws.generate("a red fox", model="studio:model", inputs={"steps": 20})

    known = [await studio.discover()]  # with the parameters that the model has
    ws.add_provider(Cog("studio", base_url="http://127.0.0.1:5000", models=known))
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Unpack

from workbench.domain.jobs import JobEvent, JobRef, JobRequest, Queued
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures
from workbench.providers.asking import Told
from workbench.providers.catalogue import Entry
from workbench.providers.hosted import Options
from workbench.providers.http import Patience
from workbench.providers.own_server import OwnServer
from workbench.providers.predictions import Predictor, has_ended, sign_of
from workbench.providers.redaction import plain
from workbench.providers.replicate_wire import images_of, input_of

_PATIENCE = Patience(stall_s=600.0)  # nothing comes before the picture does
_GLANCE_S = 5.0
# None that a model could run, so that a glance which comes late never begins a prediction.
_NO_INPUT = 5
_BUSY = re.compile(
    r"at capacity|setup has not finished|already running a prediction", re.IGNORECASE
)


class Cog(Predictor, OwnServer):
    """A server made by Cog, on a machine of your own: one model, no key, no costs.

    Parameters
    ----------
    name:
        Its name in the workspace.
    models:
        The entry that `discover` made; without one there is a model that takes any input.
    **options:
        As for every hosted provider: base_url, concurrency, patience, pace.

    Examples
    --------
    >>> Cog(base_url="http://127.0.0.1:5000").models()[0].id
    'cog:model'
    """

    usual_name = "cog"
    title = "Cog"
    help = "A model in a Cog server of your own."
    address_variable = "COG_URL"
    data = "cog"
    usual_concurrency = 1  # a server has one place unless its model says otherwise
    how_to_set = (
        "Set the environment variable COG_URL to the address of a Cog server, "
        "http://127.0.0.1:5000 for example."
    )

    def __init__(
        self,
        name: str | None = None,
        *,
        models: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[Options],
    ) -> None:
        options.setdefault("patience", _PATIENCE)
        super().__init__(name, models=models, **options)

    async def test(self) -> str:
        """Ask whether the server is ready.

        Raises
        ------
        ProviderError
            There was no answer.
        """
        told = await self._ask("GET", self._address("/health-check"))
        return f"Cog answered; its state is {plain(told.object().get('status')) or 'not known'}."

    async def discover(self, model: str = "model") -> dict[str, Any]:
        """Ask what the model's input is, and return an entry for a data file, or for `models`.

        Parameters
        ----------
        model:
            What it is to be called.

        Raises
        ------
        ProviderError
            There was no answer, or it says nothing of an input.
        """
        told = await self._ask("GET", self._address("/openapi.json"))
        entry = self._discovered(model, told.value, remark="The model that this server has.")
        return entry | {"free": True}

    async def _read_models(self) -> Sequence[Mapping[str, Any]]:
        return [await self.discover()]

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked here; the call itself is made in `events`."""
        entry = self._entry(request)
        input_of(request, entry, request.slots[0])
        images_of(request, entry)
        self._address()
        return JobRef(re.sub(r"[^\w-]", "-", request.key, flags=re.ASCII))

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the picture in one call, and look at how far it is meanwhile."""
        index = request.slots[0].index
        url = self._address(f"/predictions/{ref.remote_id}")
        body: dict[str, JsonValue] = {"input": await self._input(request, self._entry(request))}
        pace = self._pace()
        call: asyncio.Task[Told] | None = None
        last: JobEvent | None = None
        try:
            while True:
                if call is None:
                    call = asyncio.create_task(self._ask("PUT", url, json=body))
                done, _ = await asyncio.wait({call}, timeout=pace.next_s())
                event: JobEvent | None = None
                if not done:
                    event = await self._glance(url, index)
                elif _is_busy(call):
                    event, call = Queued(), None
                    await pace.wait()
                else:
                    break
                if event is not None and event != last:
                    last = event
                    pace.moved()
                    yield event
        finally:
            if call is not None and not call.done():
                call.cancel()  # the server ends what nobody waits for
                await asyncio.wait({call})
        prediction = call.result().object()
        if not has_ended(prediction):
            raise ProviderError(
                ErrorKind.TRANSIENT, f"{self.title} answered before the picture was made."
            )
        for event in await self._ending(prediction, index):
            yield event

    async def cancel(self, ref: JobRef) -> None:
        """Cancel the prediction; where it has ended there is nothing to cancel."""
        try:
            await self._ask("POST", self._address(f"/predictions/{ref.remote_id}/cancel"))
        except ProviderError as error:
            if error.kind is not ErrorKind.BAD_REQUEST:  # that says: it knows no such prediction
                raise

    async def _glance(self, url: str, index: int) -> JobEvent | None:
        """Look at a prediction whose call is under way; None where nothing is to be seen."""
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(_GLANCE_S):
                headers = {"Prefer": "respond-async"}
                told = await self._ask("PUT", url, json={"input": _NO_INPUT}, headers=headers)
            return sign_of(told.object(), index)
        return None

    # -- settings ---------------------------------------------------------------------------------

    def _said_in(self, value: Any) -> failures.Said:
        details = value.get("detail") if isinstance(value, dict) else None
        one = details[0] if isinstance(details, list) and details else None
        if not isinstance(one, dict):
            return super()._said_in(value)
        place = one.get("loc")
        field = place[-1] if isinstance(place, list) and place else "input"
        return failures.Said(f"{field}: {one.get('msg')}")

    def _entries(self) -> Mapping[str, Entry]:
        return self._given or super()._entries()


def _is_busy(call: asyncio.Task[Told]) -> bool:
    error = call.exception()
    return isinstance(error, ProviderError) and _BUSY.search(error.message) is not None
