"""Paid calls of unknown outcome whose provider gave a reference: asked for once more."""

from __future__ import annotations

from workbench.domain.jobs import Idempotency
from workbench.errors import EngineClosed, StoreError
from workbench.ports import Provider
from workbench.runner.context import Context, written


async def ask_again(context: Context, provider: Provider) -> bool:
    """Queue what `provider` did not finish in time: it may be there by now.

    Done once by each process: what is still not there then waits for a person, or for the next
    start. Where the provider cannot be asked here, nothing is touched.

    Returns
    -------
        False if there is something to ask for and the provider cannot be asked yet (its key may
        come).
    """
    if provider.idempotency.kind is Idempotency.FREE:
        return True
    try:
        if not await context.reads.run(context.store.in_doubt, provider.name):
            return True
        state = await context.executor.run(provider.state)
        if not state.ready:
            return False
        await written(context.store.ask_again(provider.name))
    except EngineClosed:
        return True
    except StoreError as error:
        context.note("error", f"{provider.name} was not asked again: {error}", kind="store")
    return True
