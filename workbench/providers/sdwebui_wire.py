"""Requests and answers of the Stable Diffusion web UI: what is sent, and how replies are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from workbench.domain.jobs import (
    JobRequest,
)
from workbench.providers.catalogue import Entry
from workbench.providers.inputs import base64_of, inputs_of, read_input, read_mask

_SEED_BITS = 2**32 - 1
_FILLS = {"fill": 0, "original": 1, "noise": 2, "nothing": 3}


def fields_of(request: JobRequest, entry: Entry) -> dict[str, Any]:
    """Return what is asked for, but for pictures."""
    params = request.params
    seed = request.slots[0].seed
    fields: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or "",
        "width": request.width or 512,
        "height": request.height or 512,
        "steps": params.get("steps", 20),
        "cfg_scale": params.get("guidance", 7),
        "seed": -1 if seed is None else seed & _SEED_BITS,
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
    }
    for name, field in (("sampler", "sampler_name"), ("scheduler", "scheduler")):
        if params.get(name):
            fields[field] = params[name]
    checkpoint = entry.send.get("checkpoint") or params.get("checkpoint")
    if checkpoint:
        fields["override_settings"] = {"sd_model_checkpoint": checkpoint}
        # To load the former one again after each picture would take longer than the picture.
        fields["override_settings_restore_afterwards"] = False
    scale = params.get("hires_scale")
    if isinstance(scale, (int, float)) and scale > 1 and not request.inputs:
        fields |= {
            "enable_hr": True,
            "hr_scale": scale,
            "denoising_strength": params.get("hires_strength", 0.5),
        }
    if request.inputs:
        fields |= {
            "denoising_strength": params.get("strength", 0.75),
            "resize_mode": 1,  # crop and resize
        }
    if inputs_of(request, "mask"):
        fields |= {
            "mask_blur": params.get("mask_blur", 4),
            "inpainting_fill": _FILLS.get(str(params.get("masked_content")), 1),
            "inpaint_full_res": bool(params.get("only_masked")),
            "inpainting_mask_invert": 0,
        }
    return fields


async def inputs_sent(request: JobRequest) -> dict[str, Any]:
    """Read the pictures that go in."""
    given = inputs_of(request, "source", "reference")
    pictures: dict[str, Any] = {}
    if given:
        pictures["init_images"] = [await base64_of(await read_input(given[0]))]
    for mask in inputs_of(request, "mask"):
        pictures["mask"] = await base64_of(await read_mask(mask))  # white is painted anew
    return pictures


def info_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generation's own account, which comes as JSON within JSON."""
    info = answer.get("info")
    with suppress(ValueError, RecursionError):
        info = json.loads(info) if isinstance(info, str) else info
    return info if isinstance(info, dict) else {}


def own_pictures(images: object, info: Mapping[str, Any]) -> list[str]:
    """Return the pictures themselves: no grid before them, and no maps of extensions after.

    >>> own_pictures(["grid", "a", "map"], {"all_seeds": [1], "index_of_first_image": 1})
    ['a']
    >>> own_pictures(["grid", "a"], {"all_seeds": [1]})
    ['a']
    """
    given = images if isinstance(images, list) else []
    texts = [text for text in given if isinstance(text, str) and text]
    seeds = info.get("all_seeds")
    count = len(seeds) if isinstance(seeds, list) and seeds else len(texts)
    first = info.get("index_of_first_image")
    if not isinstance(first, int) or not 0 <= first < max(1, len(texts)):
        first = 1 if len(texts) > count else 0
    return texts[first : first + count]


def first_of(value: object) -> object:
    """Return the first member of a list; None where there is none."""
    return value[0] if isinstance(value, list) and value else None
