"""What the server of stable-diffusion.cpp refuses of OpenAI's dialect, and in which words.

It reads requests more loosely than others: fields that it does not know are nothing to it, sizes
that are none are its own size, and pictures that it cannot read are left out. The emulator is
stricter there, because our own requests hold none of these. `tests/providers/test_sdcpp_real.py`
compares both with the real server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from workbench.testing.emulators.server import Seen

NAME = "stable-diffusion.cpp"
MODEL: Mapping[str, str] = {"id": "sd-cpp-local", "object": "model", "owned_by": "local"}

_BLOCK = re.compile(r"<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>")
_TYPES = {"prompt": str, "n": int, "size": str, "output_format": str, "output_compression": int}
_FORMATS = {False: "png, jpeg, webp", True: "png, jpeg"}  # by whether it is an edit


class Refused(Exception):
    """The server answers with an error instead of a picture.

    Attributes
    ----------
    status:
        400; or 500, where something is of the wrong type.
    words:
        What stands in the field "error".
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def check(seen: Seen, *, edit: bool) -> None:
    """Look at a request as the server does.

    Raises
    ------
    Refused
        The server would not make a picture.
    """
    asked = _form(seen) if edit else _body(seen)
    if not edit and not asked.get("prompt"):
        raise Refused(400, "prompt required")
    kind = str(asked.get("output_format", "png")).lower()
    if kind not in _FORMATS[edit].split(", "):
        raise Refused(400, f"invalid output_format, must be one of [{_FORMATS[edit]}]")
    block = _BLOCK.search(asked["prompt"])
    if block is None or not block[1]:
        return
    try:
        extra = json.loads(block[1])
    except ValueError:
        raise Refused(400, "invalid sd_cpp_extra_args") from None
    if not _possible(extra):
        raise Refused(400, "invalid params")


def _body(seen: Seen) -> Mapping[str, Any]:
    if not seen.body:
        raise Refused(400, "empty body")
    try:
        asked = json.loads(seen.body)
    except ValueError:
        raise Refused(500, "server_error") from None
    if not isinstance(asked, dict):
        raise Refused(500, "server_error")
    for name, kind in _TYPES.items():
        # A number of another kind is converted there; a text is no number.
        accepted = (int, float) if kind is int else kind
        if name in asked and not isinstance(asked[name], accepted):
            raise Refused(500, "server_error")
    return asked


def _form(seen: Seen) -> Mapping[str, Any]:
    if not seen.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(400, "Content-Type must be multipart/form-data")
    parts = seen.parts()
    asked = {part.name: part.content.decode() for part in parts if part.filename is None}
    if not asked.get("prompt"):
        raise Refused(400, "prompt required")
    if not any(part.name in ("image[]", "image") for part in parts if part.filename):
        raise Refused(400, "at least one image[] required")
    return asked


def _possible(extra: Any) -> bool:
    """Whether parameters are within what it checks; what is of the wrong type it passes over."""
    if not isinstance(extra, dict):
        return True
    strength = extra.get("strength", 0.75)
    sample = extra.get("sample_params")
    guidance = sample.get("guidance") if isinstance(sample, dict) else None
    scale = guidance.get("txt_cfg", 1) if isinstance(guidance, dict) else 1
    if isinstance(strength, (int, float)) and not 0 <= strength <= 1:
        return False
    return not isinstance(scale, (int, float)) or scale >= 0
