"""Inputs of some models at Replicate, as their schemas have them, and a strict check of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Field = dict[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}
_LARGEST_DATA_URL = 256_000 * 4 // 3 + 100

_RATIOS = ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
_MATCH = ["match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4"]


def _text(**more: Any) -> Field:
    return {"type": "string", **more}


def _file(**more: Any) -> Field:
    return {"type": "string", "format": "uri", **more}


def _whole(low: int, high: int, default: int | None = None) -> Field:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def _number(low: float, high: float, default: float) -> Field:
    return {"type": "number", "minimum": low, "maximum": high, "default": default}


def _choice(default: str, choices: list[str]) -> Field:
    return {"type": "string", "enum": choices, "default": default}


def _flag(*, default: bool) -> Field:
    return {"type": "boolean", "default": default}


_SEED: Field = {"type": "integer", "description": "Random seed. Set for reproducible generation"}
_FORMAT = _choice("webp", ["webp", "jpg", "png"])
_QUALITY = _whole(0, 100, 80)


@dataclass(frozen=True)
class Offered:
    """A model: the fields of its input, and how it is asked for."""

    fields: Mapping[str, Field]
    required: tuple[str, ...] = ("prompt",)
    official: bool = True
    version: str | None = None

    def about(self, name: str) -> dict[str, Any]:
        """Return what the API says about it."""
        owner, _, short = name.partition("/")
        return {
            "url": f"https://replicate.com/{name}",
            "owner": owner,
            "name": short,
            "description": "A model of the emulator.",
            "visibility": "public",
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 1,
            "cover_image_url": None,
            "default_example": None,
            "is_official": self.official,
            "latest_version": {
                "id": self.version or "0" * 64,
                "created_at": "2026-11-21T10:00:00.000000Z",
                "cog_version": "0.23.1",
                "openapi_schema": self.document(),
            },
        }

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document; choices are schemas of their own, as Cog writes them."""
        schemas: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for place, (name, field) in enumerate(self.fields.items()):
            spec = {key: value for key, value in field.items() if value is not None}
            if "enum" in spec:
                schemas[name] = {"type": spec.pop("type"), "enum": spec.pop("enum"), "title": name}
                spec["allOf"] = [{"$ref": f"#/components/schemas/{name}"}]
            properties[name] = {**spec, "title": name.capitalize(), "x-order": place}
        schemas["Input"] = {
            "type": "object",
            "title": "Input",
            "required": list(self.required),
            "properties": properties,
        }
        schemas["Output"] = {"type": "array", "items": _file(), "title": "Output"}
        return {"openapi": "3.0.2", "info": {"title": "Cog"}, "components": {"schemas": schemas}}


_SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
_MORE = [*_MATCH, "21:9", "9:21", "2:1", "1:2"]
_FILES: Field = {"type": "array", "items": _file(), "default": []}
_JPG = _choice("jpg", ["jpg", "png"])
_UPSAMPLING = {"prompt_upsampling": _flag(default=False)}
_OFTEN: Mapping[str, Field] = {"prompt": _text(), "seed": _SEED}
_COMPRESSED: Mapping[str, Field] = {"output_format": _FORMAT, "output_quality": _QUALITY}
_OPEN: Mapping[str, Field] = {  # what the open models have in common
    **_OFTEN,
    **_COMPRESSED,
    "go_fast": _flag(default=True),
    "disable_safety_checker": _flag(default=False),
}
_IDEOGRAM: Mapping[str, Field] = {
    "prompt": _text(),
    "aspect_ratio": _choice("1:1", [*_RATIOS, "16:10", "10:16", "2:1", "1:2", "3:1", "1:3"]),
    "magic_prompt_option": _choice("Auto", ["Auto", "On", "Off"]),
    "image": _file(),
    "mask": _file(
        description="A black and white image. Black pixels are inpainted, white pixels are "
        "preserved. The mask will be resized to match the image size."
    ),
    "style_type": _choice("None", ["None", "Auto", "General", "Realistic", "Design"]),
    "style_reference_images": {"type": "array", "items": _file()},
    "seed": {"type": "integer", "maximum": 2147483647},
}


def _schnell(**more: Field) -> dict[str, Field]:
    return {
        **_OPEN,
        "aspect_ratio": _choice("1:1", _RATIOS),
        "num_outputs": _whole(1, 4, 1),
        "megapixels": _choice("1", ["1", "0.25"]),
        **more,
    }


def _kontext() -> dict[str, Field]:
    return {
        **_OFTEN,
        **_UPSAMPLING,
        "input_image": _file(),
        "aspect_ratio": _choice("match_input_image", _MORE),
        "output_format": _choice("png", ["jpg", "png"]),
        "safety_tolerance": _whole(0, 6, 2),
    }


def _flux2(**more: Field) -> dict[str, Field]:
    return {
        **_OFTEN,
        **_COMPRESSED,
        "input_images": _FILES,
        "aspect_ratio": _choice("1:1", [*_MATCH, "custom"]),
        "resolution": _choice("1 MP", ["match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"]),
        "width": _whole(256, 2048),
        "height": _whole(256, 2048),
        "safety_tolerance": _whole(1, 5, 2),
        **more,
    }


def _banana(more: Sequence[str] = (), **fields: Field) -> dict[str, Field]:
    return {
        "prompt": _text(),
        "image_input": _FILES,
        "aspect_ratio": _choice("match_input_image", [*_MATCH, "21:9", *more]),
        "output_format": _JPG,
        **fields,
    }


def _seedream(sizes: list[str], ratios: list[str], **more: Field) -> dict[str, Field]:
    return {
        "prompt": _text(),
        "image_input": _FILES,
        "size": _choice("2K", [*sizes, "custom"]),
        "aspect_ratio": _choice("match_input_image", [*_MATCH[:8], "21:9", *ratios]),
        "width": _whole(1024, 4096, 2048),
        "height": _whole(1024, 4096, 2048),
        "max_images": _whole(1, 15, 1),
        "sequential_image_generation": _choice("disabled", ["disabled", "auto"]),
        **more,
    }


_RESOLUTIONS = ["1K", "2K", "4K"]
_FLUX = "black-forest-labs/flux-"

MODELS: Mapping[str, Offered] = {
    f"{_FLUX}schnell": Offered(_schnell(num_inference_steps=_whole(1, 4, 4))),
    f"{_FLUX}dev": Offered(
        _schnell(
            num_inference_steps=_whole(1, 50, 28),
            guidance=_number(0, 10, 3),
            image=_file(),
            prompt_strength=_number(0, 1, 0.8),
        )
    ),
    f"{_FLUX}1.1-pro": Offered(
        {
            **_OFTEN,
            **_COMPRESSED,
            **_UPSAMPLING,
            "image_prompt": _file(),
            "aspect_ratio": _choice("1:1", ["custom", *_RATIOS[:2], *_RATIOS[3:-1]]),
            "width": _whole(256, 1440),
            "height": _whole(256, 1440),
            "safety_tolerance": _whole(1, 6, 2),
        }
    ),
    f"{_FLUX}1.1-pro-ultra": Offered(
        {
            **_OFTEN,
            "raw": _flag(default=False),
            "image_prompt": _file(),
            "image_prompt_strength": _number(0, 1, 0.1),
            "aspect_ratio": _choice("1:1", _RATIOS),
            "output_format": _JPG,
            "safety_tolerance": _whole(1, 6, 2),
        }
    ),
    f"{_FLUX}kontext-pro": Offered(_kontext()),
    f"{_FLUX}kontext-max": Offered(_kontext()),
    f"{_FLUX}2-pro": Offered(_flux2()),
    f"{_FLUX}2-max": Offered(_flux2()),
    f"{_FLUX}2-flex": Offered(
        _flux2(steps=_whole(1, 50, 30), guidance=_number(1.5, 10, 4.5), **_UPSAMPLING)
    ),
    f"{_FLUX}2-dev": Offered(
        {
            **_OPEN,
            "input_images": _FILES,
            "aspect_ratio": _choice("1:1", [*_MATCH, "custom"]),
            "width": _whole(256, 1440),
            "height": _whole(256, 1440),
        }
    ),
    f"{_FLUX}fill-pro": Offered(
        {
            **_OFTEN,
            **_UPSAMPLING,
            "image": _file(),
            "mask": _file(),
            "steps": _whole(15, 50, 50),
            "guidance": _number(1.5, 100, 60),
            "outpaint": _choice("None", ["None", "Zoom out 1.5x", "Make square"]),
            "output_format": _JPG,
            "safety_tolerance": _whole(1, 6, 2),
        },
        required=("prompt", "image"),
    ),
    "google/nano-banana": Offered(_banana()),
    "google/nano-banana-2": Offered(
        _banana(
            ("1:4", "4:1", "1:8", "8:1"),
            resolution=_choice("1K", _RESOLUTIONS),
            google_search=_flag(default=False),
            image_search=_flag(default=False),
        )
    ),
    "google/nano-banana-pro": Offered(
        _banana(
            resolution=_choice("2K", _RESOLUTIONS),
            safety_filter_level=_choice(
                "block_only_high",
                ["block_low_and_above", "block_medium_and_above", "block_only_high"],
            ),
        )
    ),
    "bytedance/seedream-4": Offered(
        _seedream(_RESOLUTIONS, [], enhance_prompt=_flag(default=True))
    ),
    "bytedance/seedream-4.5": Offered(_seedream(_RESOLUTIONS[1:], ["4:5", "5:4", "9:21"])),
    "ideogram-ai/ideogram-v3-balanced": Offered(_IDEOGRAM),
    "ideogram-ai/ideogram-v3-quality": Offered(_IDEOGRAM),
    "qwen/qwen-image": Offered(
        {
            **_OPEN,
            "negative_prompt": _text(default=" "),
            "image": _file(),
            "strength": _number(0, 1, 0.9),
            "guidance": _number(0, 10, 3),
            "num_inference_steps": _whole(1, 50, 30),
            "image_size": _choice(
                "optimize_for_quality", ["optimize_for_quality", "optimize_for_speed"]
            ),
            "aspect_ratio": _choice("16:9", _MATCH[1:8]),
            "enhance_prompt": _flag(default=False),
        }
    ),
    "recraft-ai/recraft-v3": Offered(
        {"prompt": _text(), "size": _text(), "style": _text(default="any")}
    ),
    "prunaai/p-image": Offered(
        {
            **_OFTEN,
            **_UPSAMPLING,
            "aspect_ratio": _choice("16:9", [*_MATCH[1:8], "custom"]),
            "width": _whole(256, 1440),
            "height": _whole(256, 1440),
        }
    ),
    "emulated/painter": Offered(  # which no catalogue has
        {
            **_OFTEN,
            "prompt": _text(description="What to paint."),
            "style": _choice("plain", ["plain", "ornate"]),
            "guidance_scale": _number(1, 20, 5),
            "init_image": _file(),
        },
        official=False,
        version="5" * 64,
    ),
    "stability-ai/sdxl": Offered(
        {
            **_OFTEN,
            "negative_prompt": _text(default=""),
            "image": _file(),
            "mask": _file(
                description="Input mask for inpaint mode. Black areas will be preserved, white "
                "areas will be inpainted."
            ),
            "width": {"type": "integer", "default": 1024},
            "height": {"type": "integer", "default": 1024},
            "num_outputs": _whole(1, 4, 1),
            "scheduler": _choice(
                "K_EULER",
                [
                    *("DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM"),
                    *("K_EULER_ANCESTRAL", "K_EULER", "PNDM"),
                ],
            ),
            "num_inference_steps": _whole(1, 500, 50),
            "guidance_scale": _number(1, 50, 7.5),
            "prompt_strength": _number(0, 1, 0.8),
            "refine": _choice(
                "no_refiner", ["no_refiner", "expert_ensemble_refiner", "base_image_refiner"]
            ),
            "high_noise_frac": _number(0, 1, 0.8),
            "apply_watermark": _flag(default=True),
            "lora_scale": _number(0, 1, 0.6),
            "disable_safety_checker": _flag(default=False),
        },
        required=(),
        official=False,
        version=_SDXL,
    ),
}
VERSIONS: Mapping[str, str] = {
    offered.version: name for name, offered in MODELS.items() if offered.version is not None
}


def wrong_in(model: str, given: Mapping[str, Any]) -> str:
    """Return what is wrong with the input of a model, or "".

    >>> wrong_in("black-forest-labs/flux-schnell", {"prompt": "a fox", "num_outputs": 9})
    'num_outputs: Must be less than or equal to 4'
    """
    offered = MODELS[model]
    for name in offered.required:
        if name not in given:
            return f"{name}: is required"
    for name, value in given.items():
        field = offered.fields.get(name)
        if field is None:
            return f"{name}: Additional property {name} is not allowed"
        wrong = _wrong(field, value)
        if wrong:
            return f"{name}: {wrong}"
    return ""


def _wrong(field: Field, value: Any) -> str:
    fits = isinstance(value, bool) == (field["type"] == "boolean")
    if not fits or type(value) not in (*_TYPES[field["type"]], bool):
        return f"Invalid type. Expected: {field['type']}"
    if "enum" in field and value not in field["enum"]:
        return f"Must be one of the following: {field['enum']}"
    if field.get("maximum") is not None and value > field["maximum"]:
        return f"Must be less than or equal to {field['maximum']}"
    if field.get("minimum") is not None and value < field["minimum"]:
        return f"Must be greater than or equal to {field['minimum']}"
    for item in value if field["type"] == "array" else ():
        if _wrong(field["items"], item):
            return _wrong(field["items"], item)
    if field.get("format") == "uri":
        if not value.startswith(("http://", "https://", "data:image/")):
            return "Does not match format 'uri'"
        if value.startswith("data:") and len(value) > _LARGEST_DATA_URL:
            return "A data URL must not be larger than 256 kB"
    return ""
