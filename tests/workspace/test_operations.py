"""What is to be done with the images that go in: generate, edit, inpaint, variation, upscale."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import workbench as wb
from workbench.domain.jobs import Done, ImageReady, JobEvent, JobRef, JobRequest
from workbench.domain.parameters import Model
from workbench.domain.status import Operation
from workbench.testing.pictures import png
from workbench.testing.providers import FakeProvider
from workbench.workspace.workspace import Workspace

MODEL = "darkroom:all"


class Darkroom(FakeProvider):
    """Notes what it is asked for."""

    name = "darkroom"

    def __init__(self) -> None:
        super().__init__(name="darkroom")
        self.asked: list[JobRequest] = []

    def models(self) -> list[Model]:
        def model(name: str, *operations: Operation) -> Model:
            return Model(
                f"darkroom:{name}", "darkroom", name, name, "", {}, operations, max_references=3
            )

        every = [one for one in Operation if one is not Operation.IMPORT]
        return [
            model("all", *every),
            model("edit", Operation.EDIT),
            model("plain", Operation.GENERATE),
        ]

    async def submit(self, request: JobRequest) -> JobRef:
        self.asked.append(request)
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        for slot in request.slots:
            yield ImageReady(png(f"{request.prompt}{slot.index}"), slot.index)
        yield Done()


@pytest.fixture
def darkroom() -> Darkroom:
    return Darkroom()


@pytest.fixture
def ws(workspace_home: object, darkroom: Darkroom) -> Iterator[Workspace]:
    with wb.open() as workspace:
        workspace.add_provider(darkroom)
        yield workspace


@pytest.mark.req("PRV-8")
def test_images_go_in_with_their_role_and_place(ws: Workspace, darkroom: Darkroom) -> None:
    source, mask, one, two = (png(name) for name in ("source", "mask", "one", "two"))
    done = ws.generate("a fox", model=MODEL, source=source, mask=mask, references=[one, two]).wait(
        30
    )
    assert done.status == "completed"
    (asked,) = darkroom.asked
    assert asked.operation is Operation.INPAINT
    found = {(given.role, given.position): given.read() for given in asked.inputs}
    assert found == {
        ("source", 0): source,
        ("mask", 0): mask,
        ("reference", 0): one,
        ("reference", 1): two,
    }
    (generation,) = done.generations
    assert generation.operation == "inpaint"
    assert list(ws.frame().operation) == ["inpaint"]


@pytest.mark.req("PRV-8")
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "generate"),
        ({"references": [png("r")]}, "generate"),
        ({"source": png("s")}, "edit"),
        ({"source": png("s"), "mask": png("m")}, "inpaint"),
        ({"source": png("s"), "operation": "upscale"}, "upscale"),
        ({"references": [png("r")], "operation": "variation"}, "variation"),
    ],
)
def test_the_operation_follows_from_what_is_given(
    ws: Workspace, given: dict[str, object], wanted: str
) -> None:
    batch = ws.generate("a fox", model=MODEL, **given)  # type: ignore[arg-type]
    assert batch.generations[0].operation == wanted
    assert batch.wait(30).status == "completed"


@pytest.mark.req("PRV-8")
def test_a_model_that_only_edits_takes_references_for_that(ws: Workspace) -> None:
    batch = ws.generate("a fox", model="darkroom:edit", references=[png("r")])
    assert batch.generations[0].operation == "edit"
    again = batch.wait(30).generations[0]
    assert again.status == "completed"


@pytest.mark.req("PRV-8")
@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"operation": "inpant"}, "operation", "Did you mean 'inpaint'"),
        ({"operation": 7}, "operation", "no operation"),
        ({"operation": "import"}, "operation", "no operation"),
        ({"operation": "upscale"}, "source", "needs an image"),
        ({"operation": "inpaint", "source": png("s")}, "mask", "is missing"),
        ({"operation": "edit", "source": png("s"), "mask": png("m")}, "mask", "not for edit"),
        ({"operation": "generate", "source": png("s")}, "source", "begins from nothing"),
        ({"mask": png("m")}, "source", "is missing"),
        ({"source": b"no picture"}, "source", "image"),
        ({"source": png("s"), "model": "darkroom:plain"}, "operation", "does not do edit"),
        ({"source": png("s"), "model": "sketch"}, "operation", "does not do edit"),
        ({"model": "darkroom:edit"}, "operation", "does not do generate"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_stored(
    ws: Workspace, given: dict[str, object], field: str, sentence: str
) -> None:
    with pytest.raises(wb.InvalidRequest, match=sentence) as caught:
        ws.generate("a fox", **{"model": MODEL, **given})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert ws.topics() == []
    assert list((ws.path / "images").rglob("*.png")) == []
