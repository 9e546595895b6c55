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
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Unpack

from workbench.domain.jobs import (
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
from workbench.providers import failures
from workbench.providers.asking import MAX_JSON_BYTES, apart, of_another_shape, read_json
from workbench.providers.catalogue import Entry
from workbench.providers.hosted import Options
from workbench.providers.http import Patience
from workbench.providers.inputs import inputs_of
from workbench.providers.own_server import OwnServer
from workbench.providers.redaction import Secret, plain
from workbench.providers.sdwebui_progress import STRANGERS, Watch, decoded, ended
from workbench.providers.sdwebui_wire import fields_of, first_of, info_of, inputs_sent, own_pictures

_NAMES = uuid.UUID("5d3f0f5e-52b4-5f0c-8a45-6b8d9b0f6a11")  # where our ids come from
_PATIENCE = Patience(stall_s=1800.0, total_s=1800.0)  # the answer comes when the picture is made
_LONGEST_PROMPT = 10_000
_SHORTEST_SECRET = 6
_LAST_LOOK_S = 10.0  # a picture that is there does not wait longer for whether it is a whole one
_CANCEL_S = 25.0  # the runner gives a cancel 30 s


class SDWebUI(OwnServer):
    """A Stable Diffusion web UI.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    **options:
        As for every hosted provider. `base_url`: address of the server; None: SDWEBUI_URL. `key`:
        "user:password" where it was started with ``--api-auth``; None: SDWEBUI_AUTH.
        `concurrency`: the server makes one picture at a time. `patience`: one call lasts as long
        as its picture and all that wait before it. `pace`: for questions about progress.

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
    usual_concurrency: ClassVar[int] = 1
    how_to_set = (
        "Set the environment variable SDWEBUI_URL to the address of your web UI, for example "
        "http://127.0.0.1:7860. The web UI has to be started with --api."
    )

    def __init__(self, name: str | None = None, **options: Unpack[Options]) -> None:
        options.setdefault("patience", _PATIENCE)
        super().__init__(name, **options)
        self._discovered: dict[str, Entry] = {}

    # -- what people see --------------------------------------------------------------------------

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
        given = inputs_of(request, "source", "reference")
        if len(given) > 1:
            raise InvalidRequest(
                "references", f"{self.title} takes one picture; {len(given)} were given."
            )
        if inputs_of(request, "mask") and not given:
            raise InvalidRequest("source", "is missing: a mask needs a picture below it.")
        self._headers(self._address())
        fields_of(request, entry)
        # Not resumable: a call that broke off cannot be asked for its picture. But cancelled.
        return JobRef(f"task(workbench-{uuid.uuid5(_NAMES, request.key).hex})")

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the picture, and say how far it is."""
        index = request.slots[0].index
        id = ref.remote_id or ""
        entry = self._entry(request)
        fields = {**fields_of(request, entry), **await inputs_sent(request), "force_task_id": id}
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
        info = info_of(answer)
        if not isinstance(answer.get("images"), list):
            raise of_another_shape(self)
        texts = own_pictures(answer["images"], info)
        if not texts:
            raise self._refused("no picture came", ErrorKind.BLOCKED)
        if len(texts) > 1:
            yield Log(f"{self.title} sent {len(texts)} pictures instead of one.", index)
        seed, said = first_of(info.get("all_seeds")), first_of(info.get("all_prompts"))
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
                raise await self._failure(answer)
            try:
                value = await read_json(await answer.body(max_bytes=MAX_JSON_BYTES))
            except ValueError:
                return None
            return value if isinstance(value, dict) else None
        finally:
            await answer.close()

    async def _was_interrupted(self) -> bool:
        """Tell whether the run that just ended was: its picture is then an unfinished one."""
        try:
            async with asyncio.timeout(_LAST_LOOK_S):
                told = await self._anybodys_progress("true")
        except (ProviderError, TimeoutError):
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
        first = first_of(detail)
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

    def _entries(self) -> Mapping[str, Entry]:
        return {**super()._entries(), **self._discovered}


def _basic(key: Secret) -> str:
    return base64.b64encode(key.reveal().encode()).decode("ascii")
