"""ComfyUI through the real engine, against an emulator with queue, history and websocket."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from workbench.domain.jobs import JobInput, JobRef, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.errors import ConfigurationError, ErrorKind, InvalidRequest, ProviderError
from workbench.providers import comfyui_socket
from workbench.providers.catalogue import load
from workbench.providers.comfyui import ComfyUI
from workbench.providers.comfyui_guess import guessed
from workbench.providers.comfyui_socket import (
    LARGEST_PREVIEW,
    Begun,
    Over,
    Preview,
    QueueMoved,
    Step,
    read_binary,
    read_text,
    small_preview,
)
from workbench.providers.comfyui_workflow import described, workflow_of
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.testing.emulators.comfyui import ComfyUIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

MODEL = "comfy:text-to-image"
CANARY = "comfy-canary-0123456789abcdef"

# What ComfyUI's page exports for its first template, but for the names.
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286,
            "steps": 20,
            "cfg": 8,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
        "_meta": {"title": "KSampler"},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
    "5": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 512, "height": 768, "batch_size": 4},
    },
    "6": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a bottle", "clip": ["4", 1]},
        "_meta": {"title": "Positive"},
    },
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, ugly", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
}


def fast() -> Pace:
    return Pace(first_s=0.01, longest_s=0.05)


@pytest.fixture
def server():
    with ComfyUIEmulator() as emulator:
        yield emulator


def added(ws, server, **changes) -> ComfyUI:
    given = {"base_url": server.base_url, "pace": fast, "quiet_s": 5.0, **changes}
    provider = ComfyUI("comfy", **given)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def until(true, *, within_s: float = 10.0) -> None:
    stop = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < stop, "it did not come about in time"
        time.sleep(0.01)


def sent(server, path: str) -> list:
    return [seen for seen in server.requests if seen.path.partition("?")[0] == path]


def graphs(server) -> list[dict]:
    return [seen.json()["prompt"] for seen in sent(server, "/prompt")]


def lines(ws) -> str:
    return "\n".join(repr(entry) for entry in ws.debug.entries())


# -- what users see -------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_an_address_it_is_listed_and_says_how_to_set_one(ws, monkeypatch):
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    ws.add_provider(ComfyUI())
    (info,) = [info for info in ws.providers() if info.name == "comfyui"]
    assert (info.state.ready, info.state.code) == (False, "unreachable")
    assert "COMFYUI_URL" in info.state.message
    assert "http://127.0.0.1:8188" in info.state.message
    with pytest.raises(InvalidRequest, match="COMFYUI_URL"):
        ws.generate("a fox", model="comfyui:text-to-image")


@pytest.mark.req("PRV-2")
def test_the_address_comes_from_the_environment_and_may_be_set_later(ws, server, monkeypatch):
    ws.add_provider(ComfyUI(pace=fast))
    monkeypatch.setenv("COMFYUI_URL", "nonsense")
    (info,) = [info for info in ws.providers() if info.name == "comfyui"]
    assert (info.state.ready, info.state.code) == (False, "error")
    monkeypatch.setenv("COMFYUI_URL", f" {server.base_url}/\n")
    made = ended(ws.generate("a fox", model="comfyui:text-to-image", steps=2))
    assert made.status == "completed"


async def test_a_test_names_version_and_checkpoints(server, monkeypatch):
    provider = ComfyUI(base_url=server.base_url)
    assert await provider.test() == "ComfyUI 0.3.64 answered; it has 1 checkpoint."
    monkeypatch.setattr(comfyui_socket, "library", lambda: None)
    assert "image-workbench[comfyui]" in await provider.test()
    server.fault_of = lambda seen: Fault(status=200, body=b"{}")
    with pytest.raises(ProviderError, match="no ComfyUI"):
        await provider.test()
    await provider.close()


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_and_cost_nothing(ws, server):
    added(ws, server)
    done = ended(
        ws.generate(
            "a red fox", model=MODEL, n=2, seed=7, width=640, height=384, steps=3,
            guidance=5.5, negative_prompt="fog", sampler="ddim", scheduler="karras",
        )
    )  # fmt: skip
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png("a red fox|7|0"),
        png("a red fox|8|0"),
    ]
    assert [(g.seed, g.cost) for g in done.generations] == [(7, 0), (8, 0)]
    both = [one.json() for one in sent(server, "/prompt")]
    (asked,) = [one for one in both if one["prompt"]["sampler"]["inputs"]["seed"] == 7]
    assert set(asked) == {"prompt", "client_id", "prompt_id"}
    assert asked["prompt_id"] == asked["client_id"] == str(uuid.UUID(asked["prompt_id"]))
    graph = asked["prompt"]
    assert graph["sampler"]["inputs"] == {
        "model": ["checkpoint", 0],
        "positive": ["prompt", 0],
        "negative": ["negative", 0],
        "latent_image": ["canvas", 0],
        "seed": 7,
        "steps": 3,
        "cfg": 5.5,
        "sampler_name": "ddim",
        "scheduler": "karras",
        "denoise": 1.0,
    }
    assert graph["canvas"]["inputs"] == {"width": 640, "height": 384, "batch_size": 1}
    assert (graph["prompt"]["inputs"]["text"], graph["negative"]["inputs"]["text"]) == (
        "a red fox",
        "fog",
    )
    # None was named: it is the first that the server has.
    assert graph["checkpoint"]["inputs"] == {"ckpt_name": "tiny.safetensors"}
    assert all("origin" not in seen.headers for seen in server.requests)
    assert server.images_charged == 2
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4")
def test_steps_and_previews_are_shown_on_the_way(ws, server):
    server.step_s = 0.3
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=5)
    (generation,) = batch.generations
    shown, steps = set(), set()
    while not generation.status.is_terminal:
        preview = ws._engine.media.read_preview(generation.id)
        shown |= {preview} if preview else set()
        steps.add((generation.record.step, generation.record.total_steps))
        time.sleep(0.02)
    assert generation.status == "completed"
    assert {(step, 5) for step in range(1, 5)} <= steps
    assert len(shown & {png(f"step {step}", width=8, height=8) for step in range(1, 6)}) >= 3


@pytest.mark.req("PRV-4")
def test_the_place_in_the_queue_is_told_as_it_changes(ws, server):
    server.hold()
    others = [server.put(_with_seed(seed)) for seed in (1, 2)]
    until(lambda: server.running == others[0])
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=2)
    (generation,) = batch.generations
    until(lambda: "#2" in generation.detail)
    assert generation.status == "queued"
    server._delete(others[1])
    until(lambda: "#1" in generation.detail)
    server.go_on()
    assert ended(batch).status == "completed"


def _with_seed(seed: int) -> dict:
    graph = copy.deepcopy(GRAPH)
    graph["3"]["inputs"]["seed"] = seed
    return graph


@pytest.mark.req("PRV-2")
def test_what_is_in_the_servers_cache_comes_at_once(ws, server):
    added(ws, server)
    first = ended(ws.generate("a fox", model=MODEL, seed=5, steps=2))
    again = ended(ws.generate("a fox", model=MODEL, seed=5, steps=2))
    paths = [batch.generations[0].asset.path.read_bytes() for batch in (first, again)]
    assert paths[0] == paths[1]
    assert len(server.files) == 1


@pytest.mark.req("PRV-8")
def test_a_reference_is_uploaded_and_painted_anew(ws, server):
    added(ws, server)
    picture = png("a house")
    for _ in range(2):
        done = ended(
            ws.generate(
                "a castle",
                model="comfy:image-to-image",
                references=[picture],
                strength=0.4,
                steps=2,
            )
        )
        assert done.status == "completed"
    (name,) = [name for folder, name in server.files if folder == "input"]
    assert server.files["input", name] == picture
    upload = sent(server, "/upload/image")[0]
    assert [(part.name, part.content_type) for part in upload.parts()] == [
        ("type", "text/plain"),
        ("image", "image/png"),
    ]
    graph = graphs(server)[0]
    assert graph["picture"]["inputs"]["image"] == name
    assert graph["sampler"]["inputs"]["denoise"] == 0.4
    assert done.generations[0].operation == "edit"


@pytest.mark.req("PRV-8")
def test_a_source_counts_as_the_first_picture(ws, server):
    added(ws, server)
    done = ended(ws.generate("x", model="comfy:image-to-image", source=png("a house"), steps=2))
    assert done.status == "completed"
    both = ws.generate(
        "x", model="comfy:image-to-image", source=png("a house"), references=[png("b")]
    )
    assert "takes 1; 2 came in" in error_of(both).message


# -- workflows of one's own -----------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_an_exported_workflow_is_a_model_without_another_word(ws, server, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GRAPH))
    added(ws, server, workflows={"mine": str(path)})
    (model,) = [model for model in ws.models() if model.id == "comfy:mine"]
    assert model.negative_prompt
    assert model.seeds
    defaults = {name: parameter.default for name, parameter in model.parameters.items()}
    assert defaults == {
        "width": 512,
        "height": 768,
        "steps": 20,
        "guidance": 8,
        "sampler": "euler",
        "scheduler": "normal",
        "checkpoint": "tiny.safetensors",
    }
    done = ended(ws.generate("a fox", model="comfy:mine", seed=3, steps=2))
    assert done.generations[0].asset.path.read_bytes() == png("a fox|3|0")
    (graph,) = graphs(server)
    assert graph["5"]["inputs"] == {"width": 512, "height": 768, "batch_size": 1}
    assert graph["7"]["inputs"]["text"] == "text, ugly"  # its own, as none was given


@pytest.mark.req("PRV-2")
def test_inputs_may_be_declared_with_ranges_and_labels(ws, server):
    told = {
        "workflow": GRAPH,
        "title": "Mine",
        "help": "Bottles.",
        "inputs": {
            "prompt": "Positive.text",  # a node's title does as well as its id
            "negative_prompt": None,
            "seed": ["3.seed"],
            "steps": {"at": "3.steps", "default": 4, "maximum": 8},
            "prefix": {"at": "9.filename_prefix", "label": "File name"},
        },
        "output": "9",
    }
    added(ws, server, workflows={"mine": told})
    (model,) = [model for model in ws.models() if model.id == "comfy:mine"]
    assert (model.title, model.help, model.negative_prompt) == ("Mine", "Bottles.", False)
    assert (model.parameters["steps"].default, model.parameters["steps"].maximum) == (4, 8)
    assert model.parameters["prefix"].label == "File name"
    ended(ws.generate("a fox", model="comfy:mine", prefix="fox"))
    (graph,) = graphs(server)
    assert graph["9"]["inputs"]["filename_prefix"] == "fox"
    assert graph["3"]["inputs"]["steps"] == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nodes": [], "links": []}, "Export (API)"),
        ({}, "no graph"),
        ({"1": {"inputs": {}}}, "class_type"),
        ({"1": {"class_type": "X", "inputs": []}}, "no object"),
        ("missing.json", "cannot be read from missing.json"),
        (7, "must be a path"),
        ({"workflow": GRAPH, "input": {}}, "unknown part 'input'"),
        ({"workflow": GRAPH, "inputs": {"prompt": "6.txt"}}, "node 6 (CLIPTextEncode) has: text"),
        ({"workflow": GRAPH, "inputs": {"prompt": "66.text"}}, "'66.text'"),
        ({"workflow": GRAPH, "inputs": {"prompt": 6}}, "where 'prompt' goes"),
        ({"workflow": GRAPH, "output": "66"}, "no node 66"),
        ({"workflow": GRAPH, "inputs": {"steps": {"at": "3.steps", "maximum": 2}}}, "20"),
    ],
)
def test_a_workflow_that_is_wrong_says_what_is_wrong(given, said):
    with pytest.raises(ConfigurationError) as caught:
        ComfyUI(workflows={"mine": given})
    assert said in str(caught.value)
    assert "mine" in str(caught.value)


def test_two_texts_that_may_be_the_prompt_are_a_question():
    graph = copy.deepcopy(GRAPH)
    graph["10"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["4", 1]}}
    graph["11"] = {
        "class_type": "ConditioningCombine",
        "inputs": {"conditioning_1": ["6", 0], "conditioning_2": ["10", 0]},
    }
    graph["3"]["inputs"]["positive"] = ["11", 0]
    with pytest.raises(ConfigurationError, match=r"Inputs that hold text: .*6\.text"):
        described("mine", graph)
    model = described("mine", {"workflow": graph, "inputs": {"prompt": ["6.text", "10.text"]}})
    assert model["send"]["inputs"]["prompt"] == ["6.text", "10.text"]


def test_what_could_not_be_guessed_is_told_in_the_help():
    graph = copy.deepcopy(GRAPH)
    graph["12"] = copy.deepcopy(graph["3"])
    graph["12"]["inputs"] |= {"steps": 10, "latent_image": ["13", 0]}
    graph["13"] = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64}}
    graph["14"] = {"class_type": "SaveImage", "inputs": {"images": ["12", 0]}}
    model = described("mine", graph)
    assert "Its width could not be guessed: it may be 5.width or 13.width." in model["help"]
    assert "Its steps could not be guessed: it may be 3.steps or 12.steps." in model["help"]
    assert '"width": "5.width"' in model["help"]
    assert {"width", "steps"}.isdisjoint(model["parameters"])
    assert model["send"]["inputs"]["seed"] == ["3.seed", "12.seed"]  # both follow one seed


def test_a_modern_graph_is_understood():
    """Guider, noise and sigmas apart; a text and a size in nodes that only hold them."""
    graph = {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
        "2": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a fox"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["2", 0], "clip": ["9", 0]}},
        "4": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["3", 0]}},
        "5": {"class_type": "BasicGuider", "inputs": {"model": ["1", 0], "conditioning": ["4", 0]}},
        "6": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}},
        "7": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 20,
                                                         "denoise": 1, "model": ["1", 0]}},
        "8": {"class_type": "EmptySD3LatentImage", "inputs": {"width": ["11", 0], "height": 1024,
                                                              "batch_size": 1}},
        "9": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "a", "clip_name2": "b"}},
        "10": {"class_type": "SamplerCustomAdvanced", "inputs": {
            "noise": ["6", 0], "guider": ["5", 0], "sigmas": ["7", 0], "latent_image": ["8", 0]}},
        "11": {"class_type": "PrimitiveInt", "inputs": {"value": 768}},
        "12": {"class_type": "SaveImage", "inputs": {"images": ["10", 0]}},
        "13": {"class_type": "CLIPTextEncode", "inputs": {"text": "left over", "clip": ["9", 0]}},
    }  # fmt: skip
    found, unsure = guessed(graph)
    assert unsure == {}
    assert found == {
        "prompt": (("2", "value"),),
        "seed": (("6", "noise_seed"),),
        "width": (("11", "value"),),
        "height": (("8", "height"),),
        "steps": (("7", "steps"),),
        "scheduler": (("7", "scheduler"),),
        "diffusion_model": (("1", "unet_name"),),
    }


def test_controlnet_keeps_its_two_sides_apart_and_nothing_is_no_negative_prompt():
    graph = copy.deepcopy(GRAPH)
    graph["10"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {"positive": ["6", 0], "negative": ["7", 0], "strength": 1.0},
    }
    graph["3"]["inputs"] |= {"positive": ["10", 0], "negative": ["10", 1]}
    found, _ = guessed(graph)
    assert (found["prompt"], found["negative_prompt"]) == ((("6", "text"),), (("7", "text"),))
    graph["11"] = {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}}
    graph["3"]["inputs"] |= {"positive": ["6", 0], "negative": ["11", 0]}
    found, unsure = guessed(graph)
    assert "negative_prompt" not in found | unsure


def test_pictures_that_go_in_and_a_mask_make_an_edit():
    graph = copy.deepcopy(GRAPH)
    graph["10"] = {"class_type": "LoadImage", "inputs": {"image": "a.png"}}
    graph["11"] = {"class_type": "LoadImageMask", "inputs": {"image": "m.png", "channel": "alpha"}}
    graph["12"] = {
        "class_type": "VAEEncodeForInpaint",
        "inputs": {"pixels": ["10", 0], "vae": ["4", 2], "mask": ["11", 0]},
    }
    graph["3"]["inputs"]["latent_image"] = ["12", 0]
    model = described("mine", graph)
    assert model["operations"] == ["edit", "inpaint"]
    assert (model["max_references"], model["send"]["inputs"]["mask"]) == (1, ["11.image"])
    assert "strength" in model["parameters"]


def test_a_workflow_without_prompt_and_seed_may_be_meant():
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    model = described("grow", {"workflow": graph, "inputs": {"prompt": None}})
    assert not model["seeds"]
    assert "same picture" in model["help"]
    assert "prompt" not in model["send"]["inputs"]


def test_the_workflows_of_the_data_file_hang_together():
    for name, entry in load("comfyui", "comfyui").entries.items():
        workflow = workflow_of(name, entry.send)
        set_here = {place for places in workflow.places.values() for place in places}
        assert set(workflow.places) >= set(entry.model.parameters)
        assert entry.model.price.is_free
        entry.model.check({})
        for node in workflow.graph.values():
            for value in node["inputs"].values():
                assert not isinstance(value, list) or value[0] in workflow.graph
        found, unsure = guessed(workflow.graph)
        assert unsure == {}
        guessable = {place for places in found.values() for place in places}
        assert set_here - guessable <= {("scaled", "width"), ("scaled", "height")}


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_what_the_server_refuses_is_said_of_our_own_parameter(ws, server):
    added(ws, server, workflows={"mine": GRAPH})
    error = error_of(ws.generate("x", model=MODEL, checkpoint="other.safetensors"))
    assert error.kind == "bad_request"
    assert error.message.startswith("checkpoint: ComfyUI refused it.")
    assert "not in ['tiny.safetensors']" in error.message
    server.checkpoints = []
    error = error_of(ws.generate("x", model=MODEL))
    assert "models/checkpoints" in error.message
    assert server.made == []


@pytest.mark.req("PRV-7")
def test_what_is_wrong_with_the_graph_itself_names_the_node(ws, server):
    wrong = copy.deepcopy(GRAPH)
    del wrong["9"]["inputs"]["filename_prefix"]
    gone = {**GRAPH, "20": {"class_type": "SomebodysNode", "inputs": {}}}
    added(ws, server, workflows={"wrong": wrong, "gone": gone})
    error = error_of(ws.generate("x", model="comfy:wrong"))
    assert "Node 9 (SaveImage): Required input is missing: filename_prefix." in error.message
    error = error_of(ws.generate("x", model="comfy:gone"))
    assert "node SomebodysNode does not exist" in error.message


@pytest.mark.req("PRV-7")
def test_a_part_of_a_workflow_that_is_left_out_is_told(ws, server):
    graph = {**GRAPH, "20": {"class_type": "PreviewImage", "inputs": {}}}
    added(ws, server, workflows={"mine": graph})
    assert ended(ws.generate("x", model="comfy:mine", steps=2)).status == "completed"
    assert "leaves out a part of the workflow. Node 20 (PreviewImage)" in lines(ws)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (("ValueError", "it \x1b[31mexploded"), "stopped at node sampler (KSampler). It says: it"),
        (("torch.OutOfMemoryError", "Allocation on device"), "not enough memory"),
    ],
)
def test_a_node_that_breaks_is_a_sentence_and_is_not_tried_again(ws, server, broken, said):
    added(ws, server)
    server.breaks["KSampler"] = broken
    error = error_of(ws.generate("x", model=MODEL))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert said in error.message
    assert "\x1b" not in error.message
    assert len(graphs(server)) == 1


@pytest.mark.req("PRV-7")
def test_no_picture_is_no_success(ws, server):
    server.images = 0
    added(ws, server)
    error = error_of(ws.generate("x", model=MODEL, steps=2))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "SaveImage" in error.message


def test_more_pictures_than_one_are_one(ws, server):
    server.images = 3
    added(ws, server)
    done = ended(ws.generate("x", model=MODEL, seed=1, steps=2))
    assert [g.asset.path.read_bytes() for g in done.all_generations()] == [png("x|1|0")]
    assert "made 3 pictures" in lines(ws)


def test_temporary_pictures_count_where_none_is_kept(ws, server):
    graph = copy.deepcopy(GRAPH)
    graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    added(ws, server, workflows={"mine": graph})
    assert ended(ws.generate("x", model="comfy:mine", steps=2)).status == "completed"
    assert "type=temp" in sent(server, "/view")[0].path


@pytest.mark.req("PRV-7")
def test_an_interruption_in_comfyui_itself_is_said_and_not_undone(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("x", model=MODEL, steps=2)
    until(lambda: server.running)
    server._interrupt.set()
    server.go_on()
    error = error_of(batch)
    assert "interrupted in ComfyUI" in error.message
    assert len(graphs(server)) == 1


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(status=429),
        Fault(status=500),
        Fault(status=503),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=20),
    ],
    ids=repr,
)
def test_a_passing_failure_of_the_submission_is_made_good(ws, server, fault):
    added(ws, server)
    faults = [fault]
    server.fault_of = lambda seen: faults.pop() if faults and seen.path == "/prompt" else None
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    # Where it had arrived, it is found by its id and not sent again.
    arrived = fault.reset_after is not None
    assert len(graphs(server)) == (1 if arrived else 2)
    assert len(server.made) == server.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("path", ["/queue", "/history", "/view", "/models/checkpoints"])
@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(reset_before=True), Fault(reset_after=3), Fault(drip_s=0.001)],
    ids=repr,
)
def test_a_passing_failure_of_a_question_is_asked_again(ws, server, path, fault):
    added(ws, server)
    faults = [fault, fault]
    server.fault_of = lambda seen: faults.pop() if faults and seen.path.startswith(path) else None
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    assert len(server.made) == 1


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/prompt", Fault(status=200, body=b"<html>Sign in"), "not whole JSON"),
        ("/queue", Fault(content_type="text/html", status=200, body=b"<html>"), "not whole JSON"),
        ("/prompt", Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "redirects"),
        ("/prompt", Fault(status=413), "too large"),
        ("/view", Fault(status=404), "file is not there any more"),
    ],
    ids=repr,
)
def test_an_answer_that_cannot_be_used_is_a_sentence(ws, server, path, fault, said):
    added(ws, server)
    server.fault_of = lambda seen: fault if seen.path.startswith(path) else None
    error = error_of(ws.generate("a fox", model=MODEL, steps=2))
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<svg onload=alert(1)>"), Fault(cut=0.5), Fault(image=b"")], ids=repr
)
def test_bytes_that_are_no_picture_are_refused(ws, server, fault):
    added(ws, server)
    server.fault_of = lambda seen: fault if seen.path.startswith("/view") else None
    error = error_of(ws.generate("a fox", model=MODEL, steps=2))
    assert error.kind == "bad_image"


@pytest.mark.req("PRV-7")
def test_a_server_that_is_not_there_is_named_and_tried_again(ws):
    ws.add_provider(ComfyUI("comfy", base_url="http://127.0.0.1:9", pace=fast))
    batch = ws.generate("a fox", model=MODEL)
    (waiting,) = batch.generations
    until(lambda: "retrying" in waiting.detail)
    assert "cannot be reached" in waiting.detail
    batch.cancel()


# -- the websocket --------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
def test_without_the_package_it_is_asked_and_says_what_is_missing(ws, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    added(ws, server)
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    assert sent(server, "/ws") == []
    assert "pip install image-workbench[comfyui]" in lines(ws)


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    "fault", [Fault(status=404), Fault(reset_before=True), Fault(status=302)], ids=repr
)
def test_a_websocket_that_is_refused_is_let_be_after_a_while(ws, server, fault):
    server.step_s = 0.05
    server.fault_of = lambda seen: fault if seen.path.startswith("/ws") else None
    added(ws, server)
    assert ended(ws.generate("a fox", model=MODEL, steps=10)).status == "completed"
    assert len(sent(server, "/ws")) == 3
    assert "websocket of ComfyUI does not open" in lines(ws)


@pytest.mark.req("PRV-4", "PRV-5")
def test_a_websocket_that_breaks_off_is_opened_again(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    until(lambda: server.running and server._clients)
    for _ in range(3):
        count = len(sent(server, "/ws"))
        server.drop_sockets()
        until(lambda count=count: len(sent(server, "/ws")) > count and server._clients)
    server.step_s = 0.2
    server.go_on()
    (generation,) = batch.generations
    until(lambda: generation.record.total_steps == 4)
    assert ended(batch).status == "completed"
    assert len(graphs(server)) == 1
    clients = {seen.path for seen in sent(server, "/ws")}
    assert clients == {f"/ws?clientId={server.made[0]}"}


@pytest.mark.req("PRV-4")
def test_the_end_is_found_though_the_websocket_never_says_it(ws, server):
    server.hold()
    added(ws, server, quiet_s=0.2)
    batch = ws.generate("a fox", model=MODEL, steps=2)
    until(lambda: server.running and server._clients)
    server._clients = {}  # the client stays connected and hears nothing any more
    server.go_on()
    assert ended(batch).status == "completed"


@pytest.mark.req("PRV-4")
def test_strange_messages_hurt_nobody(ws, server):
    other = str(uuid.uuid4())
    about = json.dumps({"prompt_id": other}).encode()
    server.strange = [
        "not json",
        "[1]",
        '{"type": "progress"}',
        '{"type": "progress", "data": {"value": "x", "max": null}}',
        '{"type": "progress", "data": {"value": 9, "max": 3}}',
        '{"type": "progress", "data": {"value": 1, "max": 1e400}}',
        json.dumps({"type": "executing", "data": {"node": None, "prompt_id": other}}),
        json.dumps({"type": "execution_error", "data": {"prompt_id": other}}),
        '{"type": "of tomorrow", "data": {}}',
        '{"type": "progress_state", "data": {"nodes": [1]}}',
        "[" * 100_000,
        b"",
        b"\0\0\0\x01",
        b"\0\0\0\x04\xff\xff\xff\xffjunk",
        b"\0\0\0\x04\0\0\0\x02[1junk",
        b"\0\0\0\x04" + len(about).to_bytes(4, "big") + about + png("of somebody else"),
        b"\0\0\0\x03\0\0\0\x01text",
    ]
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    assert ended(batch).status == "completed"
    assert len(graphs(server)) == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "true", '"5"', "-1", "null", "[]"])
def test_numbers_that_are_none_are_no_steps(value):
    text = f'{{"type": "progress", "data": {{"value": {value}, "max": 8}}}}'
    assert read_text(text, "p") in (None, Step(1, 8))
    text = f'{{"type": "progress", "data": {{"value": 1, "max": {value}}}}}'
    assert read_text(text, "p") is None


def test_messages_are_read():
    def read(kind: str, **data):
        return read_text(json.dumps({"type": kind, "data": data}), "p")

    assert read("status", status={}) == QueueMoved()
    assert read("execution_start", prompt_id="p") == Begun()
    assert read("executing", node="3") == Begun()  # without an id: right after a reconnect
    assert read("executing", node=None, prompt_id="p") == Over()
    assert read("executing", node=None, prompt_id="q") is None
    assert read("execution_success", prompt_id="p") == Over()
    nodes = {"1": {"state": "finished", "value": 4, "max": 4},
             "2": {"state": "running", "value": 1.0, "max": 9.0}}  # fmt: skip
    assert read("progress_state", prompt_id="p", nodes=nodes) == Step(1, 9)
    assert read_binary(b"\0\0\0\x01\0\0\0\x02png", "p") == Preview(b"png")
    assert read_binary(b"\0\0\0\x04\0\0\0\x02{}jpeg", "p") == Preview(b"jpeg")


def _noise(side: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.req("PRV-4")
async def test_a_large_preview_is_made_smaller_and_a_hopeless_one_is_left_out():
    large = _noise(700)
    assert len(large) > LARGEST_PREVIEW
    small = await small_preview(large)
    assert small is not None
    assert len(small) <= LARGEST_PREVIEW
    Image.open(io.BytesIO(small)).load()
    assert await small_preview(b"x" * 300_000) is None
    assert await small_preview(large[: len(large) // 2]) is None
    assert await small_preview(b"") is None


def test_large_previews_are_stored_small(ws, server):
    large = _noise(400)
    server._preview = lambda step: large
    server.step_s = 0.2
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    (generation,) = batch.generations
    seen = b""
    while not generation.status.is_terminal:
        seen = ws._engine.media.read_preview(generation.id) or seen
        time.sleep(0.02)
    assert 0 < len(seen) <= LARGEST_PREVIEW


# -- cancelling -----------------------------------------------------------------------------------


@pytest.mark.req("PRV-6")
@pytest.mark.parametrize("jobs_api", [True, False])
def test_a_cancel_interrupts_what_runs_and_nothing_else(ws, jobs_api):
    with ComfyUIEmulator(jobs_api=jobs_api) as server:
        added(ws, server)
        server.hold()
        batch = ws.generate("a fox", model=MODEL, steps=50)
        until(lambda: server.running)
        theirs = server.put(GRAPH)
        batch.cancel()
        path = "/api/jobs/" if jobs_api else "/interrupt"
        until(lambda: any(seen.path.startswith(path) for seen in server.requests))
        until(server._interrupt.is_set)
        server.go_on()
        until(lambda: theirs in server.made)
        assert server.made == [theirs]
        assert ended(batch).status == "cancelled"
        # An interrupt without an id would stop whatever runs.
        assert all(seen.json().get("prompt_id") for seen in sent(server, "/interrupt"))


@pytest.mark.req("PRV-6")
@pytest.mark.parametrize("jobs_api", [True, False])
def test_a_cancel_takes_what_waits_out_of_the_queue(ws, jobs_api):
    with ComfyUIEmulator(jobs_api=jobs_api) as server:
        added(ws, server)
        server.hold()
        theirs = server.put(GRAPH)
        until(lambda: server.running == theirs)
        batch = ws.generate("a fox", model=MODEL)
        until(lambda: len(server.waiting) == 1)
        batch.cancel()
        until(lambda: server.waiting == [])
        server.go_on()
        until(lambda: theirs in server.made)
        assert sent(server, "/interrupt") == []
        assert ended(batch).status == "cancelled"


# -- crashes --------------------------------------------------------------------------------------


@pytest.mark.req("PRV-5")
@pytest.mark.parametrize("how", ["running", "made", "waiting"])
def test_a_job_is_found_again_by_whoever_opens_the_workspace_next(workspace_home, server, how):
    server.hold()
    if how == "waiting":
        theirs = server.put(GRAPH)
        until(lambda: server.running == theirs)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, seed=4, steps=3)
        (generation,) = batch.generations
        until(lambda: sent(server, "/queue") and "/history" not in generation.detail)
        until(lambda: sent(server, "/ws"))
    if how == "made":
        server.go_on()
        until(lambda: server.made)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        server.go_on()
        made = again.batch(batch.id).wait(30)
        assert made.status == "completed"
        assert made.generations[0].asset.path.read_bytes() == png("a fox|4|0")
        assert again.doctor().problems == []
    assert sum("a fox" in json.dumps(graph) for graph in graphs(server)) == 1


@pytest.mark.req("PRV-5")
async def test_the_reference_alone_is_enough_to_follow_a_job(server):
    first = ComfyUI("comfy", base_url=server.base_url, pace=fast)
    request = _request(seed=6)
    ref = await first.submit(request)
    await first.close()
    assert ref.resumable
    stored = JobRef(ref.remote_id, resumable=True, data=json.loads(json.dumps(ref.data)))
    second = ComfyUI("comfy", base_url=server.base_url, pace=fast)
    events = [event async for event in second.events(request, stored)]
    await second.close()
    assert [type(event).__name__ for event in events][-2:] == ["ImageReady", "Done"]
    assert events[-1].usage == {"prompt_id": ref.remote_id}
    assert [event.cost for event in events[-2:]] == [None, None]


def _request(*, seed: int = 1, **changes) -> JobRequest:
    given = {
        "key": "job-1",
        "model": "text-to-image",
        "operation": Operation.GENERATE,
        "prompt": "a fox",
        "negative_prompt": None,
        "width": 64,
        "height": 64,
        "params": {"steps": 2},
        "slots": (Slot("g", 0, seed),),
        **changes,
    }
    return JobRequest(**given)


@pytest.mark.req("PRV-5")
def test_a_job_that_a_restart_swallowed_is_made_again(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, seed=4, steps=2)
    until(lambda: server.running and server._clients)
    server.forget()
    server.go_on()
    assert ended(batch).status == "completed"
    ids = [seen.json()["prompt_id"] for seen in sent(server, "/prompt")]
    assert len(set(ids)) == len(ids) == 2
    assert server.made == ids[1:]


def test_a_server_that_makes_ids_itself_is_followed_by_its_own(ws):
    with ComfyUIEmulator(own_ids=False) as server:
        added(ws, server)
        assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
        assert server.made[0] != sent(server, "/prompt")[0].json()["prompt_id"]


# -- masks, sources, models -----------------------------------------------------------------------


async def test_source_references_and_mask_go_where_they_were_declared(server):
    graph = copy.deepcopy(GRAPH)
    for id, kind in (("10", "LoadImage"), ("11", "LoadImage"), ("12", "LoadImageMask")):
        graph[id] = {"class_type": kind, "inputs": {"image": "x.png", "channel": "alpha"}}
        graph[f"{id}0"] = {"class_type": "PreviewImage", "inputs": {"images": [id, 0]}}
    graph["120"]["inputs"]["images"] = ["10", 0]
    told = {
        "workflow": graph,
        "inputs": {"references": "11.image", "source": "10.image", "mask": "12.image"},
        "output": "9",
    }
    provider = ComfyUI("comfy", base_url=server.base_url, pace=fast, workflows={"mine": told})

    def given(role: str) -> JobInput:
        return JobInput(role, role, 0, "image/png", lambda: png(role))

    request = _request(
        model="mine",
        operation=Operation.INPAINT,
        inputs=(given("mask"), given("reference"), given("source")),
    )
    ref = await provider.submit(request)
    (graph,) = graphs(server)
    names = {role: server.files["input", graph[id]["inputs"]["image"]]
             for role, id in (("source", "10"), ("reference", "11"), ("mask", "12"))}  # fmt: skip
    assert names == {role: png(role) for role in names}
    events = [event async for event in provider.events(request, ref)]
    assert type(events[-1]).__name__ == "Done"
    with pytest.raises(InvalidRequest, match="mask: mine takes 1; 2 came in"):
        await provider.submit(_request(model="mine", inputs=(given("mask"), given("mask"))))
    await provider.close()


async def test_a_workflow_that_is_gone_is_a_sentence():
    provider = ComfyUI(base_url="http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="no model mine any more") as caught:
        await provider.submit(_request(model="mine"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_goes_with_every_request_and_is_nowhere_else(workspace_home, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with (
        ComfyUIEmulator(key=CANARY) as server,
        wb.open(workspace_home / "ws", user="ada") as ws,
    ):
        added(ws, server, key=CANARY)
        picture = [png("x")]
        batch = ws.generate("a fox", model="comfy:image-to-image", references=picture, steps=2)
        assert ended(batch).status == "completed"
        assert {"/ws", "/view", "/prompt"} <= {s.path.partition("?")[0] for s in server.requests}
        assert all(s.headers["authorization"] == f"Bearer {CANARY}" for s in server.requests)
        for fault in (
            Fault(status=401),
            Fault(status=400, body=f'{{"error": "Bearer {CANARY}"}}'.encode()),
            Fault(content_type=f"text/{CANARY}", status=200, body=b"<"),
        ):
            faults = [fault]
            server.fault_of = lambda seen, faults=faults: (
                faults.pop() if faults and seen.path == "/prompt" else None
            )
            batch = ended(ws.generate("a fox", model=MODEL))
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        server.breaks["KSampler"] = ("ValueError", f"key {CANARY}")
        shown.append(repr(error_of(ws.generate("another", model=MODEL))))
        provider = ws._engine.registry.providers["comfy"]
        shown += [repr(vars(provider)), repr(vars(provider._line)), lines(ws), ws.frame().to_csv()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if CANARY in text]
    for path in Path(workspace_home).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def test_names_of_files_from_the_server_stay_on_the_server(ws, server):
    """Whatever the history names is asked for at our own address, and as a name only."""
    added(ws, server)
    real = ComfyUIEmulator._saved

    def saved(self, prompt, id):
        files = real(self, prompt, id)
        return [{**file, "filename": "http://127.0.0.1:9/x?a=1&b=../../"} for file in files]

    server._saved = saved.__get__(server)
    error = error_of(ws.generate("a fox", model=MODEL, steps=1))
    assert "not there any more" in error.message
    (view,) = sent(server, "/view")
    assert "filename=http%3A%2F%2F127.0.0.1%3A9%2Fx%3Fa%3D1%26b%3D..%2F..%2F" in view.path


# -- many at once ---------------------------------------------------------------------------------


def test_jobs_of_one_batch_do_not_hear_each_other(ws, server):
    server.step_s = 0.02
    added(ws, server, concurrency=4)
    done = ended(ws.generate("a fox", model=MODEL, seed=10, n=4, steps=5))
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png(f"a fox|{seed}|0") for seed in range(10, 14)
    ]
    assert threading.active_count() < 100


@pytest.mark.req("PRV-7")
def test_a_job_that_takes_too_long_ends_and_is_taken_out(ws, server):
    server.hold()
    added(ws, server, deadline_s=0.5, patience=Patience(total_s=5))
    error = error_of(ws.generate("a fox", model=MODEL))
    assert error.kind == "transient"
    until(lambda: sent(server, "/interrupt") or not server.waiting)
    server.go_on()
