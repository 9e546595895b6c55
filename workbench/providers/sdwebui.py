"""AUTOMATIC1111's Stable Diffusion web UI, Forge, and servers that speak their API.

A picture is the answer of one long call. How far it is is asked beside it. The server makes one
picture after the other for everybody, and its progress is that of whoever's turn it is: the job
has an id of ours, so that where the server can say whose turn it is, only our own steps are shown,
and only our own job is interrupted.

Read in the sources, not run here: ``/sdapi/v1/progress`` names no job that one could compare (the
field ``current_task`` of some versions never changes); ``/internal/progress`` of the page does.

::

    ws.add_provider(SDWebUI("studio", base_url="http://gpu-box:7860", key="ann:password"))
    ws.generate("a red fox", model="studio:current", steps=30)
    ws.generate("a hat", model="studio:current", source=photo, mask=where)
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from workbench.domain.jobs import (
    FREE,
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Running,
)
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, InvalidRequest, ProviderError
from workbench.ports import ProviderState
from workbench.providers import failures
from workbench.providers.asking import apart
from workbench.providers.bfl import read_mask
from workbench.providers.catalogue import Entry
from workbench.providers.hosted import MAX_JSON_BYTES, Hosted, inputs_of, read_input
from workbench.providers.http import Patience
from workbench.providers.polling import Pace
from workbench.providers.redaction import Secret, plain
from workbench.providers.sdwebui_progress import STRANGERS, Watch, decoded, ended

_NAMES = uuid.UUID("5d3f0f5e-52b4-5f0c-8a45-6b8d9b0f6a11")  # where our ids come from
_PATIENCE = Patience(stall_s=1800.0, total_s=1800.0)  # the answer comes when the picture is made
_SEED_BITS = 2**32 - 1
_LONGEST_PROMPT = 10_000
_SHORTEST_SECRET = 6
_CANCEL_S = 25.0  # the runner gives a cancel 30 s
_FILLS = {"fill": 0, "original": 1, "noise": 2, "nothing": 3}
_HOW_TO_SET = (
    "Set the environment variable SDWEBUI_URL to the address of your web UI, for example "
    "http://127.0.0.1:7860. The web UI has to be started with --api."
)


class SDWebUI(Hosted):
    """A Stable Diffusion web UI.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    base_url:
        Address of the server; None: SDWEBUI_URL.
    key:
        "user:password" where it was started with ``--api-auth``; None: SDWEBUI_AUTH.
    concurrency:
        Calls at once over all processes of a workspace. The server makes one picture at a time.
    patience:
        Limits of time; one call lasts as long as its picture and all that wait before it.
    pace:
        Makes what decides how often progress is asked for.

    Examples
    --------
    >>> SDWebUI().models()[0].id
    'sdwebui:current'
    """

    usual_name: ClassVar[str] = "sdwebui"
    title = "Stable Diffusion web UI"
    help = "Your own AUTOMATIC1111 or Forge. It costs nothing."
    key_variables: ClassVar[tuple[str, ...]] = ("SDWEBUI_AUTH",)
    address_variable: ClassVar[str] = "SDWEBUI_URL"
    data: ClassVar[str] = "sdwebui"
    needs_key = False
    usual_concurrency: ClassVar[int] = 1
    idempotency = FREE

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
        concurrency: int | None = None,
        patience: Patience = _PATIENCE,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        super().__init__(
            name,
            base_url=base_url,
            key=key,
            concurrency=concurrency,
            patience=patience,
            pace=pace,
        )
        self._discovered: dict[str, Entry] = {}

    # -- what people see --------------------------------------------------------------------------

    def state(self) -> ProviderState:
        """Ready where there is an address. It asks nobody."""
        if self._is_unset():
            return ProviderState(False, "unreachable", _HOW_TO_SET)
        return super().state()

    async def discover(self) -> list[str]:
        """Ask for the checkpoints, and offer each of them as a model from now on.

        Another process has to ask as well; the parameter `checkpoint` of the model "current"
        takes any of them without.

        Returns
        -------
        list of str
            Names of the models.
        """
        async with apart(self) as asking:
            told = await asking._checkpoints()  # noqa: SLF001 - a copy of this
        usual = super()._entries()["current"]
        self._discovered = {}
        for title, label in told:
            name = re.sub(r"[^\w./:@+-]+", "-", label, flags=re.ASCII).strip("-.")[:200]
            if not name or not name[0].isalnum() or name in super()._entries():
                continue
            model = replace(
                usual.model,
                id=f"{self.name}:{name}",
                name=name,
                title=plain(label, limit=100),
                help="It is loaded first if another checkpoint is, and stays loaded.",
                parameters={
                    key: value
                    for key, value in usual.model.parameters.items()
                    if key != "checkpoint"
                },
            )
            self._discovered[name] = Entry(model, {"checkpoint": title})
        return list(self._discovered)

    async def test(self) -> str:
        """Ask for the checkpoints, which costs nothing."""
        async with apart(self) as asking:
            count = len(await asking._checkpoints())  # noqa: SLF001 - a copy of this
        return f"{self.title} answered; it has {count} checkpoint{'' if count == 1 else 's'}."

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Check what can be checked here; the call itself is made in `events`."""
        entry = self._entry(request)
        given = inputs_of(request, "source") + inputs_of(request, "reference")
        if len(given) > 1:
            raise InvalidRequest(
                "references", f"{self.title} takes one picture; {len(given)} were given."
            )
        if inputs_of(request, "mask") and not given:
            raise InvalidRequest("source", "is missing: a mask needs a picture below it.")
        self._headers(self._address())
        _fields(request, entry)
        # Not resumable: a call that broke off cannot be asked for its picture. But cancelled.
        return JobRef(f"task(workbench-{uuid.uuid5(_NAMES, request.key).hex})")

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the picture, and say how far it is."""
        index = request.slots[0].index
        id = ref.remote_id or ""
        entry = self._entry(request)
        fields = {**_fields(request, entry), **await _pictures(request), "force_task_id": id}
        kind = "img2img" if "init_images" in fields else "txt2img"
        yield Running(0, None, index)
        url = self._address(f"/sdapi/v1/{kind}")
        call = asyncio.create_task(self._ask("POST", url, json=fields, max_bytes=MAX_JSON_BYTES))
        try:
            watch = Watch(
                id,
                kind=kind,
                steps=fields["steps"],
                index=index,
                of_job=self._progress_of,
                of_anybody=self._anybodys_progress,
                pace=self._pace(),
            )
            async for event in watch.events(call):
                yield event
            answer = (await call).object()
        finally:
            await ended(call)
        if await self._was_interrupted():
            raise ProviderError(
                ErrorKind.BAD_REQUEST,
                "It was interrupted in the web UI itself. Retry it to have it made after all.",
            )
        info = _info_of(answer)
        texts = _own_pictures(answer.get("images"), info)
        if not texts:
            raise self._refused("no picture came", ErrorKind.BLOCKED)
        if len(texts) > 1:
            yield Log(f"{self.title} sent {len(texts)} pictures instead of one.", index)
        seed, said = _first(info.get("all_seeds")), _first(info.get("all_prompts"))
        changed = isinstance(said, str) and said != request.prompt
        yield ImageReady(
            await asyncio.to_thread(decoded, texts[0]),
            index,
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
            prompt_sent=plain(said, self._secrets(), limit=_LONGEST_PROMPT) if changed else None,
        )
        yield Done()

    async def cancel(self, ref: JobRef) -> None:
        """Interrupt the job if it is known to be the one that is made; wait for its turn if not.

        Raises
        ------
        ProviderError
            The server does not say whose job is made: to interrupt it might stop somebody else's.
        """
        pace = self._pace()
        clock = asyncio.get_running_loop().time
        until = clock() + _CANCEL_S
        strangers = 0
        while clock() < until:
            told = await self._progress_of(ref.remote_id or "", None)
            if told is None or strangers >= STRANGERS:
                raise ProviderError(
                    ErrorKind.UNAVAILABLE,
                    f"{self.title} does not say whose picture it makes, so that it is not stopped.",
                )
            if told.get("active"):
                url = self._address("/sdapi/v1/interrupt")
                await self._ask("POST", url, json={})
                return
            if told.get("completed"):
                return
            strangers += not told.get("queued")
            await pace.wait()

    # -- what is asked ----------------------------------------------------------------------------

    async def _progress_of(self, id: str, preview: int | None) -> dict[str, Any] | None:
        """Return what the page's own progress says about a job; None where there is none.

        `preview` is the number of the last preview; None: none is wanted.
        """
        url = self._address("/internal/progress")
        body: JsonValue = {
            "id_task": id,
            "id_live_preview": -1 if preview is None else preview,
            "live_preview": preview is not None,
        }
        return await self._object("POST", url, body)

    async def _anybodys_progress(self, skip: str = "false") -> dict[str, Any] | None:
        """Return the progress of whoever's turn it is; None where the server has none."""
        url = self._address(f"/sdapi/v1/progress?skip_current_image={skip}")
        return await self._object("GET", url, None)

    async def _object(self, method: str, url: str, body: JsonValue) -> dict[str, Any] | None:
        headers = {"Accept": "application/json", **self._headers(url)}
        answer = await self._line.open(method, url, headers=headers, json=body)
        try:
            if answer.status in (401, 403, 404, 405, 422):
                return None
            if not answer.ok:
                raise answer.error(self._cleaned(await answer.error_body()))
            try:
                value = json.loads(await answer.body(max_bytes=MAX_JSON_BYTES))
            except (ValueError, RecursionError):
                return None
            return value if isinstance(value, dict) else None
        finally:
            await answer.close()

    async def _was_interrupted(self) -> bool:
        """Tell whether the run that just ended was: its picture is then an unfinished one."""
        try:
            told = await self._anybodys_progress("true")
        except ProviderError:
            return False
        state = (told or {}).get("state")
        return isinstance(state, dict) and state.get("interrupted") is True and not state.get("job")

    async def _checkpoints(self) -> list[tuple[str, str]]:
        """Return title and name of each."""
        told = await self._ask("GET", self._address("/sdapi/v1/sd-models"))
        found = []
        for one in told.value if isinstance(told.value, list) else ():
            title = one.get("title") if isinstance(one, dict) else None
            if isinstance(title, str) and title:
                found.append((title, str(one.get("model_name") or title)))
        return found

    # -- settings ---------------------------------------------------------------------------------

    def _said_in(self, value: Any) -> failures.Said:
        """Read FastAPI's errors and those of the web UI, which names the exception."""
        if not isinstance(value, dict):
            return super()._said_in(value)
        detail = value.get("detail")
        if detail == "Not Found":
            return failures.Said("it has no API at this address; start it with --api.")
        first = _first(detail)
        if isinstance(first, dict) and isinstance(first.get("msg"), str):
            place = first.get("loc")
            field = str(place[-1]) if isinstance(place, list) and place else ""
            return failures.Said(f"{field}: {first['msg']}" if field else first["msg"])
        kind, words = value.get("error"), value.get("errors")
        if isinstance(kind, str) and "OutOfMemory" in kind:
            text = "there is not enough memory for this. Use a smaller size."
            return failures.Said(text, ErrorKind.BAD_REQUEST)
        if not detail and isinstance(words, str) and words:
            # An exception of the server: where it misses something, it will miss it again.
            missing = ErrorKind.BAD_REQUEST if "not found" in words.casefold() else None
            return failures.Said(words, missing)
        return super()._said_in(value)

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"Authorization": f"Basic {_basic(key)}"}

    def _usable_key(self) -> Secret | None:
        key = super()._usable_key()
        if key is not None and ":" not in key.reveal():
            raise ConfigurationError(f"{self._key_hint()} must be a user's name, ':', a password.")
        return key

    def _secrets(self) -> list[Secret]:
        found = super()._secrets()
        for key in list(found):
            found.append(Secret(_basic(key)))
            password = key.reveal().partition(":")[2]
            if len(password) >= _SHORTEST_SECRET:  # a shorter one would spoil every sentence
                found.append(Secret(password))
        return found

    def _is_unset(self) -> bool:
        if self._base_url is not None or self._set_base_url is not None:
            return False
        return not os.environ.get(self.address_variable, "").strip()

    def _base(self) -> str:
        if self._is_unset():
            raise ConfigurationError(_HOW_TO_SET)
        return super()._base()

    def _entries(self) -> Mapping[str, Entry]:
        return {**super()._entries(), **self._discovered}


def _fields(request: JobRequest, entry: Entry) -> dict[str, Any]:
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


async def _pictures(request: JobRequest) -> dict[str, Any]:
    """Read the pictures that go in."""
    given = inputs_of(request, "source") + inputs_of(request, "reference")
    pictures: dict[str, Any] = {}
    if given:
        pictures["init_images"] = [await _encoded(await read_input(given[0]))]
    for mask in inputs_of(request, "mask"):
        pictures["mask"] = await _encoded(await read_mask(mask))  # white is painted anew
    return pictures


async def _encoded(content: bytes) -> str:
    return (await asyncio.to_thread(base64.b64encode, content)).decode("ascii")


def _info_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generation's own account, which comes as JSON within JSON."""
    info = answer.get("info")
    with suppress(ValueError, RecursionError):
        info = json.loads(info) if isinstance(info, str) else info
    return info if isinstance(info, dict) else {}


def _own_pictures(images: object, info: Mapping[str, Any]) -> list[str]:
    """Return the pictures themselves: no grid before them, and no maps of extensions after.

    >>> _own_pictures(["grid", "a", "map"], {"all_seeds": [1], "index_of_first_image": 1})
    ['a']
    >>> _own_pictures(["grid", "a"], {"all_seeds": [1]})
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


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _basic(key: Secret) -> str:
    return base64.b64encode(key.reveal().encode()).decode("ascii")
