"""ComfyUI: workflows of your own server as models.

A job's id is ours, made from the request, so that any process can ask for it later; whether it
waits, runs or has ended says HTTP, and steps and previews come by a websocket while there is one.
Nothing costs anything: a job that the server does not know any more (it was restarted) is made
again.

::

    ws.add_provider(ComfyUI("studio", base_url="http://gpu-box:8188", workflows={
        "portrait": "portrait.json",
        "logo": {"workflow": "logo.json", "inputs": {"prompt": "12.text", "seed": "3.seed"}}}))
    ws.generate("a red fox", model="studio:portrait", steps=30)
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Unpack
from urllib.parse import quote, urlencode

from workbench.domain.jobs import JobEvent, JobInput, JobRef, JobRequest, Log
from workbench.domain.records import JsonValue
from workbench.domain.status import RETRYABLE, ErrorKind
from workbench.errors import ConfigurationError, InvalidRequest, ProviderError
from workbench.providers import comfyui_socket, comfyui_workflow
from workbench.providers.asking import MAX_IMAGE_BYTES, apart, read_json
from workbench.providers.catalogue import FORMAT, Entry, catalogue_of
from workbench.providers.comfyui_following import NO_LIBRARY, Following, State
from workbench.providers.comfyui_socket import Socket
from workbench.providers.comfyui_workflow import Workflow
from workbench.providers.hosted import Options
from workbench.providers.http import Form
from workbench.providers.inputs import ENDINGS, inputs_of, read_input
from workbench.providers.own_server import OwnServer
from workbench.providers.redaction import plain

_NAMES = uuid.UUID("b0c6b6f3-0f0e-5d5b-9a53-7b1f3c6b6f0e")  # where our ids come from
_MAX_LIST_BYTES = 50_000_000  # the queue holds every waiting graph


class ComfyUI(OwnServer):
    """A ComfyUI server; its models are workflows.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<workflow>``.
    workflows:
        By name: a path, a graph in API format, or a description with declared inputs (see
        `workbench.providers.comfyui_workflow`).
    deadline_s:
        Seconds for a job, with its time in the server's queue.
    quiet_s:
        Seconds without a word on the websocket after which the job is asked for.
    **options:
        As for every hosted provider. `base_url`: address of the server; None: COMFYUI_URL. `key`:
        where a proxy before it wants one; it is sent as a bearer token. `concurrency`: the server
        makes one picture after the other; a second one that waits there saves the pause between
        them. `patience`: of each request. `pace`: for where there is no websocket.

    Raises
    ------
    ConfigurationError
        A workflow cannot be read, or has no input that is surely the prompt.

    Examples
    --------
    >>> [model.id for model in ComfyUI().models()]
    ['comfyui:text-to-image', 'comfyui:image-to-image']
    """

    usual_name: ClassVar[str] = "comfyui"
    title = "ComfyUI"
    help = "Workflows of your own ComfyUI. It costs nothing."
    address_variable: ClassVar[str] = "COMFYUI_URL"
    data: ClassVar[str] = "comfyui"
    usual_concurrency: ClassVar[int] = 2
    how_to_set = (
        "Set the environment variable COMFYUI_URL to the address of your ComfyUI, for example "
        "http://127.0.0.1:8188."
    )

    def __init__(
        self,
        name: str | None = None,
        *,
        workflows: Mapping[str, object] | None = None,
        deadline_s: float = 3600.0,
        quiet_s: float = 20.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, **options)
        self.deadline_s = deadline_s
        self._quiet_s = quiet_s
        given = {
            one: comfyui_workflow.described(one, what) for one, what in (workflows or {}).items()
        }
        whole = {"format": FORMAT, "dated": "2026-11-21", "models": list(given.values())}
        self._own_models = catalogue_of(whole, self.name, "workflows").entries
        for entry in self._own_models.values():
            comfyui_workflow.workflow_of(entry.model.name, entry.send)

    # -- what people see --------------------------------------------------------------------------

    async def test(self) -> str:
        """Ask for its version and what it works with."""
        async with apart(self) as asking:
            system, checkpoints = await asking._system(), await asking._folder("checkpoints")  # noqa: SLF001 - a copy of this
        version = system.get("comfyui_version")
        if version is None:
            raise ProviderError(
                ErrorKind.BAD_REQUEST,
                f"Whatever answers there is no ComfyUI. Check {self._line.address_hint}.",
            )
        count = f"{len(checkpoints)} checkpoint{'' if len(checkpoints) == 1 else 's'}"
        answer = f"ComfyUI {plain(str(version), limit=40)} answered; it has {count}."
        if await asyncio.to_thread(comfyui_socket.library) is None:
            answer = f"{answer} {NO_LIBRARY}"
        return answer

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Upload what goes in, and put the graph into the server's queue."""
        workflow = self._workflow(request)
        id = str(uuid.uuid5(_NAMES, request.key))
        graph = workflow.filled(
            request,
            images=await self._uploaded(request, workflow),
            found=await self._found(request, workflow),
        )
        body: dict[str, Any] = {"prompt": graph, "client_id": id, "prompt_id": id}
        try:
            told = await self._prompted(workflow, body)
        except ProviderError as error:
            # The answer may be what was lost. The id is ours, so that it can be asked for.
            if error.kind not in RETRYABLE or not await self._is_there(id):
                raise
            told = {}
        prompt_id = told.get("prompt_id")
        data: dict[str, JsonValue] = {"client_id": id, "outputs": [*workflow.outputs]}
        remarks = [
            self._line.clean(text)
            for text in comfyui_workflow.complaints(told.get("node_errors") or {})
        ]
        if remarks:
            data["remarks"] = [*remarks[:5]]
        # Servers from before 2025 choose an id themselves.
        return JobRef(prompt_id if isinstance(prompt_id, str) else id, resumable=True, data=data)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Follow a job until it is in the history, and fetch its picture."""
        remarks = ref.data.get("remarks")
        for remark in remarks if isinstance(remarks, list) else ():
            yield Log(f"ComfyUI leaves out a part of the workflow. {remark}")
        job = Following(
            request,
            ref,
            state_of=self._state_of,
            view=self._view,
            open_socket=self._socket,
            clean=self._line.clean,
            pace=self._pace(),
            quiet_s=self._quiet_s,
        )
        try:
            async for event in job.events():
                yield event
        finally:
            await job.close()

    async def cancel(self, ref: JobRef) -> None:
        """Take the job out of the queue, or interrupt it if it is the one that runs."""
        id = ref.remote_id or ""
        url = self._address(f"/api/jobs/{quote(id, safe='')}/cancel")
        if await self._sent("POST", url, {}):
            return
        # Older servers. Their interrupt, or the one of still older ones, may stop whatever runs:
        # it is sent only while that is ours.
        await self._sent("POST", self._address("/queue"), {"delete": [id]})
        if (await self._state_of(id)).name == "running":
            await self._sent("POST", self._address("/interrupt"), {"prompt_id": id})

    # -- what is sent -----------------------------------------------------------------------------

    def _workflow(self, request: JobRequest) -> Workflow:
        entry = self._entry(request)
        try:
            return comfyui_workflow.workflow_of(entry.model.name, entry.send)
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.BAD_REQUEST, str(error)) from None

    async def _uploaded(self, request: JobRequest, workflow: Workflow) -> dict[str, list[str]]:
        """Upload the images that go in; return their names there by what they are."""
        wanted = {"mask": inputs_of(request, "mask")}
        if "source" in workflow.places:
            wanted["references"] = inputs_of(request, "reference")
            wanted["source"] = inputs_of(request, "source")
        else:  # the one to be changed is the first
            wanted["references"] = inputs_of(request, "source", "reference")
        for what, given in wanted.items():
            room = len(workflow.places.get(what, ()))
            if len(given) > room:
                raise InvalidRequest(
                    what, f"{request.model} takes {room or 'none'}; {len(given)} came in."
                )
        return {what: [await self._upload(one) for one in given] for what, given in wanted.items()}

    async def _upload(self, given: JobInput) -> str:
        content = await read_input(given)
        # Named after its content: what is there already is not stored twice.
        digest = hashlib.sha256(content).hexdigest()[:24]
        name = f"workbench-{digest}.{ENDINGS.get(given.mime, 'png')}"
        form = Form({"type": "input"}, [("image", (name, content, given.mime))])
        told = (await self._ask("POST", self._address("/upload/image"), form=form)).object()
        stored, folder = told.get("name"), told.get("subfolder")
        stored = stored if isinstance(stored, str) and stored else name
        return f"{folder}/{stored}" if isinstance(folder, str) and folder else stored

    async def _found(self, request: JobRequest, workflow: Workflow) -> dict[str, JsonValue]:
        """Choose what was left empty from what the server has."""
        found: dict[str, JsonValue] = {}
        for what, folder in workflow.first_of.items():
            if request.params.get(what):
                continue
            files = await self._folder(folder)
            if not files:
                raise ProviderError(
                    ErrorKind.BAD_REQUEST,
                    f"This ComfyUI has no {folder}. Put a file into its folder models/{folder}, "
                    "or use a workflow of your own.",
                )
            found[what] = files[0]
        return found

    async def _system(self) -> dict[str, Any]:
        told = (await self._ask("GET", self._address("/system_stats"))).object().get("system")
        return told if isinstance(told, dict) else {}

    async def _folder(self, folder: str) -> list[str]:
        told = await self._ask("GET", self._address(f"/models/{quote(folder)}"))
        files = told.value if isinstance(told.value, list) else []
        return [file for file in files if isinstance(file, str)]

    async def _prompted(self, workflow: Workflow, body: dict[str, Any]) -> dict[str, Any]:
        """Send the graph; what the server finds wrong in it names our own parameters."""
        url = self._address("/prompt")
        answer = await self._line.open("POST", url, headers=self._headers(url), json=body)
        try:
            # A refusal repeats lists of all that would be right, which may be long.
            content = await answer.body(max_bytes=_MAX_LIST_BYTES)
            try:
                value = await read_json(content)
            except ValueError:
                value = None
            told = value if isinstance(value, dict) else {}
            if answer.ok and told:
                return told
            if answer.ok:
                kind = self._line.clean(answer.content_type) or "nothing that has a type"
                raise answer.unreadable(f"something that is not whole JSON ({kind})")
            errors = told.get("node_errors")
            if answer.status == 400 and isinstance(errors, dict) and errors:
                raise self._refusal(workflow, errors)
            raise answer.error(self._cleaned(content))
        finally:
            await answer.close()

    def _refusal(
        self, workflow: Workflow, errors: Mapping[str, Any]
    ) -> InvalidRequest | ProviderError:
        named = workflow.complaint(errors, self._line.clean)
        if named is not None:
            return named
        first = next(comfyui_workflow.complaints(errors), "It does not say why.")
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"ComfyUI does not accept the workflow {workflow.name!r}. {self._line.clean(first)}",
        )

    # -- what is asked ----------------------------------------------------------------------------

    async def _state_of(self, id: str) -> State:
        """Ask where a job is: first the queue, then the history, so that it cannot slip between."""
        told = (await self._ask("GET", self._address("/queue"), max_bytes=_MAX_LIST_BYTES)).object()
        if any(_id_of(item) == id for item in _list(told.get("queue_running"))):
            return State("running")
        waiting = sorted(_list(told.get("queue_pending")), key=_number_of)
        for place, item in enumerate(waiting, 1):
            if _id_of(item) == id:
                return State("waiting", position=place)
        url = self._address(f"/history/{quote(id, safe='')}")
        entry = (await self._ask("GET", url)).object().get(id)
        return State("over", history=entry) if isinstance(entry, dict) else State("gone")

    async def _is_there(self, id: str) -> bool:
        try:
            return (await self._state_of(id)).name != "gone"
        except ProviderError:
            return False

    async def _sent(self, method: str, url: str, body: JsonValue) -> bool:
        """Send a request whose answer is empty; False where the server has no such address."""
        answer = await self._line.open(method, url, headers=self._headers(url), json=body)
        try:
            if answer.status in (404, 405):
                return False
            if not answer.ok:
                raise await self._failure(answer)
            await answer.body(max_bytes=_MAX_LIST_BYTES)
            return True
        finally:
            await answer.close()

    async def _view(self, file: Mapping[str, str]) -> bytes:
        """Fetch a picture from the server's folders."""
        url = self._address(f"/view?{urlencode(file)}")
        answer = await self._line.open("GET", url, headers=self._headers(url))
        try:
            if answer.status == 404:
                raise ProviderError(
                    ErrorKind.BAD_IMAGE,
                    "ComfyUI made the picture, but its file is not there any more. Change the seed "
                    "to have it made anew.",
                )
            if not answer.ok:
                raise await self._failure(answer)
            return await answer.body(max_bytes=MAX_IMAGE_BYTES)
        finally:
            await answer.close()

    async def _socket(self, client_id: str, prompt_id: str) -> Socket | None:
        """Open a job's websocket; None without the package for it."""
        client = await asyncio.to_thread(comfyui_socket.library)
        if client is None:
            return None
        url = self._address(f"/ws?clientId={quote(client_id, safe='')}")
        return await Socket.open(
            client, f"ws{url.removeprefix('http')}", self._headers(url), prompt_id
        )

    # -- settings ---------------------------------------------------------------------------------

    def _entries(self) -> Mapping[str, Entry]:
        return {**super()._entries(), **self._own_models}


def _id_of(item: object) -> object:
    """Return the id of an item of the queue: number, id, graph and more."""
    return item[1] if isinstance(item, list) and len(item) > 1 else None


def _number_of(item: object) -> float:
    number = item[0] if isinstance(item, list) and item else None
    return number if isinstance(number, (int, float)) else 0


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
