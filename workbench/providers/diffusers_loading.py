"""Which device there is, and getting a pipeline into its memory and out again."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.diffusers_failures import Foreign
from workbench.providers.diffusers_preview import Preview
from workbench.providers.diffusers_sources import Source, Traits, traits_of
from workbench.providers.diffusers_studio import Order
from workbench.providers.redaction import plain

_YES = frozenset({"1", "on", "true", "yes"})


class Brake:
    """Stops a pipeline inside a step, between two of its layers.

    On a CPU a step of a large model takes a minute, and a program that ends must not wait for it.
    So the parts of a loaded pipeline ask, each time before they work, whether that is wanted.

    Attributes
    ----------
    order:
        What is being worked on.
    """

    def __init__(self) -> None:
        self.order: Order | None = None

    def attach(self, pipeline: Any) -> None:
        """Put it on every part that has parts (their innermost ones are short)."""
        import torch

        for component in pipeline.components.values():
            if isinstance(component, torch.nn.Module):
                for module in component.modules():
                    if next(module.children(), None) is not None:
                        module.register_forward_pre_hook(self)

    def __call__(self, _module: Any, _inputs: Any) -> None:
        """Raise Interrupted if nobody wants the result any more."""
        order = self.order
        if order is not None:
            order.check()


@dataclass
class Loaded:
    """The pipeline that is in memory.

    Attributes
    ----------
    source, traits:
        What was loaded, and what it takes.
    pipeline:
        As it was saved; `siblings` are others that share its parts, by what they begin with.
    device, dtype:
        Where it is, and in what numbers.
    size:
        Bytes of its weights.
    brake:
        Ends its work at once.
    preview:
        None: not made yet; False: it cannot be made.
    """

    source: Source
    traits: Traits
    pipeline: Any
    device: str
    dtype: str
    size: int
    brake: Brake
    siblings: dict[bool, Any] = field(default_factory=dict)
    preview: Preview | bool | None = None

    def __str__(self) -> str:
        return f"{self.source.name}: {megabytes(self.size)} on {self.device} as {self.dtype}"


def device_for(wanted: str) -> str:
    """Import the libraries and return the device to use.

    Raises
    ------
    ProviderError
        They cannot be imported, or there is no such device.
    """
    with Foreign(_of_import):
        import diffusers  # noqa: F401 - here, so that a broken installation is a sentence
        import torch
        import transformers  # noqa: F401
    has = {"cpu": True, "cuda": torch.cuda.is_available()}
    has["mps"] = torch.backends.mps.is_available()
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if has[name])
    kind, _, number = wanted.partition(":")
    if not has[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        there = ", ".join(name for name, is_there in has.items() if is_there)
        raise ProviderError(
            ErrorKind.UNAVAILABLE,
            f"There is no device {wanted} here for diffusers. There is: {there}.",
        )
    return wanted


def _of_import(error: Exception) -> ProviderError:
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "torch, diffusers or transformers is installed, but cannot be used: "
        f"{plain(f'{type(error).__name__}: {error}')}",
    )


def load(source: Source, device: str, dtype: str) -> Loaded:
    """Load a pipeline; whatever the libraries raise comes through."""
    import torch
    from diffusers import DiffusionPipeline

    where: dict[str, Any] = {"local_files_only": is_offline()}
    if source.revision is not None:
        where["revision"] = source.revision
    if source.is_folder and not Path(source.place).is_dir():
        raise FileNotFoundError(source.place)
    config = DiffusionPipeline.load_config(source.place, **where)
    if not isinstance(config, dict):
        raise TypeError("its model_index.json is no object")
    numbers = getattr(
        torch, dtype if dtype != "auto" else _usual_dtype(device, has_unet="unet" in config)
    )
    with _quiet():
        # Weights as pickles, and code that comes with weights, would run as the user: neither is
        # taken, not even with a setting.
        pipeline = DiffusionPipeline.from_pretrained(
            source.place, dtype=numbers, use_safetensors=True, trust_remote_code=False, **where
        ).to(device)
    pipeline.set_progress_bar_config(disable=True)
    brake = Brake()
    brake.attach(pipeline)
    traits = traits_of(source, type(pipeline).__name__)
    return Loaded(
        source,
        replace(traits, size=_usual_side(pipeline) or traits.size),
        pipeline,
        device,
        str(numbers).removeprefix("torch."),
        _weights(pipeline),
        brake,
    )


def is_offline() -> bool:
    """Tell whether the Hub must not be asked."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_OFFLINE")
    return any(os.environ.get(name, "").lower() in _YES for name in names)


def _usual_dtype(device: str, *, has_unet: bool) -> str:
    # Half precision was made for U-Nets; transformers overflow in it.
    if device == "cpu":
        return "float32"
    return "float16" if has_unet else "bfloat16"


def _usual_side(pipeline: Any) -> int | None:
    """Return the pixels of a side that a loaded pipeline paints by itself, where it says so."""
    side = getattr(pipeline, "default_sample_size", None)
    if side is None and hasattr(pipeline, "unet"):
        side = pipeline.unet.config.get("sample_size")
    pixels = side * getattr(pipeline, "vae_scale_factor", 0) if isinstance(side, int) else 0
    return pixels if pixels > 0 and pixels % 8 == 0 else None


def _weights(pipeline: Any) -> int:
    import torch

    seen: dict[int, int] = {}
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            for tensor in (*part.parameters(), *part.buffers()):
                seen[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    return sum(seen.values())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' bars out of whatever cell happens to run."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [one for one in (of_diffusers, of_transformers) if one.is_progress_bar_enabled()]
    for one in shown:
        one.disable_progress_bar()
    try:
        yield
    finally:
        for one in shown:
            one.enable_progress_bar()


def give_back() -> None:
    """Return memory that nothing uses to the device and to the system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def versions() -> dict[str, str]:
    """Return the versions of the libraries."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "diffusers", "transformers")}


def megabytes(size: int) -> str:
    """Return a size in memory for people.

    >>> megabytes(5_000_000), megabytes(6_900_000_000)
    ('5 MB', '6.9 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
