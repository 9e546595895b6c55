"""ComfyUI through the real engine, against an emulator with queue, history and websocket."""

from __future__ import annotations

import copy
import json

import pytest

from tests.providers.comfyui.world import GRAPH, added, graphs
from tests.providers.world import ended
from workbench.errors import ConfigurationError
from workbench.providers.catalogue import load
from workbench.providers.comfyui import ComfyUI
from workbench.providers.comfyui_guess import guessed
from workbench.providers.comfyui_workflow import described, workflow_of
from workbench.testing.pictures import png


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
