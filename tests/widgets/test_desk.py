"""One desk per notebook: shared, kept, and right again whatever happened meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until, until_collected
from workbench.widgets import desk as desk_module
from workbench.widgets.desk import Desk
from workbench.widgets.notebook import notebook_key
from workbench.workspace.workspace import Workspace

REPOSITORY = Path(__file__).parents[2]
KEY = "a notebook"


def stored(ws: Workspace, key: str = KEY) -> Any:
    return ws._engine.store.preference(ws.user, f"desk:{key}")


def keep(ws: Workspace, value: Any) -> None:
    ws._engine.store.set_preference(ws.user, f"desk:{KEY}", value).result()


def test_widgets_of_one_notebook_share_a_desk(idle_ws: Workspace) -> None:
    desk = Desk.of(idle_ws, KEY)
    with wb.open(idle_ws.path, user=idle_ws.user, run_jobs=False) as again:
        assert Desk.of(again, KEY) is desk
        assert Desk.of(again, "another") is not desk
    with wb.open(idle_ws.path, user="bob", run_jobs=False) as other:
        assert Desk.of(other, KEY) is not desk


def test_changes_are_told_with_who_made_them(idle_ws: Workspace) -> None:
    desk = Desk.of(idle_ws, KEY)
    told: list[Any] = []
    stop = desk.subscribe(lambda *change: told.append(change))
    desk.change({"draft": "a red fox"}, "page", 4)
    desk.change({"draft": "a red fox"}, "page", 5)  # nothing new
    desk.change({"panels": {"config_open": False}})
    stop()
    stop()
    desk.change({"draft": ""})
    assert told == [(1, "page", 4), (2, None, None)]


@pytest.mark.req("CFG-7")
def test_everything_is_there_again_in_the_next_process(idle_ws: Workspace) -> None:
    topic = idle_ws.create_topic("Foxes")
    image = idle_ws.generate("a fox", topic=topic).generations[0]
    desk = Desk.of(idle_ws, KEY)
    desk.change(
        {
            "config": {"ratio_lock": True, "seed": 2**62, "steps": 3, "width": 768, "height": 512},
            "draft": "unsent \N{FOX FACE}",
            "topic_id": topic.id,
            "selection": [image.id],
            "panels": {"topics_open": False, "topics_width": 233.4},
        }
    )
    before = desk.snapshot()
    until(lambda: stored(idle_ws))
    code = f"""
import json, workbench as wb
from workbench.widgets.desk import Desk
with wb.open({str(idle_ws.path)!r}, user="ada", run_jobs=False) as ws:
    print(json.dumps(Desk.of(ws, {KEY!r}).snapshot()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    import json

    assert json.loads(done.stdout) == before
    assert before["panels"] == {"topics_open": False, "topics_width": 233}


@pytest.mark.req("CFG-7")
def test_a_process_that_ends_at_once_keeps_the_last_letters(workspace_home: Path) -> None:
    folder = workspace_home / "ws"
    code = f"""
import workbench as wb
from workbench.widgets.desk import Desk
ws = wb.open({str(folder)!r}, user="ada")
desk = Desk.of(ws, {KEY!r})
for end in range(1, 20):
    desk.change({{"draft": "x" * end}})
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
    with wb.open(folder, user="ada", run_jobs=False) as ws:
        assert Desk.of(ws, KEY).draft == "x" * 19


def test_many_changes_are_few_writes(idle_ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk.of(idle_ws, KEY)
    loop = idle_ws._engine.loop.loop
    armed: list[float] = []
    written: list[Any] = []
    call_later = loop.call_later

    def arm(delay: float, work: Any, *given: Any, **more: Any) -> Any:
        # The desk's timer is rung below: 200 changes may take a slow machine longer than that.
        if work == desk._save:
            armed.append(delay)
            return None
        return call_later(delay, work, *given, **more)

    original = desk._engine.store.set_preference

    def counting(*given: Any) -> Any:
        written.append(given)
        return original(*given)

    monkeypatch.setattr(loop, "call_later", arm)
    monkeypatch.setattr(desk._engine.store, "set_preference", counting)
    for number in range(200):
        desk.change({"draft": str(number)})
    until(lambda: armed, "it sets its timer")
    assert written == []
    loop.call_soon_threadsafe(desk._save)
    until(lambda: written, "it writes")
    desk.flush()
    assert (armed, len(written)) == ([desk_module._SAVE_AFTER_S], 1)
    assert stored(idle_ws)["draft"] == "199"


@pytest.mark.req("CFG-7")
@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        [],
        {},
        {"config": None, "draft": 5, "topic_id": {}, "selection": "x", "panels": []},
        {"config": {"model": 7, "params": [1], "n": "many"}, "selection": [1]},
        {"config": {"model": "gone:model", "params": {"gone": 1}}, "topic_id": "0" * 26},
        {"config": {"model": "sketch", "width": 63, "seed": -4, "params": {"steps": 10**9}}},
    ],
)
def test_whatever_was_stored_a_desk_opens(idle_ws: Workspace, value: Any) -> None:
    keep(idle_ws, value)
    desk = Desk.of(idle_ws, KEY)
    shown = desk.snapshot()
    assert shown["config"]["model"] == "builtin:sketch"
    assert shown["config"]["width"] == 512
    assert (shown["draft"], shown["topic_id"], shown["selection"]) == ("", None, [])


@pytest.mark.req("CFG-7", "CFG-1")
def test_a_model_that_is_gone_gives_way_with_a_remark(idle_ws: Workspace) -> None:
    keep(idle_ws, {"config": {"model": "gone:model", "n": 3, "params": {"guidance": 4}}})
    desk = Desk.of(idle_ws, KEY)
    assert desk.config.model == "builtin:sketch"
    assert desk.config.n == 3
    assert desk.config.dropped == ["guidance"]
    assert desk.config.remark == "gone:model cannot be used here any more; Sketch took its place."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drafts": ""}, "Did you mean 'draft'"),
        ({"draft": None}, "must be text"),
        ({"draft": "x" * 10_001}, "10,001 characters"),
        ({"draft": "\0"}, "not text"),
        ({"topic_id": 7}, "must be a topic"),
        ({"topic_id": "0" * 26}, "There is no topic"),
        ({"topic_id": "../etc"}, "There is no topic"),
        ({"selection": "abc"}, "list of ids"),
        ({"selection": ["x"]}, "no id of a generation"),
        ({"selection": ["0" * 26] * 501}, "more than 500"),
        ({"panels": {"config_with": 3}}, "Did you mean 'config_width'"),
        ({"panels": {"config_width": float("nan")}}, "whole number"),
        ({"panels": {"config_width": 10**9}}, "from 0 to"),
        ({"config": 5}, "settings by name"),
    ],
)
def test_a_wrong_change_is_refused_whole(
    idle_ws: Workspace, changes: dict[str, Any], words: str
) -> None:
    desk = Desk.of(idle_ws, KEY)
    with pytest.raises(wb.WorkbenchError) as caught:
        desk.change({"panels": {"topics_open": True}, **changes})
    assert words in str(caught.value)
    assert desk.rev == 0


# -- topics that come and go ------------------------------------------------------------------


def test_the_first_topic_that_appears_is_opened(idle_ws: Workspace) -> None:
    desk = Desk.of(idle_ws, KEY)
    desk.subscribe(lambda *_: None)
    assert desk.topic_id is None
    first = idle_ws.generate("a red fox").topic
    until(lambda: desk.topic_id == first.id)
    idle_ws.create_topic("Another")
    assert desk.topic_id == first.id  # what is open stays open


def test_no_topic_that_a_person_chose_stays_none(idle_ws: Workspace) -> None:
    idle_ws.create_topic("Foxes")
    desk = Desk.of(idle_ws, KEY)
    assert desk.topic_id is not None
    desk.change({"topic_id": ""})
    idle_ws.create_topic("Another")
    assert desk.topic_id is None


@pytest.mark.req("TOP-6")
def test_a_topic_that_is_deleted_leaves_its_neighbour(idle_ws: Workspace) -> None:
    topics = [idle_ws.create_topic(title) for title in "abc"]
    desk = Desk.of(idle_ws, KEY)
    told = threading.Event()
    desk.subscribe(lambda *_: told.set())
    desk.change({"topic_id": topics[1].id, "selection": []})
    told.clear()
    below = topics[1].neighbour()
    topics[1].delete()
    assert told.wait(45)  # nobody asked; the feed said it
    assert below is not None
    assert desk.topic_id == below.id
    for topic in topics:
        topic.delete()
    assert desk.topic_id is None
    with pytest.raises(wb.InvalidRequest, match="in the trash"):
        desk.change({"topic_id": topics[0].id})


def test_a_topic_that_was_purged_meanwhile_is_no_error(idle_ws: Workspace) -> None:
    topic = idle_ws.create_topic("Foxes")
    keep(idle_ws, {"topic_id": topic.id, "draft": "kept"})
    topic.delete()
    idle_ws.empty_trash()
    assert Desk.of(idle_ws, KEY).snapshot()["topic_id"] is None
    assert Desk.of(idle_ws, KEY).draft == "kept"


def test_another_topic_clears_the_selection(idle_ws: Workspace) -> None:
    image = idle_ws.generate("a fox").generations[0]
    other = idle_ws.create_topic("Another")
    desk = Desk.of(idle_ws, KEY)
    desk.change({"topic_id": image.batch.topic.id, "selection": [image.id, image.id]})
    assert desk.selection == (image.id,)
    desk.change({"topic_id": other.id})
    assert desk.selection == ()


# -- threads and lives ------------------------------------------------------------------------


def test_changes_of_many_threads_all_count(idle_ws: Workspace) -> None:
    desk = Desk.of(idle_ws, KEY)
    revs: list[int] = []
    desk.subscribe(lambda rev, *_: revs.append(rev))

    def change(name: str) -> None:
        for number in range(1, 51):
            if name == "steps":
                desk.config.steps = number
            else:
                desk.change({"panels": {name: number}})

    threads = [
        threading.Thread(target=change, args=[name])
        for name in ("steps", "config_width", "topics_width")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.config.steps == 50
    assert desk.snapshot()["panels"] == {"config_width": 50, "topics_width": 50}
    assert sorted(revs) == list(range(1, 151))


def test_a_desk_that_nobody_uses_is_freed_and_a_closed_one_says_so(idle_ws: Workspace) -> None:
    import weakref

    desk = Desk.of(idle_ws, KEY)
    stop = desk.subscribe(lambda *_: None)
    stop()
    gone = weakref.ref(desk)
    del desk, stop
    until_collected(gone, "the desk")
    desk = Desk.of(idle_ws, KEY)
    desk.change({"draft": "kept"})
    idle_ws.close()
    assert desk.snapshot()["draft"] == "kept"
    with pytest.raises(wb.EngineClosed):
        desk.change({"draft": "lost"})
    desk.flush()


# -- which notebook ---------------------------------------------------------------------------


def test_a_project_that_is_moved_as_a_whole_keeps_its_desks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(session: str, folder: Path) -> str:
        monkeypatch.setenv("JPY_SESSION_NAME", session)
        return notebook_key(folder)

    here, there = tmp_path / "here", tmp_path / "there"
    first = key(str(here / "deep" / "n.ipynb"), here / ".workbench")
    assert first == key(str(there / "deep" / "n.ipynb"), there / ".workbench")
    assert first != key(str(here / "n.ipynb"), here / ".workbench")
    assert "n.ipynb" not in first
    assert key("console-1", here) == "default"
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert notebook_key(Path(os.curdir)) == "default"
