"""Replicate's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.providers.replicate.world import (
    SDXL,
    added,
    creates,
    data_url,
    document,
    given,
    request_for,
)
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError, ErrorKind, InvalidRequest, ProviderError
from workbench.providers.catalogue import entry_of
from workbench.providers.replicate import Replicate
from workbench.providers.replicate_schema import entry_of_schema, parameters_of_schema
from workbench.providers.replicate_wire import kind_of, pictures_of, progress_of
from workbench.testing.emulators.replicate_models import MODELS, wrong_in
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- any model -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("model", sorted(MODELS))
async def test_every_model_can_be_discovered_and_used(server, model, opened):
    finder = opened(server)
    entry = await finder.discover(model)
    assert json.loads(json.dumps(entry)) == entry
    provider = opened(server, models=[entry])
    (offered,) = [one for one in provider.models() if one.name == model]
    assert offered.id == f"rep:{model}"
    source = given("source", png("a"))
    inputs = () if Operation.GENERATE in offered.operations else (source, given("mask", png("m")))
    params = {
        name: value for name, value in offered.defaults().items() if name not in ("width", "height")
    }
    ref = await provider.submit(request_for(model, params=params, inputs=inputs))
    assert ref.remote_id in server.predictions


async def test_a_discovered_model_goes_through_the_engine(ws, server, opened):
    finder = opened(server)
    known = f"stability-ai/sdxl:{SDXL}"
    entry = await finder.discover(known)
    assert entry["send"]["version"] == SDXL
    assert entry["send"]["rename"] == {
        "steps": "num_inference_steps",
        "guidance": "guidance_scale",
    }
    assert entry["operations"] == ["generate", "edit", "inpaint"]
    assert entry["negative_prompt"]
    assert "usd" not in entry
    assert "disable_safety_checker" not in entry["parameters"]
    assert "num_outputs" not in entry["parameters"]
    assert list(entry["parameters"])[:2] == ["width", "height"]
    added(ws, server, models=[entry])
    done = await ws.generate("a fox", model=f"rep:{known}", steps=3, width=512, height=512)
    assert done.status == "completed"


@pytest.mark.req("PRV-2", "TOK-6")
async def test_a_refresh_adds_models_and_leaves_the_known_ones(
    server, monkeypatch, tmp_path, opened
):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    provider = opened(server)
    before = {model.name: model for model in provider.models()}
    for _ in range(2):
        assert await provider.refresh() == "Replicate: 1 models as of today."
    after = {model.name: model for model in provider.models()}
    painter = after.pop("emulated/painter")
    assert after == before
    assert list(painter.parameters) == ["style", "guidance"]
    assert Operation.EDIT in painter.operations
    inputs = (given("source", png("a")),)
    request = request_for("emulated/painter", params={"guidance": 7}, inputs=inputs)
    await provider.submit(request)
    asked = creates(server)[0].json()
    assert asked.pop("version") == "5" * 64
    image = data_url(png("a"))
    assert asked["input"] == {
        "prompt": "a fox",
        "guidance_scale": 7,
        "seed": 7,
        "init_image": image,
    }


@pytest.mark.req("PRV-2")
async def test_a_refresh_that_finds_only_known_models_takes_away_the_others(
    server, monkeypatch, tmp_path, opened
):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    provider = opened(server)
    before = [model.name for model in provider.models()]
    await provider.refresh()
    assert len(provider.models()) == len(before) + 1
    known = b'{"models": [{"owner": "black-forest-labs", "name": "flux-schnell"}]}'
    server.faults = [Fault(status=200, body=known)]
    said = "Replicate: no other models than the 1 of this package's data file."
    assert await provider.refresh() == said
    assert [model.name for model in provider.models()] == before
    for nothing in (b"{}", b'{"models": [{"owner": "emulated", "name": "gone"}]}'):
        server.faults = [Fault(status=200, body=nothing)]
        with pytest.raises(ConfigurationError, match="None of the models"):
            await provider.refresh()


async def test_a_refresh_that_cannot_be_written_says_where(server, monkeypatch, tmp_path, ws):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    (tmp_path / "replicate.refreshed.json").mkdir()
    added(ws, server)
    with pytest.raises(ConfigurationError) as caught:
        await asyncio.to_thread(ws.refresh_provider, "rep")
    said = "replicate.refreshed.json cannot be written: Is a directory."
    assert str(caught.value) == f"{said} Look at {tmp_path}."
    assert [one.name for one in tmp_path.glob("replicate.*")] == ["replicate.refreshed.json"]


async def test_what_a_collection_does_not_tell_is_asked_for_by_itself(server, monkeypatch, opened):
    whole = MODELS["emulated/painter"].about("emulated/painter")
    short = {**whole, "latest_version": None}
    strange = [None, {}, {"owner": "../x", "name": "y"}, {"owner": "a", "name": "gone"}]
    body = json.dumps({"models": [short, *strange]}).encode()
    server.faults = [Fault(status=200, body=body)]
    provider = opened(server)
    (entry,) = await provider._read_models()
    assert entry["name"] == "emulated/painter"


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("status", [401, 402, 429, 503])
async def test_a_refresh_that_is_broken_off_leaves_the_list_as_it_was(
    server, monkeypatch, tmp_path, opened, status
):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    provider = opened(server)
    await provider.refresh()
    before = [model.name for model in provider.models()]
    assert "emulated/painter" in before
    whole = MODELS["emulated/painter"].about("emulated/painter")
    other = {**whole, "name": "other"}
    body = json.dumps({"models": [other, {**whole, "latest_version": None}]}).encode()
    server.faults = [Fault(status=200, body=body), Fault(status=status)]
    with pytest.raises(ProviderError):
        await provider.refresh()
    assert [model.name for model in provider.models()] == before
    assert [model.name for model in opened(server).models()] == before


@pytest.mark.parametrize("model", ["flux", "a/b/c", "a/b:1", "../x", "a/b?x", ""])
async def test_what_is_no_model_is_not_asked_for(server, model, opened):
    provider = opened(server)
    with pytest.raises(InvalidRequest, match="owner/name"):
        await provider.discover(model)
    assert server.requests == []


async def test_a_model_that_is_not_there_or_says_nothing_is_a_sentence(server, opened):
    provider = opened(server)
    with pytest.raises(ProviderError, match="does not know this model"):
        await provider.discover("nobody/nothing")
    server.faults = [Fault(status=200, body=b'{"is_official": true, "latest_version": null}')]
    with pytest.raises(ProviderError, match="does not say what the input of a/b is"):
        await provider.discover("a/b")


def test_a_schema_becomes_parameters():
    found = parameters_of_schema(
        document(
            text={"type": "string", "x-order": 0},
            style={"allOf": [{"$ref": "#/components/schemas/style"}], "default": "plain"},
            steps={"type": "integer", "default": 99, "minimum": 1, "maximum": 50, "x-order": 1},
            cfg={"anyOf": [{"type": "number"}, {"type": "null"}], "description": "How\nmuch \x1b"},
            tags={"type": "array", "items": {"type": "string"}, "default": ["a"]},
            model={"type": "string", "enum": ["dev", "schnell"], "default": "dev"},
            tiled={"type": "boolean", "default": False},
            lora={"type": "string", "nullable": True},
            openai_api_key={"type": "string", "writeOnly": True},
            pass_word={"type": "string", "format": "password"},
            disable_safety_checker={"type": "boolean", "default": False},
            num_outputs={"type": "integer", "default": 4},
            broken={"type": "integer", "default": "many", "minimum": "low"},
            odd=5,
            **{"not a name": {"type": "string"}},
        )
    )
    assert found == {
        "steps": {"kind": "integer", "minimum": 1, "maximum": 50},  # its default is out of bounds
        "style": {"kind": "choice", "choices": ["plain", "ornate"], "default": "plain"},
        "cfg": {"kind": "number", "help": "How much", "advanced": True},
        "tags": {"kind": "json", "default": ["a"], "advanced": True},
        "input_model": {
            "kind": "choice",
            "choices": ["dev", "schnell"],
            "default": "dev",
            "advanced": True,
        },
        "tiled": {"kind": "boolean", "default": False, "advanced": True},
        "lora": {"kind": "text", "advanced": True},
        "broken": {"kind": "integer", "advanced": True},
    }


def test_a_schema_says_where_images_go():
    uri = {"type": "string", "format": "uri"}
    size = {"type": "integer", "default": 1024}
    entry = entry_of_schema(
        "a/b",
        document(
            text={"type": "string"},
            image=uri,
            mask_image={**uri, "description": "White is kept, black is painted."},
            image_prompt=uri,
            control_file=uri,
            width=size,
            height=size,
            size={"type": "string", "enum": ["1K", "custom"], "default": "1K"},
            num_images={"type": "integer", "default": 2},
        ),
    )
    assert entry["send"] == {
        "discovered": True,
        "prompt": "text",
        "mask": "mask_image",
        "mask_paints": "black",
        "source": "image",
        "reference": "image_prompt",
        "with_size": {"size": "custom"},
        "fixed": {"num_images": 1},
    }
    assert entry["parameters"]["size"] == {"kind": "choice", "choices": ["1K"], "default": "1K"}
    assert entry["parameters"]["control_file"]["kind"] == "text"
    assert (entry["seeds"], entry["max_references"]) == (False, 1)
    entry_of(entry, "x", "2026-11-21")


@pytest.mark.parametrize("nonsense", [None, [], "x", {}, {"components": 5}, document(a=[])])
def test_a_document_that_is_none_has_no_parameters(nonsense):
    assert parameters_of_schema(nonsense) == {}


@pytest.mark.parametrize("nonsense", [{}, {"name": "../x"}, {"name": "a", "parameters": 5}])
def test_an_entry_that_is_not_in_order_is_refused(nonsense):
    with pytest.raises(InvalidRequest, match="not in order"):
        Replicate(models=[nonsense])


# -- small things ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logs", "found"),
    [
        (None, None),
        ("", None),
        ("1/4", None),
        ("  0%|          | 0/28 [00:00<?, ?it/s]", (0, 28)),
        ("100%|█████| 4/4 [00:00<00:00]\nSaving\n", (4, 4)),
        (" 50%| | 5/4 [", None),
        (" 50%| | 1/0 [", None),
        (f" 50%| | 1/{'9' * 5000} [", (1, 999999999)),
        ("x" * 100_000 + "\n 50%|##| 1/2 [", (1, 2)),
    ],
)
def test_progress_in_logs(logs, found):
    assert progress_of(logs) == found


@pytest.mark.parametrize(
    "output", [None, 5, "a cat", [], [[[[[["https://a.example"]]]]]], {"url": 5}, ["ftp://x"]]
)
def test_outputs_without_a_picture(output):
    assert pictures_of(output) == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("NSFW content detected", "blocked"),
        ("The input or output was flagged as sensitive. (E005)", "blocked"),
        ("Prediction failed: All generated images contained NSFW content", "blocked"),
        ("Director: unexpected error handling prediction (E6716)", "transient"),
        ("CUDA out of memory. Tried to allocate", "transient"),
        ("safety_tolerance must be less than 5", "bad_request"),
        ("Image is too small", "bad_request"),
    ],
)
def test_kinds_of_failures(words, kind):
    assert kind_of(words).value == kind


@pytest.mark.req("TOK-6")
def test_models_and_prices_are_dated_data():
    models = {model.name: model for model in Replicate().models()}
    assert len(models) >= 20
    for name, model in models.items():
        model.check({})
        assert "2026-11-21" in model.help or name == "stability-ai/sdxl"
        assert (model.price.amount_micro > 0) == (name != "stability-ai/sdxl")


@pytest.mark.parametrize("name", sorted(model.name for model in Replicate().models()))
def test_what_the_catalogue_sends_is_what_the_schema_takes(name):
    """Each choice and each bound of each parameter, alone."""
    entry = Replicate()._entries()[name]
    fields = MODELS[name].fields
    rename = entry.send.get("rename", {})
    needed = dict.fromkeys(MODELS[name].required, "https://a.example/x")
    for ours, parameter in entry.model.parameters.items():
        field = rename.get(ours, ours)
        bounds = (parameter.default, parameter.minimum, parameter.maximum)
        for value in parameter.choices or [bound for bound in bounds if bound is not None]:
            assert not wrong_in(name, {**needed, field: value})
    for role in ("source", "mask", "references", "reference"):
        assert role not in entry.send or entry.send[role] in fields
    for field in (*rename.values(), *entry.send.get("fixed", {})):
        assert field in fields


async def test_a_model_that_is_gone_is_a_sentence():
    provider = Replicate(key="r8_0123456789")
    with pytest.raises(ProviderError, match=r"no model a/b any more\.") as caught:
        await provider.submit(request_for("a/b"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
