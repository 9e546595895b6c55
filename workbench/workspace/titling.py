"""Titles of topics by a text model, where the settings name one (``[titles]``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workbench.errors import EngineClosed, NotFound, WorkbenchError

if TYPE_CHECKING:
    from workbench.domain.records import BatchRecord, Identity
    from workbench.workspace.engine import Engine

_WITHIN_S = 60.0  # nobody waits for it, but a title that changes later would surprise


def title_later(engine: Engine, identity: Identity, batch: BatchRecord, prompt: str) -> None:
    """Have the text model of the settings title the topic of its first batch, in the background.

    Until then, and if the model does not answer, the title is made from the prompt. A title that a
    user gave is never touched.

    Parameters
    ----------
    engine:
        Whose settings and store.
    identity:
        Who made the batch.
    batch:
        Just stored.
    prompt:
        Its whole prompt.
    """
    if not engine.settings.titles_model:
        return
    try:
        topic = engine.store.topic(identity, batch.topic_id)
        batches, _ = engine.store.batches(identity, topic.id, limit=2)
        if topic.title_source == "prompt" and len(batches) == 1:
            engine.run_behind("Titling a topic", _title(engine, identity, topic.id, prompt))
    except (EngineClosed, NotFound):
        return  # the batch is stored; its topic went meanwhile, or the workspace is being closed


async def _title(engine: Engine, identity: Identity, topic_id: str, prompt: str) -> None:
    from workbench.providers.text import suggest_title, text_model

    model = text_model(engine.settings.titles_model)
    try:
        async with asyncio.timeout(_WITHIN_S):
            title = await suggest_title(model, prompt)
        if title is not None:
            named = engine.store.update_topic(identity, topic_id, title=title, title_source="model")
            await engine.finished(named)
    except EngineClosed:
        return
    except (WorkbenchError, TimeoutError) as error:
        said = str(error) or "It did not answer in time."
        engine.store.log("warning", "titles", f"No title by a text model: {said}")
    finally:
        await model.close()
