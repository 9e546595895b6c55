"""Painting with a pipeline, a picture at a time. All of this runs in the studio's thread."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobInput,
    JobRequest,
    Log,
    Running,
    Slot,
)
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError, WorkbenchError
from workbench.providers.diffusers_failures import Foreign, of_loading, of_painting
from workbench.providers.diffusers_following import Following
from workbench.providers.diffusers_loading import (
    Loaded,
    device_for,
    give_back,
    load,
    versions,
)
from workbench.providers.diffusers_sources import Source, local_folder, traits_of
from workbench.providers.diffusers_studio import Order
from workbench.providers.redaction import plain

_USUAL_SIDE = 1024
_MOST_SIDE = 4096


class Painter:
    """Keeps one pipeline loaded and paints with it.

    Parameters
    ----------
    device:
        auto, cpu, cuda, cuda:1, mps, …
    dtype:
        auto, float32, float16 or bfloat16.
    changed:
        Is told what is loaded now (None: nothing), in the thread.
    """

    def __init__(self, device: str, dtype: str, changed: Callable[[Loaded | None], None]) -> None:
        self.device = device
        self.dtype = dtype
        self._changed = changed
        self._loaded: Loaded | None = None
        self._asked: tuple[object, ...] = ()

    def free(self) -> None:
        """Let go of the pipeline, and give its memory back to the device and the system."""
        if self._loaded is None:
            return
        self._loaded = None
        self._changed(None)
        give_back()

    def look(self, sources: list[Source]) -> str:
        """Import the libraries and say what they would run on."""
        device = device_for(self.device)
        missing = [one.name for one in sources if local_folder(one) is None]
        here = len(sources) - len(missing)
        text = f"{_versions_text()} would run on {device}; {here} of {len(sources)} pipelines are"
        text += " on this machine."
        if missing:
            text += f" To be downloaded with their first picture: {', '.join(missing)}."
        return text

    def paint(self, order: Order, request: JobRequest, source: Source) -> None:
        """Paint every slot of a request, one after the other."""
        started = time.monotonic()
        loaded = self._ready(order, source)
        loaded.brake.order = order
        name, device = loaded.source.name, loaded.device
        try:
            with Foreign(lambda error: of_painting(error, name, device)):
                begin = _image_to_begin_with(request)
                made = _pipeline_for(loaded, from_image=begin is not None)
                for slot in request.slots:
                    order.check()
                    order.tell(
                        _painted(order, request, slot, loaded=loaded, pipeline=made, begin=begin)
                    )
            order.tell(Done(usage=_usage(loaded, time.monotonic() - started)))
        except ProviderError:
            give_back()  # nothing keeps the unfinished picture any more
            raise
        finally:
            loaded.brake.order = None

    def _ready(self, order: Order, source: Source) -> Loaded:
        """Return the pipeline, loaded; another one goes first, so that never two are in memory."""
        asked = (source.place, source.revision, _stamp(source), self.device, self.dtype)
        if self._loaded is not None and asked == self._asked:
            return self._loaded
        self.free()
        device = device_for(self.device)
        verb = "downloading and loading" if local_folder(source) is None else "loading"
        order.tell(_remark(f"{verb} {source.name}"))
        started = time.monotonic()
        try:
            with Foreign(lambda error: of_loading(error, source, device)):
                loaded = load(source, device, self.dtype)
        except ProviderError:
            give_back()  # nothing keeps what was loaded any more
            raise
        self._loaded, self._asked = loaded, asked
        self._changed(loaded)
        order.tell(_remark(f"{loaded}, loaded in {time.monotonic() - started:.1f} s"))
        return loaded


# -- painting -------------------------------------------------------------------------------------


def _image_to_begin_with(request: JobRequest) -> JobInput | None:
    found = [one for one in request.inputs if one.role in ("source", "reference")]
    return min(found, key=lambda one: (one.role != "source", one.position), default=None)


def _pipeline_for(loaded: Loaded, *, from_image: bool) -> Any:
    """Return the loaded pipeline, or its sibling that begins with an image (or with nothing)."""
    from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image

    made = loaded.siblings.get(from_image)
    if made is not None:
        return made
    given = inspect.signature(type(loaded.pipeline).__call__).parameters.get("image")
    if from_image == (given is not None) or (given is not None and given.default is None):
        made = loaded.pipeline
    else:
        kind = AutoPipelineForImage2Image if from_image else AutoPipelineForText2Image
        try:
            made = kind.from_pipe(loaded.pipeline)
        except ValueError:
            wanted = "an image to begin with" if from_image else "a prompt alone"
            raise ProviderError(
                ErrorKind.BAD_REQUEST,
                f"{loaded.source.name} ({type(loaded.pipeline).__name__}) does not take {wanted}.",
            ) from None
        made.set_progress_bar_config(disable=True)
    loaded.siblings[from_image] = made
    return made


def _painted(
    order: Order,
    request: JobRequest,
    slot: Slot,
    *,
    loaded: Loaded,
    pipeline: Any,
    begin: JobInput | None,
) -> ImageReady:
    import torch

    seed = secrets.randbits(32) if slot.seed is None else slot.seed
    takes = inspect.signature(type(pipeline).__call__).parameters
    arguments, left_out = _arguments(request, takes)
    size = (request.width, request.height) if request.width and request.height else None
    if begin is not None:
        image = _opened(begin, loaded, size)
        size = image.size
        arguments["image"] = image
        _at_least_one_step(arguments, takes)
    if size is not None:
        arguments |= {
            name: side
            for name, side in zip(("width", "height"), size, strict=True)
            if name in takes
        }
    for what in left_out:
        order.tell(Log(f"{type(pipeline).__name__} takes no {what}; it was left out.", slot.index))
    # Drawn on the CPU, numbers are the same on every device.
    arguments["generator"] = torch.Generator("cpu").manual_seed(seed % 2**64)
    following = Following(order, slot.index, loaded, pipeline, size)
    order.tell(Running(0, _steps(arguments), slot.index))
    with following.attached(arguments, takes), torch.no_grad():
        result = pipeline(**arguments)
    order.check()
    return ImageReady(_encoded(result, loaded), slot.index, seed=seed)


def _arguments(request: JobRequest, takes: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what a pipeline is called with, and the names of what it does not take."""
    params = request.params
    guidance = "guidance_scale"
    if "true_cfg_scale" in takes and (guidance not in takes or takes[guidance].default is None):
        guidance = "true_cfg_scale"  # where that is the one that follows the prompt
    wanted = {
        "negative_prompt": (request.negative_prompt, "negative prompt"),
        "num_inference_steps": (params.get("steps"), "number of steps"),
        guidance: (params.get("guidance_scale"), "guidance"),
    }
    if request.inputs:
        wanted["strength"] = (params.get("strength"), "")  # some take an image as a whole
    arguments: dict[str, Any] = {"prompt": request.prompt}
    if "output_type" in takes:
        arguments["output_type"] = "np"
    left_out = []
    for name, (value, words) in wanted.items():
        if value is not None and name in takes:
            arguments[name] = value
        elif value is not None and words:
            left_out.append(words)
    return arguments, left_out


def _at_least_one_step(arguments: dict[str, Any], takes: Any) -> None:
    """Ask for so many steps that a part of them, which is the strength, is one or more.

    Distilled models paint in one, of which most strengths leave none; pipelines then fail.
    """
    if "strength" not in takes or "num_inference_steps" not in arguments:
        return
    strength = arguments.setdefault("strength", takes["strength"].default)
    enough = math.ceil(1 / strength)
    arguments["num_inference_steps"] = max(arguments["num_inference_steps"], enough)


def _steps(arguments: dict[str, Any]) -> int | None:
    steps = arguments.get("num_inference_steps")
    if steps is None:
        return None
    strength = arguments.get("strength")
    return max(1, int(steps if strength is None else steps * strength))


def _opened(given: JobInput, loaded: Loaded, size: tuple[int, int] | None) -> Any:
    """Return an image to begin with, as large as what is to come of it."""
    from diffusers.image_processor import VaeImageProcessor
    from PIL import Image, ImageOps

    try:
        stored = Image.open(io.BytesIO(given.read()), formats=("PNG", "JPEG", "WEBP", "GIF"))
        image = ImageOps.exif_transpose(stored).convert("RGB")
    except (WorkbenchError, OSError) as error:
        raise ProviderError(
            ErrorKind.BAD_REQUEST, f"An image to begin with cannot be read: {plain(str(error))}"
        ) from None
    usual = loaded.traits.size or _USUAL_SIDE
    # What the form showed before the pipeline was loaded was perhaps another size.
    shown = traits_of(loaded.source).size
    step = int(getattr(loaded.pipeline, "vae_scale_factor", 8)) * 2
    step = max(8, step if hasattr(loaded.pipeline, "transformer") else step // 2)
    if size is None or size in ((usual, usual), (shown, shown)):
        # Nobody chose one: the image's own shape, with as many pixels as the pipeline likes.
        width, height = image.size
        scale = (usual * usual / (width * height)) ** 0.5
        wanted = (width * scale, height * scale)
    else:
        wanted = size
    width, height = (min(_MOST_SIDE, max(step, round(side / step) * step)) for side in wanted)
    return VaeImageProcessor(resample="lanczos").resize(image, height, width, resize_mode="crop")


def _encoded(result: Any, loaded: Loaded) -> bytes:
    """Return the first picture of a result as a PNG.

    Raises
    ------
    ProviderError
        It was blacked out, or has no colours.
    """
    import torch
    from diffusers.image_processor import VaeImageProcessor

    images = getattr(result, "images", None)
    if images is None or len(images) == 0:
        raise ProviderError(ErrorKind.BAD_REQUEST, f"{loaded.source.name} made no picture.")
    flagged = getattr(result, "nsfw_content_detected", None)
    if flagged is not None and any(flagged):
        raise ProviderError(
            ErrorKind.BLOCKED,
            f"The safety checker of {loaded.source.name} blacked the picture out. Change the "
            "prompt, or try another seed.",
        )
    image = images[0]
    if not hasattr(image, "save"):
        if not torch.isfinite(torch.as_tensor(image)).all():
            raise ProviderError(
                ErrorKind.BAD_IMAGE,
                f"{loaded.source.name} computed a picture without colours: as {loaded.dtype}, "
                "numbers overflowed. Set WORKBENCH_DIFFUSERS_DTYPE to bfloat16 or float32.",
            )
        image = VaeImageProcessor.numpy_to_pil(image)[0]
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


# -- small things ---------------------------------------------------------------------------------


def _remark(text: str) -> Log:
    return Log(text, key="log", args={"text": text})


def _versions_text() -> str:
    return ", ".join(f"{name} {number}" for name, number in versions().items())


def _usage(loaded: Loaded, seconds: float) -> dict[str, Any]:
    """Return what made the pictures: with it they can be made again."""
    folder = None if loaded.source.is_folder else local_folder(loaded.source)
    return {
        "pipeline": type(loaded.pipeline).__name__,
        "revision": loaded.source.revision if folder is None else folder.name,
        "device": loaded.device,
        "dtype": loaded.dtype,
        "seconds": round(seconds, 3),
        **versions(),
    }


def _stamp(source: Source) -> int:
    """Return something that changes when a folder's files do: who trains saves again and again."""
    if not source.is_folder:
        return 0
    with contextlib.suppress(OSError):
        return max(
            (path.stat().st_mtime_ns for path in Path(source.place).glob("*/*") if path.is_file()),
            default=0,
        )
    return 0
