"""Nodes of an emulated ComfyUI: what they take, what they give, and what is wrong in a graph."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LARGEST = 16384  # sides of pictures
_INTEGER, _NUMBER = "INT", "FLOAT"
_SAMPLERS = ("euler", "dpmpp_2m", "ddim")
_SCHEDULERS = ("normal", "karras", "simple")


@dataclass(frozen=True, slots=True)
class Node:
    """A class of nodes.

    Attributes
    ----------
    inputs:
        Each a type of link ("IMAGE"), a number with its bounds, a list of choices, or STRING.
    gives:
        Types of its outputs.
    is_output:
        A graph is made for its sake.
    """

    inputs: Mapping[str, Any]
    gives: tuple[str, ...] = ()
    is_output: bool = False


_SIZE = {"width": (_INTEGER, 16, _LARGEST), "height": (_INTEGER, 16, _LARGEST)}
NODES: Mapping[str, Node] = {
    "CheckpointLoaderSimple": Node({"ckpt_name": "checkpoints"}, ("MODEL", "CLIP", "VAE")),
    "CLIPTextEncode": Node({"text": "STRING", "clip": "CLIP"}, ("CONDITIONING",)),
    "EmptyLatentImage": Node({**_SIZE, "batch_size": (_INTEGER, 1, 4096)}, ("LATENT",)),
    "KSampler": Node(
        {
            "model": "MODEL",
            "seed": (_INTEGER, 0, 2**64 - 1),
            "steps": (_INTEGER, 1, 10000),
            "cfg": (_NUMBER, 0.0, 100.0),
            "sampler_name": _SAMPLERS,
            "scheduler": _SCHEDULERS,
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "latent_image": "LATENT",
            "denoise": (_NUMBER, 0.0, 1.0),
        },
        ("LATENT",),
    ),
    "VAEDecode": Node({"samples": "LATENT", "vae": "VAE"}, ("IMAGE",)),
    "VAEEncode": Node({"pixels": "IMAGE", "vae": "VAE"}, ("LATENT",)),
    "LoadImage": Node({"image": "files"}, ("IMAGE", "MASK")),
    "LoadImageMask": Node({"image": "files", "channel": ("alpha", "red")}, ("MASK",)),
    "ImageScale": Node(
        {
            "image": "IMAGE",
            "upscale_method": ("nearest-exact", "bilinear", "area", "bicubic", "lanczos"),
            "width": (_INTEGER, 0, _LARGEST),
            "height": (_INTEGER, 0, _LARGEST),
            "crop": ("disabled", "center"),
        },
        ("IMAGE",),
    ),
    "EmptyImage": Node(
        {
            "width": (_INTEGER, 1, _LARGEST),
            "height": (_INTEGER, 1, _LARGEST),
            "batch_size": (_INTEGER, 1, 4096),
            "color": (_INTEGER, 0, 0xFFFFFF),
        },
        ("IMAGE",),
    ),
    "SaveImage": Node({"images": "IMAGE", "filename_prefix": "STRING"}, (), is_output=True),
    "PreviewImage": Node({"images": "IMAGE"}, (), is_output=True),
    "PrimitiveInt": Node({"value": (_INTEGER, -(2**63), 2**63 - 1)}, (_INTEGER,)),
}


def checked(
    graph: Any, checkpoints: Sequence[str], files: Collection[tuple[str, str]]
) -> tuple[dict[str, Any] | None, dict[str, Any], list[str]]:
    """Return what is wrong as a whole, what is wrong in nodes, and the nodes to be made.

    Parameters
    ----------
    graph:
        As it was sent.
    checkpoints:
        Names of those that there are.
    files:
        Folder and name of those that there are.
    """
    for id, node in graph.items():
        kind = node.get("class_type")
        if kind not in NODES:
            words = f"Cannot execute because node {kind} does not exist."
            return _error("invalid_prompt", words, f"Node ID '#{id}'"), {}, []
    outputs = [id for id, node in graph.items() if NODES[node["class_type"]].is_output]
    if not outputs:
        return _error("prompt_no_outputs", "Prompt has no outputs"), {}, []
    errors: dict[str, Any] = {}
    good = []
    for output in outputs:
        wrong = {id: list(_wrong(graph, id, checkpoints, files)) for id in behind(graph, output)}
        wrong = {id: found for id, found in wrong.items() if found}
        if not wrong:
            good.append(output)
        for id, found in wrong.items():
            kind = graph[id]["class_type"]
            entry = {"errors": found, "dependent_outputs": [], "class_type": kind}
            errors.setdefault(id, entry)["dependent_outputs"].append(output)
    if not good:
        words = "Prompt outputs failed validation"
        return _error("prompt_outputs_failed_validation", words), errors, []
    return None, errors, good


def _wrong(
    graph: Mapping[str, Any],
    id: str,
    checkpoints: Sequence[str],
    files: Collection[tuple[str, str]],
) -> Iterator[dict[str, Any]]:
    given = graph[id]["inputs"]
    for name, wanted in NODES[graph[id]["class_type"]].inputs.items():
        about = {"input_name": name}
        if name not in given:
            yield _error("required_input_missing", "Required input is missing", name, about)
            continue
        value = given[name]
        if isinstance(value, list):
            source = graph.get(value[0])
            gives = NODES[source["class_type"]].gives if source else ()
            kind = wanted[0] if isinstance(wanted, tuple) else wanted
            got = gives[value[1]] if value[1] < len(gives) else "nothing"
            if got != kind:
                words = "Return type mismatch between linked nodes"
                details = f"{name}, received_type({got}) mismatch input_type({kind})"
                yield _error("return_type_mismatch", words, details, about)
            continue
        if wanted == "files":
            if ("input", value) not in files:
                words = "Custom validation failed for node"
                details = f"{name} - Invalid image file: {value}"
                yield _error("custom_validation_failed", words, details, about)
        else:
            choices = checkpoints if wanted == "checkpoints" else wanted
            yield from _wrong_value(name, value, choices, about)


def _wrong_value(
    name: str, value: Any, wanted: Any, about: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if isinstance(wanted, tuple) and wanted[0] in (_INTEGER, _NUMBER):
        kind, smallest, largest = wanted
        if isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
            words = f"Failed to convert an input value to a {kind} value"
            yield _error("invalid_input_type", words, f"{name}, {value}", about)
        elif value < smallest:
            words = f"Value {value} smaller than min of {smallest}"
            yield _error("value_smaller_than_min", words, name, about)
        elif value > largest:
            words = f"Value {value} bigger than max of {largest}"
            yield _error("value_bigger_than_max", words, name, about)
    elif not isinstance(wanted, str):
        if value not in wanted:
            details = f"{name}: '{value}' not in {list(wanted)}"
            yield _error("value_not_in_list", "Value not in list", details, about)
    elif wanted != "STRING":
        words = "Linked input must be a length-2 list of [node_id, slot_index]"
        yield _error("bad_linked_input", words, name, about)


def behind(graph: Mapping[str, Any], id: str) -> list[str]:
    """Return a node and all that it depends on, in the order in which they are made."""
    found: list[str] = []

    def visit(one: str) -> None:
        if one in found or one not in graph:
            return
        for value in graph[one]["inputs"].values():
            if isinstance(value, list):
                visit(str(value[0]))
        found.append(one)

    visit(id)
    return found


def key_of(graph: Mapping[str, Any], id: str) -> str:
    """Return what decides whether a node has been made before."""
    return json.dumps([graph[one] for one in behind(graph, id)], sort_keys=True)


def told(graph: Mapping[str, Any]) -> str:
    """Return what a picture follows from: prompt and seed."""
    for node in graph.values():
        if node["class_type"] == "KSampler":
            prompt = graph[node["inputs"]["positive"][0]]["inputs"]["text"]
            seed = node["inputs"]["seed"]
            if isinstance(seed, list):
                seed = graph[seed[0]]["inputs"]["value"]
            return f"{prompt}|{seed}"
    return "empty"


def _error(
    kind: str, message: str, details: str = "", about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": dict(about or {})}
