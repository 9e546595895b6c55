"""The text of settings that AUTOMATIC1111, Forge and the tools around them read.

::

    a red fox, detailed fur
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model: sketch

Readers take the last line as settings when it holds at least three ``Name: value`` pairs, and a
line that begins with "Negative prompt:" as the start of the negative prompt. Values with a comma,
a colon or a line break are JSON strings. Prompts have no escapes at all, so that a prompt which
imitates this layout is defused by changing as little as one letter; our own JSON beside the text
holds it unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_SOFTWARE = "image-workbench"
_NEGATIVE = "Negative prompt:"

# What people and programs know a setting by.
_NAMES = {
    "steps": "Steps",
    "sampler": "Sampler",
    "sampler_name": "Sampler",
    "scheduler": "Schedule type",
    "guidance": "CFG scale",
    "guidance_scale": "CFG scale",
    "cfg": "CFG scale",
    "cfg_scale": "CFG scale",
    "clip_skip": "Clip skip",
    "strength": "Denoising strength",
    "denoise": "Denoising strength",
}
# Names that we write ourselves; a parameter of such a name would overrule the truth.
_OWN = frozenset({"seed", "size", "model", "provider", "version", "negative prompt", "prompt"})
_NOT_IN_NAMES = re.compile(r"[^\w \-/]+")

_PAIR = re.compile(
    r"""
    \s* (?P<name> \w [\w\ /-]+ ) : \s*
    (?: (?P<json> " (?: [^"\\] | \\. )+ " ) | (?P<plain> [^,]* ) )
    (?: , | $ )
    """,
    re.VERBOSE,
)


def a1111_text(info: Mapping[str, Any]) -> str:
    """Write settings as A1111 text.

    Parameters
    ----------
    info:
        ``prompt``, ``negative_prompt``, ``model``, ``provider``, ``seed``, ``width`` and
        ``height`` in pixels, and ``params`` (name to value); all optional.

    Returns
    -------
    str
        Empty when neither a prompt nor a model is known: there is nothing to say.

    Examples
    --------
    >>> print(a1111_text({"prompt": "a fox", "seed": 7, "model": "sketch"}))
    a fox
    Seed: 7, Model: sketch, Version: image-workbench
    """
    prompt = _prompt_lines(info.get("prompt"))
    negative = _prompt_lines(info.get("negative_prompt"))
    if not prompt and not negative and not info.get("model"):
        return ""
    lines = [prompt] if prompt else []
    if negative:
        lines.append(f"{_NEGATIVE} {negative}")
    pairs = _pairs(info)
    lines.append(", ".join(f"{name}: {_quote(value)}" for name, value in pairs.items()))
    return "\n".join(lines)


def parse_a1111(text: str) -> dict[str, Any]:
    r"""Read A1111 text as A1111 reads it.

    Returns
    -------
    dict
        ``prompt``, ``negative_prompt`` and ``params`` (names as written, values as text).

    Examples
    --------
    >>> parse_a1111("a fox\nSteps: 20, Seed: 7, Size: 8x8")["params"]["Seed"]
    '7'
    """
    *lines, last = text.strip().split("\n")
    pairs = list(_PAIR.finditer(last))
    if len(pairs) < 3:
        lines.append(last)
        pairs = []
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(_NEGATIVE):
            target = negative
            target.append(line.removeprefix(_NEGATIVE).strip())
        else:
            target.append(line)
    return {
        "prompt": "\n".join(prompt),
        "negative_prompt": "\n".join(negative),
        "params": {pair["name"]: _unquote(pair) for pair in pairs},
    }


def _prompt_lines(value: object) -> str:
    """A prompt whose lines cannot be taken for the layout around them."""
    if not isinstance(value, str):
        return ""
    text = value.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").strip()
    # "negative prompt:" means the same to every model and nothing to the readers.
    return "\n".join(
        re.sub(r"^(\s*)Negative prompt:", r"\1negative prompt:", line) for line in text.split("\n")
    )


def _pairs(info: Mapping[str, Any]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    parameters = info.get("params")
    extra: dict[str, Any] = {}
    if isinstance(parameters, Mapping):
        for key, value in parameters.items():
            if value is None or isinstance(value, (Mapping, list, tuple)):
                continue
            name = _NAMES.get(str(key)) or _setting_name(str(key))
            if len(name) > 1 and name.lower() not in _OWN:
                (pairs if str(key) in _NAMES else extra)[name] = value
    if info.get("seed") is not None:
        pairs["Seed"] = info["seed"]
    if info.get("width") and info.get("height"):
        pairs["Size"] = f"{info['width']}x{info['height']}"
    # With fewer than three pairs readers take the line for a part of the prompt.
    pairs["Model"] = info.get("model") or "unknown"
    if info.get("provider"):
        pairs["Provider"] = info["provider"]
    pairs.update(extra)
    pairs["Version"] = _SOFTWARE
    if len(pairs) < 3:
        pairs["Software"] = _SOFTWARE
    return pairs


def _setting_name(key: str) -> str:
    words = _NOT_IN_NAMES.sub(" ", key).replace("_", " ").split()
    name = " ".join(words).lstrip("-/ ")
    return name[:1].upper() + name[1:]


def _quote(value: object) -> str:
    text = str(value)
    plain = (
        text
        and text == text.strip()
        and not re.search(r'[,:"\\\x00-\x1f\x7f-\x9f\u2028\u2029]', text)
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


def _unquote(pair: re.Match[str]) -> Any:
    text = pair["json"] or pair["plain"].strip()
    if not text.startswith('"'):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
