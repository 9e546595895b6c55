"""Guessing what can be set in a ComfyUI graph, from the common nodes.

Only what leaves no doubt is taken: one text behind every sampler's positive conditioning is the
prompt; two are a question for whoever made the graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Place = tuple[str, str]  # node, input

# name of a parameter: the input that common nodes have for it
SETTINGS: Mapping[str, str] = {
    "steps": "steps",
    "guidance": "cfg",
    "strength": "denoise",
    "sampler": "sampler_name",
    "scheduler": "scheduler",
    "checkpoint": "ckpt_name",
    "diffusion_model": "unet_name",
}

_MAX_LINKS = 40
# Inputs that hold a prompt, and those behind which a conditioning may come from further away.
_TEXTS = ("text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl")
_VALUES = ("value", "text", "string", "prompt", "int", "float", "number")
_SAMPLING = ("steps", "cfg", "guidance", "seed", "noise_seed", "latent_image", "sigmas", "noise")


def guessed(
    graph: Mapping[str, Any],
) -> tuple[dict[str, tuple[Place, ...]], dict[str, list[Place]]]:
    """Find what can be set in a graph.

    Returns
    -------
    found:
        Where each thing goes, where there is no doubt.
    unsure:
        For the others: the places that it might be.
    """
    nodes = _used(graph)
    found: dict[str, tuple[Place, ...]] = {}
    unsure: dict[str, list[Place]] = {}

    def settle(name: str, places: Iterable[Place]) -> None:
        places = list(dict.fromkeys(places))
        if len({node for node, _ in places}) == 1:
            found[name] = tuple(places)
        elif places:
            unsure[name] = places

    positive, negative = _prompts(graph, nodes)
    settle("prompt", positive)
    settle("negative_prompt", [place for place in negative if place not in positive])
    seeds = [
        place
        for node in nodes
        for name in ("seed", "noise_seed")
        if (place := _settled(graph, node, name, int)) is not None
    ]
    if seeds:
        found["seed"] = tuple(dict.fromkeys(seeds))
    _sizes(graph, nodes, found, unsure)
    for name, port in SETTINGS.items():
        places = [p for node in nodes if (p := _settled(graph, node, port)) is not None]
        values = {json.dumps(graph[node]["inputs"][at]) for node, at in places}
        if len(values) == 1:  # the same everywhere: it is one setting
            found[name] = tuple(dict.fromkeys(places))
        elif places:
            unsure[name] = places
    for name, kind in (("references", "LoadImage"), ("mask", "LoadImageMask")):
        places = [
            (node, "image")
            for node in nodes
            if graph[node]["class_type"] == kind and _settled(graph, node, "image", str)
        ]
        if places:
            found[name] = tuple(places)
    if "references" not in found:
        found.pop("strength", None)  # from nothing, a part of the way makes no sense
    return found, unsure


def _used(graph: Mapping[str, Any]) -> list[str]:
    """Return the nodes that lead to a picture, in the order of their ids (all if none is known)."""
    ends = [id for id, node in graph.items() if node["class_type"].startswith(("Save", "Preview"))]
    seen: set[str] = set()
    while ends:
        node = ends.pop()
        if node in seen:
            continue
        seen.add(node)
        ends += [
            link[0] for value in graph[node]["inputs"].values() if (link := _link(graph, value))
        ]
    return sorted_ids(seen or graph)


def _prompts(graph: Mapping[str, Any], nodes: Sequence[str]) -> tuple[list[Place], list[Place]]:
    positive: list[Place] = []
    negative: list[Place] = []
    for node in nodes:
        inputs = graph[node]["inputs"]
        samples = any(name in inputs for name in _SAMPLING)
        guides = graph[node]["class_type"].endswith("Guider")
        if not (samples or guides):
            continue
        positive += _behind(graph, inputs.get("positive"))
        negative += _behind(graph, inputs.get("negative"))
        if guides:
            positive += _behind(graph, inputs.get("conditioning"))
    if not positive:
        encoders = [node for node in nodes if "TextEncode" in graph[node]["class_type"]]
        positive = [place for node in encoders for place in _own_texts(graph, node)]
    return positive, negative


def _behind(graph: Mapping[str, Any], value: object) -> list[Place]:
    """Follow a conditioning to the texts that it is made of."""
    found: list[Place] = []
    open_links = [value]
    for _ in range(_MAX_LINKS):
        if not open_links:
            break
        link = _link(graph, open_links.pop())
        if link is None:
            continue
        node, slot = link
        inputs = graph[node]["inputs"]
        if graph[node]["class_type"] == "ConditioningZeroOut":
            continue
        texts = _own_texts(graph, node)
        if texts:
            found += texts
        elif "positive" in inputs and "negative" in inputs:
            open_links.append(inputs["negative" if slot == 1 else "positive"])
        else:
            open_links += [one for name, one in inputs.items() if name.startswith("conditioning")]
    return found


def _own_texts(graph: Mapping[str, Any], node: str) -> list[Place]:
    places = (_settled(graph, node, name, str) for name in _TEXTS)
    return [place for place in places if place is not None]


def all_texts(graph: Mapping[str, Any]) -> list[Place]:
    """Return every input that holds text."""
    return [
        (node, name)
        for node in sorted_ids(graph)
        for name, value in graph[node]["inputs"].items()
        if isinstance(value, str)
    ]


def _sizes(
    graph: Mapping[str, Any],
    nodes: Sequence[str],
    found: dict[str, tuple[Place, ...]],
    unsure: dict[str, list[Place]],
) -> None:
    empty = [node for node in nodes if graph[node]["class_type"].startswith("Empty")]
    sides = [
        (width, height)
        for node in empty
        if (width := _settled(graph, node, "width", int))
        and (height := _settled(graph, node, "height", int))
    ]
    if len(set(sides)) == 1:
        found["width"], found["height"] = (sides[0][0],), (sides[0][1],)
    elif sides:
        unsure["width"] = [width for width, _ in sides]
        unsure["height"] = [height for _, height in sides]


def _settled(
    graph: Mapping[str, Any], node: str, name: str, kind: type | None = None
) -> Place | None:
    """Return where the value of an input is written: there, or in a node that only holds it."""
    for _ in range(_MAX_LINKS):
        inputs = graph[node]["inputs"]
        if name not in inputs:
            return None
        value = inputs[name]
        link = _link(graph, value)
        if link is None:
            plain = value is not None and not isinstance(value, (list, dict))
            right = kind is None or (isinstance(value, kind) and not isinstance(value, bool))
            return (node, name) if plain and right else None
        node = link[0]
        names = [one for one in _VALUES if one in graph[node]["inputs"]]
        if len(names) != 1:
            return None
        name = names[0]
    return None


def _link(graph: Mapping[str, Any], value: object) -> tuple[str, int] | None:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        node, slot = value
        if isinstance(node, (str, int)) and isinstance(slot, int) and str(node) in graph:
            return str(node), slot
    return None


def sorted_ids(ids: Iterable[str]) -> list[str]:
    """Return ids of nodes in their order: numbers by value.

    >>> sorted_ids(["10", "9", "57:8", "a"])
    ['9', '10', '57:8', 'a']
    """

    def key(id: str) -> list[tuple[bool, int, str]]:
        return [
            (False, int(part), "") if part.isdecimal() else (True, 0, part)
            for part in id.split(":")
        ]

    return sorted(ids, key=key)
