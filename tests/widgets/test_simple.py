"""A simple widget's page never learns what its author set of hidden and advanced parameters."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.waiting import until
from tests.widgets.page_world import ALL, wired
from tests.widgets.page_world import Page as LivePage
from tests.widgets.pages import Page, Studio
from workbench.domain.parameters import Parameter, ParameterKind
from workbench.media import metadata
from workbench.widgets.operations.snapshot import snapshot
from workbench.workspace.workspace import Workspace

pytestmark = pytest.mark.req("LAY-11")

HIDDEN, ADVANCED = "SECRET-hidden", "SECRET-advanced"
NAMES = ("house_style", "lens")


class Atelier(Studio):
    """A studio with texts that only its author knows."""

    def __init__(self) -> None:
        super().__init__("atelier")
        mine = {
            "house_style": Parameter(ParameterKind.TEXT, default="", hidden=True),
            "lens": Parameter(ParameterKind.TEXT, default="50 mm", advanced=True),
        }
        self._model = replace(self._model, parameters={**self._model.parameters, **mine})


@pytest.fixture
def author(ws: Workspace) -> Workspace:
    ws.add_provider(Atelier())
    return ws


@pytest.fixture
def simple(author: Workspace) -> Iterator[Page]:
    """A simple page at a desk whose author set what only he may set."""
    page = Page(author, simple=True)
    config = page.desk.config
    config.model = "atelier:picture"
    config.update(house_style=HIDDEN, lens=ADVANCED, guidance=5, height=96, width=80)
    yield page
    page.files.close()


def tells_nothing(*said: object) -> None:
    text = json.dumps(said, default=repr)
    for word in ("SECRET", "50 mm", *NAMES):
        assert word not in text


def picture(page: Page) -> tuple[str, str]:
    """Ids of a finished batch and of its picture."""
    row = page.ask("submit", prompt="a fox", client_key="k1", n=1)["batch"]
    batch = page.workspace.batch(row["id"]).wait(60)
    assert batch.record.params["house_style"] == HIDDEN, "it was used all the same"
    assert batch.record.params["lens"] == ADVANCED
    return batch.id, batch.generations[0].id


def test_no_answer_tells_what_only_the_author_sets(simple: Page) -> None:
    answer = simple.ask("submit", prompt="a hare", client_key="k0", n=1)
    assert answer["batch"]["params"] == {"guidance": 5}
    batch, generation = picture(simple)
    topic = simple.workspace.batch(batch).topic.id
    feed = simple.ask("topic.open", topic_id=topic, limit=1)
    details = simple.ask("generation", id=generation)
    assert details["params"] == details["batch"]["params"] == {"guidance": 5}
    tells_nothing(
        answer,
        feed,
        details,
        simple.ask("page", topic_id=topic, cursor=feed["older"], direction="older"),
        simple.ask("batch", id=batch),
        simple.ask("walk", id=generation, direction="next"),
        simple.ask("python", batch_id=batch),
        simple.ask("estimate"),
        simple.ask("judge", generation_id=generation, rating=3),
        simple.ask("desk.set", n=1, config={"params": {"guidance": 6}}),
        snapshot(simple.context(), ALL),
    )


def test_the_desk_of_a_page_is_its_own_part_of_the_desk(simple: Page) -> None:
    config = snapshot(simple.context(), ALL)["desk"]["config"]
    assert config["params"] == {"guidance": 5}
    assert (config["width"], config["height"]) == (80, None)
    full = snapshot(Page(simple.workspace).context(), ALL)["desk"]["config"]
    assert full["params"] == {
        "guidance": 5,
        "sampler": "a",
        "lens": ADVANCED,
        "house_style": HIDDEN,
    }
    assert full["height"] == 96
    # What the page sends back as it knows it leaves the author's settings alone.
    simple.ask("desk.set", n=2, config={**config, "n": 2})
    values = simple.desk.values()
    assert (values["n"], values["height"]) == (2, 96)
    assert values["params"]["house_style"] == HIDDEN
    assert values["params"]["lens"] == ADVANCED


def test_what_a_change_of_model_dropped_is_named_as_far_as_it_was_seen(simple: Page) -> None:
    simple.desk.config.negative_prompt = None
    simple.ask("desk.set", n=1, config={"model": "sketch"})
    assert {"guidance", *NAMES} <= set(simple.desk.dropped)
    desk = snapshot(simple.context(), ALL)["desk"]
    assert desk["dropped"] == ["guidance"]
    assert desk["remark"] == ""
    tells_nothing(desk)
    full = snapshot(Page(simple.workspace).context(), ALL)["desk"]
    assert "house_style" in full["remark"]


def test_python_code_of_a_page_has_what_the_page_knows(simple: Page) -> None:
    batch, _ = picture(simple)
    text = simple.ask("python", batch_id=batch)["text"]
    assert "params={'guidance': 5}" in text
    assert Page(simple.workspace).ask("python", batch_id=batch)["text"] == (
        simple.workspace.batch(batch).to_python()
    )


def test_files_say_what_the_page_may_know(simple: Page) -> None:
    batch, generation = picture(simple)
    opened, data = simple.download("original", generation)
    inside = metadata.read(data)
    assert inside is not None
    assert inside["params"] == {"guidance": 5}
    assert inside["prompt"] == "a fox"
    tells_nothing(opened, inside)
    for kind in ("zip", "everything"):
        opened = simple.ask("file.open", kind=kind, **({"id": batch} if kind == "zip" else {}))
        read = simple.answer("file.read", handle=opened["handle"], offset=0)
        assert read.data["end"]
        with zipfile.ZipFile(io.BytesIO(read.buffers[0])) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            assert [image["params"] for image in manifest["images"]] == [{"guidance": 5}]
            (name,) = manifest["files"]
            tells_nothing(manifest, metadata.read(archive.read(name)))
    _, data = Page(simple.workspace).download("original", generation)
    inside = metadata.read(data)
    assert inside is not None
    assert inside["params"]["house_style"] == HIDDEN


def test_a_model_that_is_gone_keeps_its_secrets(simple: Page) -> None:
    batch, generation = picture(simple)
    registry = simple.workspace._engine.registry
    del registry.providers["atelier"]
    assert simple.ask("batch", id=batch)["batch"]["params"] == {}
    tells_nothing(simple.ask("generation", id=generation), snapshot(simple.context(), ALL))


def test_deltas_and_pushes_tell_nothing_either(author: Workspace) -> None:
    with wired(author, simple=True) as (channel, wire):
        config = channel._desk.config
        config.model = "atelier:picture"
        page = LivePage(wire)
        page.hello()
        config.update(house_style=HIDDEN, lens=ADVANCED, guidance=4)
        until(
            lambda: any(
                p["desk"]["config"]["params"] == {"guidance": 4} for p in page.heard("desk")
            ),
            "the push of the desk",
        )
        answer = page.call("submit", prompt="a fox", client_key="k1")
        until(lambda: page.statuses() and set(page.statuses()) == {"completed"}, "the picture")
        (row,) = page.of("batch").values()
        assert row["params"] == answer["batch"]["params"] == {"guidance": 4}
        page.since()
        tells_nothing([content for _, content in wire.sent])
        channel.simple = False
        config.guidance = 3
        until(
            lambda: any("lens" in p["desk"]["config"]["params"] for p in page.heard("desk")),
            "all of it, for a widget that is not simple any more",
        )


def test_a_full_widget_sees_all_as_before(author: Workspace) -> None:
    page = Page(author)
    page.desk.config.model = "atelier:picture"
    page.desk.config.update(lens=ADVANCED, guidance=4)
    row: dict[str, Any] = page.ask("submit", prompt="a fox", client_key="k1")["batch"]
    assert row["params"]["lens"] == ADVANCED
    page.files.close()
