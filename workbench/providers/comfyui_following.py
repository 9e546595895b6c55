"""Following one job of ComfyUI to its end: its state by HTTP, its steps by a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Queued,
    Running,
)
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.comfyui_socket import (
    Begun,
    Over,
    Preview,
    QueueMoved,
    Socket,
    SocketLost,
    Step,
)
from workbench.providers.comfyui_workflow import Workflow
from workbench.providers.pictures import Previews
from workbench.providers.polling import Pace
from workbench.providers.redaction import plain

NO_LIBRARY = (
    "Steps and previews of ComfyUI need one more package: pip install image-workbench[comfyui]. "
    "Until then it is asked now and then how far it is."
)
_MOST_REFUSALS = 3  # of the websocket in a row, until it is let be


@dataclass(frozen=True, slots=True)
class State:
    """What the server says about a job: waiting (with its position), running, over or gone."""

    name: str
    position: int | None = None
    history: Mapping[str, Any] = field(default_factory=dict)


class Following:
    """One job that is followed, by whichever process.

    Parameters
    ----------
    request, ref:
        The job.
    state_of:
        Asks for the state of a job by its id.
    view:
        Fetches a picture that the history names.
    open_socket:
        Opens a websocket for a client id and a job; None: there is no package for it.
    clean:
        Makes harmless what the server says.
    pace:
        When to ask where there is no websocket.
    quiet_s:
        Seconds without a word on the websocket after which the state is asked for.
    """

    def __init__(
        self,
        request: JobRequest,
        ref: JobRef,
        *,
        state_of: Callable[[str], Awaitable[State]],
        view: Callable[[Mapping[str, str]], Awaitable[bytes]],
        open_socket: Callable[[str, str], Awaitable[Socket | None]],
        clean: Callable[[object], str],
        pace: Pace,
        quiet_s: float,
    ) -> None:
        self._model = request.model
        self._index = request.slots[0].index
        self._id = ref.remote_id or ""
        self._client_id = str(ref.data.get("client_id") or self._id)
        outputs = ref.data.get("outputs")
        names = outputs if isinstance(outputs, list) else []
        self._workflow = Workflow(request.model, {}, {}, outputs=tuple(str(one) for one in names))
        self._state_of = state_of
        self._view = view
        self._open_socket = open_socket
        self._clean = clean
        self._pace = pace
        self._quiet_s = quiet_s
        self._previews = Previews(self._index)
        self._socket: Socket | None = None
        self._refusals = 0
        self._ending = False

    async def events(self) -> AsyncIterator[JobEvent]:
        """Yield what happens, up to the picture and the end."""
        last: State | None = None
        while True:
            async for event in self._connected():
                yield event
            try:
                state = await self._state_of(self._id)
            except ProviderError as error:
                await self._pace.stumbled(error)
                continue
            self._pace.answered()
            if state.name == "over":
                break
            if state.name == "gone":
                if last is not None and last.name == "gone":
                    raise _lost()
                last = state
                await self._pace.wait()
                continue
            if state != last:
                self._pace.moved()
                last = state
                waits = state.name == "waiting"
                yield Queued(state.position) if waits else Running(0, None, self._index)
            async for event in self._heard(waits=state.name == "waiting"):
                yield event
        async for event in self._finished(state.history):
            yield event

    async def close(self) -> None:
        """Close the socket."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _connected(self) -> AsyncIterator[JobEvent]:
        """Open the socket if there may be one and is none."""
        if self._socket is not None or self._refusals >= _MOST_REFUSALS:
            return
        try:
            self._socket = await self._open_socket(self._client_id, self._id)
        except SocketLost as error:
            self._refusals += 1
            if self._refusals == _MOST_REFUSALS:
                yield Log(
                    f"The websocket of ComfyUI does not open ({error}); it is asked now and then "
                    "how far it is."
                )
            return
        if self._socket is None:
            self._refusals = _MOST_REFUSALS
            yield Log(NO_LIBRARY)
        else:
            self._refusals = 0

    async def _heard(self, *, waits: bool) -> AsyncIterator[JobEvent]:
        """Yield what the socket says until the state is to be asked for again."""
        socket = self._socket
        if socket is None or self._ending:
            await self._pace.wait()
            return
        try:
            while (message := await socket.next(self._quiet_s)) is not None:
                if isinstance(message, Over):
                    self._ending = True  # it is in the history now, or in a moment
                    self._pace.moved()
                    return
                if isinstance(message, Step):
                    yield Running(message.value, message.total, self._index)
                elif isinstance(message, Preview):
                    preview = await self._previews.event(message.data)
                    if preview is not None:
                        yield preview
                elif waits and isinstance(message, (Begun, QueueMoved)):
                    return
        except SocketLost:
            await self.close()
            await self._pace.wait()

    async def _finished(self, history: Mapping[str, Any]) -> AsyncIterator[JobEvent]:
        self._raise_if_failed(history.get("status"))
        files = self._workflow.pictures(history.get("outputs"))
        if not files:
            raise ProviderError(
                ErrorKind.BLOCKED,
                f"ComfyUI ended the workflow {plain(self._model)} without a picture. It needs a "
                "node that keeps one, such as SaveImage; some nodes hold pictures back.",
            )
        if len(files) > 1:
            yield Log(f"ComfyUI made {len(files)} pictures instead of one; the first is kept.")
        yield ImageReady(await self._fetched(files[0]), self._index)
        yield Done(usage={"prompt_id": self._id})

    async def _fetched(self, file: Mapping[str, str]) -> bytes:
        while True:
            try:
                return await self._view(file)
            except ProviderError as error:
                await self._pace.stumbled(error)

    def _raise_if_failed(self, status: object) -> None:
        """Raise what the history says went wrong."""
        said = status if isinstance(status, dict) else {}
        told = said.get("messages")
        messages = {
            entry[0]: entry[1]
            for entry in (told if isinstance(told, list) else ())
            if isinstance(entry, list) and len(entry) > 1 and isinstance(entry[0], str)
        }
        error = messages.get("execution_error")
        if isinstance(error, dict):
            raise self._broken(error)
        if "execution_interrupted" in messages:
            raise ProviderError(
                ErrorKind.BAD_REQUEST,
                "It was interrupted in ComfyUI itself. Retry it to have it made after all.",
            )
        if said.get("status_str") == "error":
            raise self._broken({})

    def _broken(self, error: Mapping[str, Any]) -> ProviderError:
        """The error of a node. The same graph fails again, so that it is not tried again."""
        kind = self._clean(error.get("node_type"))
        node = f"{self._clean(str(error.get('node_id') or '?'))}{f' ({kind})' if kind else ''}"
        what, words = self._clean(error.get("exception_type")), error.get("exception_message")
        if "OutOfMemory" in what:
            text = f"ComfyUI has not enough memory for this, at node {node}. Use a smaller size."
        else:
            said = self._clean(words) or what or "nothing about why."
            text = f"ComfyUI stopped at node {node}. It says: {said}"
        return ProviderError(ErrorKind.BAD_REQUEST, text)


def _lost() -> ProviderError:
    return ProviderError(
        ErrorKind.TRANSIENT,
        "ComfyUI does not know this job any more: it was restarted, or its queue was emptied.",
    )
