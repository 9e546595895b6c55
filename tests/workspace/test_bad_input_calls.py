"""Every argument of every public call, with everything that it was not made for.

The answer is a sentence (a WorkbenchError), and nothing was written; never an error from inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.workspace.odd_world import OddWorld, files_without_rows, odd_world, png, try_everything

Calls = Callable[[OddWorld], dict[str, Callable[[Any], Any]]]


@pytest.fixture
def world(workspace_home) -> Iterator[OddWorld]:
    with odd_world(workspace_home) as opened:
        yield opened


def _opening(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    place = w.folder / "ws"
    return {
        "open": lambda v: wb.open(v, run_jobs=False).close(),
        "open.user": lambda v: wb.open(place, user=v, run_jobs=False).close(),
        "open.team": lambda v: wb.open(place, team=v, run_jobs=False).close(),
        # True and None would run what the others wait for.
        "open.run_jobs": lambda v: v is None or _is_flag(v) or wb.open(place, run_jobs=v).close(),
        "close.wait": lambda v: _is_flag(v) or w.ws.close(wait=v),
    }


def _is_flag(value: object) -> bool:
    return isinstance(value, (bool, np.bool_))


def _generating(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    names = (
        *("prompt", "model", "n", "seed", "width", "height", "negative_prompt", "references"),
        *("topic", "params", "priority", "client_key", "force"),
        *("steps", "style", "palette", "fail", "delay_ms"),
    )
    calls = {
        f"generate.{name}": lambda v, name=name: w.ws.generate(**{"prompt": "x", name: v})
        for name in names
    }
    calls |= {
        f"generate.params.{name}": lambda v, name=name: w.ws.generate("x", params={name: v})
        for name in ("steps", "style", "fail")
    }
    calls["generate.references[0]"] = lambda v: w.ws.generate("x", references=[v])
    calls["generate.twice"] = lambda v: w.ws.generate("x", params={"steps": v}, steps=v)
    calls["topic.generate"] = w.topic.generate
    return calls


def _importing(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    data = png("teal")
    return {
        "import_images": w.ws.import_images,
        "import_images[0]": lambda v: w.ws.import_images([v]),
        "import_images.topic": lambda v: w.ws.import_images([data], topic=v),
        "import_images.client_key": lambda v: w.ws.import_images([data], client_key=v),
    }


def _projects_and_topics(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    return {
        "project": w.ws.project,
        "create_project": w.ws.create_project,
        "project.title": lambda v: setattr(w.project, "title", v),
        "project.create_topic": w.project.create_topic,
        "topic": w.ws.topic,
        "topics": w.ws.topics,
        "create_topic": w.ws.create_topic,
        "create_topic.project": lambda v: w.ws.create_topic("x", project=v),
        "topic.title": lambda v: setattr(w.topic, "title", v),
        "topic.project": lambda v: setattr(w.topic, "project", v),
        "topic.visibility": lambda v: setattr(w.topic, "visibility", v),
        "topic.set_cover": w.topic.set_cover,
        "topic.batches": w.topic.batches,
        "topic.batches.cursor": lambda v: w.topic.batches(cursor=v),
        "say": lambda v: w.ws.say(v, "hello"),
        "say.text": lambda v: w.ws.say(w.topic, v),
        "messages": w.ws.messages,
        "messages.limit": lambda v: w.ws.messages(w.topic, limit=v),
        "messages.cursor": lambda v: w.ws.messages(w.topic, cursor=v),
    }


def _pages(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    filters = ("status", "provider", "model", "search", "topic", "include_failed")
    calls = {
        f"generations.{name}": lambda v, name=name: w.ws.generations(**{name: v})
        for name in ("limit", "cursor", "order", *filters)
    }
    calls |= {f"frame.{name}": lambda v, name=name: w.ws.frame(**{name: v}) for name in filters}
    calls["generations.status[0]"] = lambda v: w.ws.generations(status=[v])
    calls["batch"] = w.ws.batch
    calls["generation"] = w.ws.generation
    return calls


def _handles(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    whole = w.ws.batch(w.picture.batch.id)
    calls = {
        f"generation.{name}": lambda v, name=name: setattr(w.generation, name, v)
        for name in ("rating", "favourite", "tags", "note")
    }
    calls |= {
        f"edit.{name}": lambda v, name=name: w.generation.edit(**{name: v})
        for name in ("seed", "steps", "width", "prompt", "style", "fail", "colour")
    }
    return calls | {
        "generation.tags[0]": lambda v: setattr(w.generation, "tags", [v]),
        "generation.resolve": w.generation.resolve,
        "generation.wait": w.picture.wait,
        "generation.thumbnail": w.picture.thumbnail,
        "generation.save": w.picture.save,
        "generation.save.metadata": lambda v: w.picture.save(w.folder, v),
        "batch.wait": whole.wait,
        "batch.to_zip": whole.to_zip,
        "batch.all_generations": lambda v: whole.all_generations(history=v),
    }


def _queue_and_trash(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    return {
        "cancel_all": lambda v: v is None or w.ws.cancel_all(v),
        "cancel_all.all_users": lambda v: w.ws.cancel_all(w.topic, all_users=v),
        "pause": lambda v: w.ws.pause(all_users=v),
        "resume": lambda v: w.ws.resume(all_users=v),
        "restore": w.ws.restore,
    }


def _money(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    return {
        "grant": w.ws.grant,
        "grant.reason": lambda v: w.ws.grant(1, v),
        "grant.unit": lambda v: w.ws.grant(1, "x", v),
        "set_price": lambda v: w.ws.set_price(v, 0),
        "set_price.amount": lambda v: w.ws.set_price("sketch", v),
        "set_price.unit": lambda v: w.ws.set_price("sketch", 0, v),
        "budget": w.ws.budget,
        "budget.unit": lambda v: w.ws.budget(1, v),
        "model": w.ws.model,
        "add_provider": w.ws.add_provider,
    }


def _feed(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    def follow(since: Any) -> None:
        async def one() -> None:
            changes = w.ws.follow(since)
            try:
                async with asyncio.timeout(0.005):  # None, and good cursors, wait for news
                    await anext(changes)
            finally:
                await changes.aclose()

        asyncio.run(one())

    return {
        "changes": w.ws.changes,
        "changes.limit": lambda v: w.ws.changes(None, v),
        "changes.limit of a page": lambda v: w.ws.changes(w.ws.changes().cursor, v),
        "follow": follow,
        "on": lambda v: w.ws.on(v, print)(),
        "on.callback": lambda v: w.ws.on("topic_insert", v)(),
        "debug.entries": w.ws.debug.entries,
        "debug.entries.kind": lambda v: w.ws.debug.entries(5, v),
        "debug.frame": w.ws.debug.frame,
    }


def _tables(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    def apply(column: str) -> Callable[[Any], Any]:
        def call(value: Any) -> None:
            cells = np.empty(1, dtype=object)
            cells[0] = value
            frame = pd.DataFrame({column: pd.Series(cells, index=[w.generation.id], dtype=object)})
            w.ws.apply_frame(frame)

        return call

    return {
        "sql": w.ws.sql,
        "sql.parameters": lambda v: w.ws.sql("select ?", v),
        "sql.parameters[0]": lambda v: w.ws.sql("select ?", [v]),
        "sql.parameters.name": lambda v: w.ws.sql("select :a", {"a": v}),
        "apply_frame": w.ws.apply_frame,
        **{f"apply_frame.{name}": apply(name) for name in ("rating", "favourite", "tags", "note")},
        "backup": w.ws.backup,
    }


def _status_helpers(w: OddWorld) -> dict[str, Callable[[Any], Any]]:
    sha = "0" * 64
    return {
        "generation_status_display": wb.generation_status_display,
        "is_terminal": wb.is_terminal,
        "map_asset_to_generation": lambda v: wb.map_asset_to_generation(v, [w.generation]),
        "map_asset_to_generation.generations": lambda v: wb.map_asset_to_generation(sha, v),
        "map_asset_to_generation[0]": lambda v: wb.map_asset_to_generation(sha, [v]),
        "assets_with_active_generations": wb.assets_with_active_generations,
        "assets_with_active_generations[0]": lambda v: wb.assets_with_active_generations([v]),
        "assets_with_failed_generations": wb.assets_with_failed_generations,
        "media_card_status": lambda v: wb.media_card_status(w.ws, v),
        "media_card_status.workspace": lambda v: wb.media_card_status(v, sha),
        "media_card_status_batch": lambda v: wb.media_card_status_batch(w.ws, v),
        "media_card_status_batch[0]": lambda v: wb.media_card_status_batch(w.ws, [v]),
    }


@pytest.mark.req("RES-4")
@pytest.mark.parametrize(
    "calls",
    [
        _opening,
        _generating,
        _importing,
        _projects_and_topics,
        _pages,
        _handles,
        _queue_and_trash,
        _money,
        _feed,
        _tables,
        _status_helpers,
    ],
    ids=lambda calls: calls.__name__.strip("_"),
)
def test_no_value_gets_further_than_a_sentence(world: OddWorld, calls: Calls):
    assert try_everything(world, calls(world)) == []
    assert files_without_rows(world.ws) == set()
    problems = world.ws.doctor().problems
    assert problems == []


def test_handles_of_what_is_gone_answer_with_a_sentence_and_can_always_be_shown(world):
    gone = (
        *(world.purged_project, world.purged_topic, world.purged_batch, world.purged_generation),
        *(world.closed_topic, world.closed_batch, world.closed_generation),
    )
    for handle in gone:
        assert handle.id in repr(handle)
        shown = [name for name in dir(type(handle)) if not name.startswith("__")]
        needs = {"edit", "resolve", "save", "to_zip", "set_cover", "generate", "create_topic"}
        for name in shown:
            if name in needs or (name.startswith("_") and name != "_repr_mimebundle_"):
                continue
            try:
                member = getattr(handle, name)
                answer = member() if callable(member) else member
            except wb.WorkbenchError:
                continue
            pytest.fail(f"{handle!r}.{name} answered {answer!r}")
    for call in (
        lambda: world.closed_generation.edit(seed=1),
        lambda: world.closed_generation.resolve("retry"),
        lambda: world.closed_generation.save(world.folder),
        lambda: world.purged_generation.save(world.folder),
        lambda: world.closed_batch.to_zip(world.folder),
        lambda: world.closed_topic.generate("x"),
        lambda: world.purged_topic.generate("x"),
        lambda: setattr(world.purged_generation, "rating", 3),
        lambda: setattr(world.closed_generation, "tags", {"x"}),
        lambda: asyncio.run(world.purged_batch._wait()),
        lambda: asyncio.run(world.closed_generation._wait()),
    ):
        with pytest.raises(wb.WorkbenchError):
            call()


def test_every_call_on_a_closed_workspace_says_that_it_is_closed(world):
    closed = world.closed
    for call in (
        lambda: closed.generate("x"),
        lambda: closed.import_images([png("red")]),
        closed.projects,
        lambda: closed.create_project("x"),
        closed.topics,
        lambda: closed.create_topic("x"),
        closed.generations,
        closed.frame,
        lambda: closed.apply_frame(pd.DataFrame({"rating": []})),
        lambda: closed.sql("select 1"),
        closed.changes,
        lambda: closed.on("topic_insert", print),
        closed.debug.frame,
        lambda: closed.balance,
        closed.balances,
        closed.ledger,
        lambda: closed.grant(1),
        lambda: closed.set_price("sketch", 1),
        lambda: closed.budget(1),
        closed.trash,
        lambda: closed.restore("x"),
        closed.empty_trash,
        closed.pause,
        closed.resume,
        lambda: closed.paused,
        closed.cancel_all,
        closed.providers,
        closed.models,
        lambda: closed.model("sketch"),
        lambda: closed.add_provider(object()),
        lambda: closed.messages("x"),
        lambda: closed.say("x", "y"),
        closed.doctor,
        lambda: closed.backup(world.folder / "copy"),
        closed.wait,
        lambda: asyncio.run(closed.idle()),
        closed.__enter__,
        lambda: wb.media_card_status(closed, "0" * 64),
    ):
        with pytest.raises(wb.EngineClosed, match=r"closed.*open"):
            call()
    assert "closed" in repr(closed)
    closed.close()
    asyncio.run(closed.aclose())
