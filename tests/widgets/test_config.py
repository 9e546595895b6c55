"""The settings of the next request: checked on every change, and never in the way at opening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

import workbench as wb
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.ports import ProviderState
from workbench.providers.sketch.provider import SketchProvider
from workbench.widgets.desk import Desk
from workbench.workspace.workspace import Workspace

SIDE = Parameter(ParameterKind.INTEGER, default=256, minimum=128, maximum=512, step=64)
OTHER = Model(
    id="other:lean",
    provider="other",
    name="lean",
    title="Lean",
    help="",
    parameters={
        "width": SIDE,
        "height": SIDE,
        "steps": Parameter(ParameterKind.INTEGER, default=4, minimum=1, maximum=25),
    },
    max_images=2,
    negative_prompt=False,
    seeds=False,
)
BARE = replace(OTHER, id="other:bare", name="bare", title="Bare", parameters={}, max_images=1)


class Other(SketchProvider):
    """A provider whose models take less than the built-in one; `ready` is the test's to set."""

    name = "other"
    title = "Other"
    ready = True

    def state(self) -> ProviderState:
        return ProviderState(self.ready, "no_key", "" if self.ready else "OTHER_KEY is not set.")

    def models(self) -> Sequence[Model]:
        return [OTHER, BARE]


@pytest.fixture
def other(idle_ws: Workspace) -> Other:
    provider = Other()
    idle_ws.add_provider(provider)
    return provider


@pytest.fixture
def desk(idle_ws: Workspace) -> Desk:
    return Desk.of(idle_ws, "a notebook")


def said(desk: Desk, **changes: Any) -> str:
    before = desk.values()
    with pytest.raises(wb.InvalidRequest) as caught:
        desk.config.update(**changes)
    assert desk.values() == before
    return str(caught.value)


def test_a_new_desk_has_the_default_model_with_its_defaults(desk: Desk) -> None:
    config = desk.config
    assert (config.model, config.n, config.seed) == ("builtin:sketch", 4, None)
    assert (config.width, config.height, config.ratio_lock) == (512, 512, False)
    assert config.params["steps"] == config.steps == 20
    assert config.fail is None  # hidden ones are there for Python
    assert "fail" not in config.params


@pytest.mark.req("CFG-8")
def test_what_is_assigned_is_what_the_pages_get(desk: Desk) -> None:
    desk.config.model = "sketch"
    desk.config.seed = 2**62 + 1
    desk.config.steps = 30.0
    desk.config.params = {"palette": 0.2}
    shown = desk.snapshot()["config"]
    assert shown["seed"] == str(2**62 + 1)  # JavaScript's numbers end before
    assert shown["params"] == {"steps": 30, "style": "painterly", "palette": 0.2}
    desk.config.steps = None
    assert desk.config.steps == 20
    desk.config.seed = None
    assert desk.snapshot()["config"]["seed"] is None


@pytest.mark.req("CFG-8")
def test_what_a_page_sends_is_what_python_reads(desk: Desk) -> None:
    desk.change({"config": {"seed": "7", "width": 640.0, "params": {"steps": 5}}}, "page", 1)
    assert (desk.config.seed, desk.config.width, desk.config.steps) == (7, 640, 5)
    assert desk.config.height == 512
    assert isinstance(desk.config.width, int)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stepps": 3}, "Did you mean 'steps'"),
        ({"params": {"stepps": 3}}, "Did you mean 'steps'"),
        ({"params": {"n": 3}}, "set it by itself"),
        ({"params": 5}, "must be a dict"),
        ({"model": "sketsh"}, "Did you mean 'sketch'"),
        ({"model": 3}, "must be the name of a model"),
        ({"width": 7}, "too small"),
        ({"width": 513}, "multiple of 8"),
        ({"height": 1e300}, "too large"),
        ({"n": 0}, "too small"),
        ({"n": "2"}, "must be a number"),
        ({"seed": -1}, "too small"),
        ({"seed": 2**63}, "too large"),
        ({"seed": "x" * 10_000}, "must be a whole number"),
        ({"seed": 1.5}, "whole number"),
        ({"ratio_lock": "yes"}, "True or False"),
        ({"negative_prompt": "x" * 10_001}, "limit is 10000"),
        ({"negative_prompt": "\ud800"}, "not text"),
        ({"style": "painterley"}, "Did you mean 'painterly'"),
        ({"steps": 5, "palette": 9}, "too large"),
        ({3: 4}, "no setting"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence_and_changes_nothing(
    desk: Desk, changes: dict[Any, Any], words: str
) -> None:
    with pytest.raises(wb.InvalidRequest) as caught:
        desk.change({"config": changes})
    assert words in str(caught.value)
    assert desk.rev == 0


def test_a_name_that_nobody_has_is_an_attribute_error(desk: Desk) -> None:
    with pytest.raises(AttributeError, match="Did you mean 'steps'"):
        desk.config.stepps  # noqa: B018
    assert not hasattr(desk.config, "_repr_html_")
    assert {"steps", "width", "update"} <= set(dir(desk.config))
    with pytest.raises(TypeError):  # a view, so that nobody sets what nothing reads
        desk.config.params["steps"] = 3


@pytest.mark.req("CFG-2")
def test_another_model_keeps_what_fits_and_tells_what_it_dropped(desk: Desk, other: Other) -> None:
    desk.config.update(
        n=4, seed=7, width=256, height=640, steps=20, palette=0.1, negative_prompt="fog"
    )
    desk.config.model = "other:lean"
    config = desk.config
    assert (config.n, config.width, config.steps) == (2, 256, 20)
    assert (config.seed, config.height, config.negative_prompt) == (None, 256, "")
    assert set(config.dropped) == {"n", "seed", "height", "negative_prompt", "palette"}
    assert config.remark.startswith("Lean does not take over: ")
    assert desk.snapshot()["dropped"] == config.dropped
    config.model = "sketch"
    assert config.dropped == []
    assert config.remark == ""
    assert config.palette == 0.7


def test_a_default_that_nobody_chose_is_no_loss(desk: Desk, other: Other) -> None:
    desk.config.update(n=2)
    desk.config.model = "other:lean"
    assert desk.config.dropped == []
    assert (desk.config.width, desk.config.steps) == (256, 4)


def test_a_model_without_sizes_shows_none(desk: Desk, other: Other) -> None:
    desk.config.model = "other:bare"
    assert (desk.config.width, desk.config.height, desk.config.n) == (None, None, 1)
    assert "does not let you choose" in said(desk, width=256)
    assert "takes no seed" in said(desk, seed=1)
    desk.config.update(width=None, seed=None, negative_prompt="")


def test_model_and_its_values_are_set_in_one_change(desk: Desk, other: Other) -> None:
    assert "too large" in said(desk, model="other:lean", steps=30)
    assert desk.config.model == "builtin:sketch"
    desk.config.update(model="other:lean", steps=25, n=1)
    assert desk.config.steps == 25


def test_a_provider_that_cannot_be_used_is_refused_with_what_is_missing(
    desk: Desk, other: Other
) -> None:
    other.ready = False
    assert "OTHER_KEY is not set" in said(desk, model="other:lean")


@pytest.mark.req("CFG-3")
def test_with_the_ratio_locked_one_side_moves_the_other(desk: Desk) -> None:
    desk.config.update(width=512, height=768, ratio_lock=True)
    desk.config.width = 1024
    assert desk.config.height == 1536
    desk.config.height = 72
    assert desk.config.width == 64  # its smallest; 48 would be the ratio
    desk.config.update(width=100 * 8, height=640)  # both: a new ratio
    assert (desk.config.width, desk.config.height) == (800, 640)
    desk.config.update(ratio_lock=False, width=512)
    assert desk.config.height == 640


def test_settings_are_arguments_for_generate(idle_ws: Workspace, desk: Desk) -> None:
    desk.config.update(n=2, seed=5, width=64, height=64, steps=2, fail=[0])
    batch = idle_ws.generate("a red fox", **desk.config.settings())
    assert [generation.seed for generation in batch.generations] == [5, 6]
    assert batch.record.params["steps"] == 2
    assert batch.record.params["fail"] == [0]


def test_settings_of_one_request_change_nothing(desk: Desk, other: Other) -> None:
    desk.config.update(n=4, palette=0.2, seed=9)
    once = desk.config.settings(model="other:lean", steps=9)
    assert once["params"] == {"steps": 9}
    assert (once["n"], once["seed"], once["width"]) == (2, None, 256)
    assert desk.config.model == "builtin:sketch"
    assert desk.config.seed == 9
    with pytest.raises(wb.InvalidRequest):
        desk.config.settings(stepps=1)
