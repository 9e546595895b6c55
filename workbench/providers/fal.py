"""fal: many models behind one queue.

A job is put into fal's queue, which gives addresses for its state, its result and its cancel; any
process may follow it with them. States come as server-sent events where the server has them, else
by asking. fal itself tries a runner that fails again (up to ten times, unbilled), which is why it
is not told to leave that (``x-fal-no-retry``); a job that did not begin when nobody waits for it
any more is dropped (``X-Fal-Request-Timeout``). fal honours no idempotency key and lists no jobs.

::

    ws.add_provider(Fal("fal", key="…"))
    ws.generate("a red fox", model="fal:fal-ai/flux/schnell")
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Unpack
from urllib.parse import quote

from workbench.domain.jobs import (
    JobEvent,
    JobRef,
    JobRequest,
)
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import fal_wire
from workbench.providers.addresses import check_base_url
from workbench.providers.asking import Told
from workbench.providers.fal_queue import FalJobs
from workbench.providers.hosted import Options
from workbench.providers.redaction import Secret, plain

HOME = "https://queue.fal.run"
PLATFORM = "https://api.fal.ai/v1"  # another API of fal's, with the same key: prices, usage

_SHORTEST_START_S = 2  # fal takes no shorter limit


class Fal(FalJobs):
    """fal's queue.

    Parameters
    ----------
    name:
        Its name in the workspace.
    platform_url:
        Address of fal's other API, which `test` asks; None: fal's, where the queue is fal's.
    **options:
        As for every hosted provider: base_url, key, concurrency, patience, pace.

    Examples
    --------
    >>> [model.name for model in Fal().models()][:2]
    ['fal-ai/flux/schnell', 'fal-ai/flux/dev']
    """

    usual_name = "fal"
    title = "fal"
    help = "Many models behind one queue. It needs a key and costs money for each picture."
    home = HOME
    key_variables = ("FAL_KEY",)
    address_variable = "FAL_BASE_URL"
    data = "fal"
    key_domains = ("fal.run",)

    def __init__(
        self,
        name: str | None = None,
        *,
        platform_url: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, **options)
        self._platform_url = platform_url

    async def test(self) -> str:
        """Ask for a price, which needs a key and costs nothing."""
        platform = self._platform_url
        if platform is None:
            if self._address() != HOME:
                return await super().test()
            platform = PLATFORM
        model = next(iter(self._entries()))
        url = f"{check_base_url(platform, 'platform_url')}/models/pricing"
        told = await self._ask(
            "GET",
            f"{url}?endpoint_id={quote(model, safe='')}",
            headers=self._headers(self._address()),
        )
        prices = told.object().get("prices")
        count = len(prices) if isinstance(prices, list) else 0
        return f"fal answered; it tells {count} price{'' if count == 1 else 's'} for {model}."

    async def submit(self, request: JobRequest) -> JobRef:
        """Put a job into the queue."""
        entry, slot = self._entry(request), self._only_slot(request)
        images = await self._images(request)
        path = entry.send.get("edit" if images else "path") or request.model
        told = await self._ask(
            "POST",
            self._address(f"/{path}"),
            json=fal_wire.body_of(request, slot, entry, images),
            # Nobody waits for it after that.
            headers={"X-Fal-Request-Timeout": str(self._start_limit_s())},
            creates=True,
        )
        return self._ref_of(told)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Follow a job to its end."""
        events = self._follow(
            request,
            ref,
            status_url=self._own(ref.data.get("status_url")),
            response_url=self._own(ref.data.get("response_url")),
            streams=True,
        )
        async with aclosing(events):
            async for event in events:
                yield event

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"Authorization": f"Key {key.reveal()}"}

    def _start_limit_s(self) -> int:
        return max(_SHORTEST_START_S, int(self._line.patience.total_s))

    def _ref_of(self, told: Told) -> JobRef:
        """Return the reference in an answer to a submission; its addresses are kept as given."""
        value = told.object()
        id = value.get("request_id")
        if not isinstance(id, str) or not id:
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"fal took a job without naming it. Check {self._line.address_hint}.",
                maybe_sent=True,
            )
        data: dict[str, JsonValue] = {
            name: self._own(value.get(name)) for name in ("response_url", "status_url")
        }
        cancel = value.get("cancel_url")
        if isinstance(cancel, str) and self._may_have_key(cancel):
            data["cancel_url"] = cancel
        return JobRef(plain(id, limit=100), resumable=True, data=data)
