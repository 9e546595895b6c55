"""What a file may tell about how it was made: a file travels further than its owner thinks.

Only the names in `FIELDS` are ever written, and outside the prompts nothing that looks like a
key, a path, a user or an address.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

#: Version of our JSON; readers take what they know from newer ones.
SCHEMA = 1
#: The names that our JSON may hold; everything else that is passed in is left out.
FIELDS = (
    "asset_id",
    "generation_id",
    "batch_id",
    "index",
    "operation",
    "prompt",
    "prompt_sent",
    "negative_prompt",
    "provider",
    "model",
    "seed",
    "width",
    "height",
    "params",
    "references",
    "created_at",
)
PROSE = frozenset({"prompt", "prompt_sent", "negative_prompt"})

_SECRET_NAME = re.compile(
    r"(?:^|[_\-\s.])(?:api|access|secret|private)?[_\-\s]?"
    r"(?:key|keys|token|secret|password|passwd|auth|authorization|credential|credentials|cookie"
    r"|bearer|signature|user|username|owner|email|home|cwd|host|hostname|account)(?:$|[_\-\s.])",
    re.IGNORECASE,
)
_ROOTED_PATH = re.compile(r"(?:/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\|file:)")
_PATH_INSIDE = re.compile(r"(?:^|[\s=:,;\"'(<\[])(?:/\w|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\\w|file:)")
_WEB_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def payload(info: Mapping[str, Any]) -> dict[str, Any]:
    """Our JSON for these settings: known fields only, without keys, paths and addresses.

    Examples
    --------
    >>> payload({"prompt": "a fox", "owner": "eve", "params": {"api_key": "x", "steps": 4}})
    {'schema': 1, 'software': 'image-workbench', 'prompt': 'a fox', 'params': {'steps': 4}}
    """
    out: dict[str, Any] = {"schema": SCHEMA, "software": "image-workbench"}
    for name in FIELDS:
        value = _plain(info.get(name), prose=name in PROSE)
        if value not in (None, {}, []):
            out[name] = value
    return out


def _plain(value: object, *, prose: bool = False, depth: int = 0) -> Any:
    """A value as JSON holds it, None for what must not or cannot be written."""
    if value is None or isinstance(value, bool) or depth > 6:
        return value if depth <= 6 else None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        text = str.__str__(value).encode("utf-8", "replace").decode("utf-8")
        return text if prose else _without_place(text)
    if isinstance(value, Mapping):
        inner = {
            str(name): _plain(item, depth=depth + 1)
            for name, item in value.items()
            if not (_SECRET_NAME.search(str(name)) and not isinstance(item, (int, float)))
            and _without_place(str(name)) == str(name)
        }
        return {name: item for name, item in inner.items() if item is not None}
    if isinstance(value, (list, tuple)):
        items = [_plain(item, depth=depth + 1) for item in value]
        return [item for item in items if item is not None]
    return None


def _without_place(text: str) -> str | None:
    """The last part of a path, None for texts with addresses or paths inside."""
    if _ROOTED_PATH.match(text):
        text = re.split(r"[\\/]", text.rstrip("\\/"))[-1]
        return text if text and not text.startswith(("file:", "~")) else None
    if _PATH_INSIDE.search(text) or _WEB_ADDRESS.search(text):
        return None
    return text
