"""AUTOMATIC1111's web UI as an emulator: one picture at a time, whoever asks.

Written after the sources of ``modules/api`` and ``modules/progress``; no real server was at hand to
compare it with. As there, a call that its client has left is made all the same.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen, Turns
from workbench.testing.pictures import png

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
PROGRESS, INTERNAL = "/sdapi/v1/progress", "/internal/progress"
INTERRUPT, MODELS = "/sdapi/v1/interrupt", "/sdapi/v1/sd-models"
SCRIPTS = "/sdapi/v1/scripts"
_SAMPLERS = ("Euler", "Euler a", "DPM++ 2M")
_SCHEDULERS = ("Automatic", "Karras", "Uniform")  # by their labels, or their names in small
_TURN_S = 30.0

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "prompt": str,
    "negative_prompt": str,
    "width": int,
    "height": int,
    "steps": int,
    "cfg_scale": (int, float),
    "seed": int,
    "batch_size": int,
    "n_iter": int,
    "sampler_name": str,
    "scheduler": str,
    "send_images": bool,
    "save_images": bool,
    "force_task_id": str,
    "override_settings": dict,
    "override_settings_restore_afterwards": bool,
    "enable_hr": bool,
    "hr_scale": (int, float),
    "denoising_strength": (int, float),
    "init_images": list,
    "mask": str,
    "mask_blur": int,
    "inpainting_fill": int,
    "inpaint_full_res": (bool, int),
    "inpainting_mask_invert": int,
    "resize_mode": int,
}


class SDWebUIEmulator(Emulator):
    """A server that speaks the web UI's API.

    Parameters
    ----------
    key:
        "user:password", as ``--api-auth`` wants it; None: anybody may ask.
    ids:
        It takes ids of calls (``force_task_id``), as versions from 2024 on.
    internal:
        It has the page's own progress.
    progress:
        It has ``/sdapi/v1/progress`` and interrupts; False: as stable-diffusion.cpp.
    grid:
        A grid comes before each picture.
    maps:
        So many maps of extensions come after it.
    step_s:
        Seconds of each step.

    Attributes
    ----------
    made:
        Prompts whose pictures were made whole, in order.
    interrupts:
        How many interrupts there were while something was made.

    Examples
    --------
    >>> with SDWebUIEmulator() as emulator:
    ...     emulator.base_url == emulator.url
    True
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        ids: bool = True,
        internal: bool = True,
        progress: bool = True,
        grid: bool = False,
        maps: int = 0,
        step_s: float = 0.0,
    ) -> None:
        super().__init__()
        self.key = key
        self.checkpoints = ["v1-5-pruned.safetensors [6ce0161689]", "sd_xl_base_1.0.safetensors"]
        self.made: list[str] = []
        self.interrupts = 0
        self.step_s = step_s
        self._ids = ids
        self._internal = internal
        self._progress = progress
        self._grid = grid
        self._maps = maps
        self._turn = threading.Lock()
        self._goes = threading.Event()
        self._goes.set()
        self._turns = Turns()
        self._interrupt = threading.Event()
        self._pending: list[str] = []
        self._current: str | None = None
        self._finished: list[str] = []
        self._state: dict[str, Any] = {"job": "", "job_count": 0, "job_no": 0, "interrupted": False}
        self._state |= {"sampling_step": 0, "sampling_steps": 0}
        self._sketch: bytes | None = None
        self._closed = False

    # -- what tests do with it --------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What belongs into SDWEBUI_URL."""
        return self.url

    @property
    def job(self) -> str:
        """What is made now, in the server's own word ("" if nothing is)."""
        return str(self._state["job"])

    def hold(self) -> None:
        """Stop before the next step."""
        self._goes.clear()

    def let(self, steps: int) -> None:
        """Do so many steps more, although it is held."""
        self._turns.give(steps)

    def go_on(self) -> None:
        """Go on after `hold`."""
        self._goes.set()

    def occupy(self, job: str = "task(of-the-page)", steps: int = 8) -> threading.Thread:
        """Make a picture for somebody else, in a thread; returns when it is being made."""
        begun = threading.Event()

        def make() -> None:
            with self._turn:
                self._begin(job, steps)
                begun.set()
                self._sample(steps, "somebody else's")
                self._end()

        thread = threading.Thread(target=make, name="emulator's other user", daemon=True)
        thread.start()
        begun.wait(_TURN_S)
        return thread

    def close(self) -> None:
        """Close the server; what is being made is left."""
        self._closed = True
        self._interrupt.set()
        self._goes.set()
        super().close()

    # -- HTTP -------------------------------------------------------------------------------------

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as the web UI has them."""
        if code is not None:  # an exception within the server
            told = {"error": code, "detail": "", "body": "", "errors": message}
        else:
            told = {"error": "HTTPException", "detail": message, "body": "", "errors": ""}
        return Reply(status, JSON, [json.dumps(told).encode()])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Answer a request."""
        parts = urlsplit(seen.path)
        post = seen.method == "POST"
        if parts.path == INTERNAL and post and self._internal and self._progress:
            return _json(self._of_job(seen.json()))
        if not parts.path.startswith("/sdapi/"):
            return _json({"detail": "Not Found"}, 404)
        if self.key is not None:
            basic = base64.b64encode(self.key.encode()).decode()
            if seen.headers.get("authorization") != f"Basic {basic}":
                return self.error(401, "Incorrect username or password")
        if parts.path in (TXT2IMG, IMG2IMG) and post:
            return self._made(seen, fault, of_image=parts.path == IMG2IMG)
        if parts.path == MODELS:
            return _json(
                [{"title": one, "model_name": one.partition(".")[0]} for one in self.checkpoints]
            )
        if parts.path == SCRIPTS:
            return _json({"txt2img": [], "img2img": []})
        if parts.path == PROGRESS and self._progress:
            skip = parse_qs(parts.query).get("skip_current_image") == ["true"]
            return _json(self._of_anybody(skip=skip))
        if parts.path == INTERRUPT and post and self._progress:
            self._state["interrupted"] = True
            self.interrupts += bool(self.job)
            self._interrupt.set()
            return _json({})
        return _json({"detail": "Not Found"}, 404)

    def _of_job(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        id = asked.get("id_task")
        told: dict[str, Any] = {
            "active": id is not None and id == self._current,
            "queued": id in self._pending,
            "completed": id in self._finished,
            "id_live_preview": -1,
        }
        if not told["active"]:
            place = self._pending.index(id) + 1 if id in self._pending else 0
            count = len(self._pending)
            told["textinfo"] = f"In queue: {place}/{count}" if told["queued"] else "Waiting..."
            return told
        step, steps = self._state["sampling_step"], self._state["sampling_steps"]
        told |= {"progress": step / steps if steps else 0.0, "id_live_preview": step}
        if self._sketch is not None and asked.get("id_live_preview") != step:
            sketch = base64.b64encode(self._sketch).decode()
            told["live_preview"] = f"data:image/png;base64,{sketch}"
        return told

    def _of_anybody(self, *, skip: bool) -> dict[str, Any]:
        step, steps = self._state["sampling_step"], self._state["sampling_steps"]
        sketch = None if skip or self._sketch is None else base64.b64encode(self._sketch).decode()
        return {
            "progress": 0.01 + step / steps if self.job and steps else 0.0,
            "eta_relative": 0.0,
            "state": dict(self._state),
            "current_image": sketch if self.job else None,
            "textinfo": None,
            "current_task": None,  # of some versions; it is never anything else
        }

    # -- making -----------------------------------------------------------------------------------

    def _made(self, seen: Seen, fault: Fault, *, of_image: bool) -> Reply:
        try:
            asked = seen.json()
        except ValueError:
            return _json({"detail": [{"loc": ["body"], "msg": "JSON decode error"}]}, 422)
        wrong = self._wrong(asked, of_image=of_image)
        if wrong is not None:
            return wrong
        id = asked.get("force_task_id") if self._ids else None
        if id:
            self._pending.append(id)
        with self._turn:
            kind = "img2img" if of_image else "txt2img"
            self._begin(f"scripts_{kind}", asked["steps"])
            if id:
                self._pending.remove(id)
                self._current = id
            whole = self._sample(asked["steps"], asked["prompt"])
            self._current = None
            if id:
                self._finished.append(id)
            self._end()
        if whole:
            self.made.append(asked["prompt"])
            if fault.images != 0:
                self.charge(seen, 1)
        return _json(self._answer(asked, fault))

    def _answer(self, asked: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
        seed = asked["seed"] if asked["seed"] >= 0 else 4_294_967
        what = f"{asked['prompt']}|{seed}"
        picture = png(what) if fault.image is None else fault.image
        picture = picture if fault.cut is None else picture[: int(len(picture) * fault.cut)]
        count = 1 if fault.images is None else fault.images
        seeds = list(range(seed, seed + count))
        pictures = [png("a grid")] if self._grid else []
        pictures += [picture] * count + [png("a map")] * self._maps
        info = {
            "prompt": asked["prompt"],
            "all_prompts": [asked["prompt"]] * count,
            "seed": seed,
            "all_seeds": seeds,
            "index_of_first_image": int(self._grid),
            "infotexts": [
                f"{asked['prompt']}\nSteps: {asked['steps']}, Seed: {one}" for one in seeds
            ],
        }
        texts = [base64.b64encode(one).decode() for one in pictures]
        return {"images": texts, "parameters": dict(asked), "info": json.dumps(info)}

    def _wrong(self, asked: Any, *, of_image: bool) -> Reply | None:
        if not isinstance(asked, dict):
            return _json({"detail": [{"loc": ["body"], "msg": "value is not a valid dict"}]}, 422)
        for name, value in asked.items():
            kinds = _TYPES.get(name)
            if kinds is None:
                continue  # as pydantic does
            right = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
            if not right and not (name == "inpaint_full_res" and isinstance(value, bool)):
                error = {"loc": ["body", name], "msg": "value is not valid", "type": "type_error"}
                return _json({"detail": [error]}, 422)
        if of_image and not asked.get("init_images"):
            return self.error(404, "Init image not found")
        for text in [*asked.get("init_images", ()), *([asked["mask"]] if "mask" in asked else ())]:
            if not _decoded(text).startswith(b"\x89PNG"):
                return self.error(500, "Invalid encoded image")
        if asked.get("sampler_name", _SAMPLERS[0]) not in _SAMPLERS:
            return self.error(404, "Sampler not found")
        schedulers = {*_SCHEDULERS, *map(str.lower, _SCHEDULERS)}
        if asked.get("scheduler", _SCHEDULERS[0]) not in schedulers:
            return self.error(404, "Scheduler not found")
        checkpoint = asked.get("override_settings", {}).get("sd_model_checkpoint")
        known = {name for one in self.checkpoints for name in (one, one.partition(".")[0])}
        if checkpoint is not None and checkpoint not in known:
            return self.error(500, f"model {checkpoint!r} not found", "RuntimeError")
        return None

    def _begin(self, job: str, steps: int) -> None:
        self._interrupt.clear()
        self._sketch = None
        self._state |= {"job": job, "job_count": 1, "job_no": 0, "interrupted": False}
        self._state |= {"sampling_step": 0, "sampling_steps": steps}

    def _sample(self, steps: int, what: str) -> bool:
        """Do the steps; False if they were interrupted."""
        for step in range(1, steps + 1):
            if self.step_s:
                self._interrupt.wait(self.step_s)
            while not (self._goes.wait(0.02) or self._interrupt.is_set() or self._turns.taken()):
                pass
            if self._interrupt.is_set() or self._closed:
                return False
            self._state["sampling_step"] = step
            self._sketch = png(f"{what} at {step}", width=8, height=8)
        return True

    def _end(self) -> None:
        self._state |= {"job": "", "job_count": 0}


def _decoded(text: str) -> bytes:
    """Read an image as the web UI does: base64, with or without what a ``data:`` address has."""
    _, _, content = text.rpartition(",")
    return base64.b64decode(content)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, [json.dumps(value).encode()])
