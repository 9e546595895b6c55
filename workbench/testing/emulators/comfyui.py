"""ComfyUI as an emulator: its queue, its history, its files and its websocket.

Graphs are checked and made as the real server does it, one after the other, with the messages of
version 0.3.64 in their order; only the nodes are simple: a picture is a small tile that follows
from prompt and seed. A test that runs against a real server makes the same requests.
"""

from __future__ import annotations

import json
import struct
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workbench.testing.emulators.comfyui_nodes import NODES, behind, checked, key_of, told
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen, Turns
from workbench.testing.emulators.websocket import Connection, WebsocketHandler
from workbench.testing.pictures import png

VERSION = "0.3.64"


@dataclass(eq=False)
class Prompt:
    """A graph in the queue, or in the history."""

    number: int
    id: str
    graph: dict[str, Any]
    client_id: str | None
    outputs: list[str]
    seen: Seen
    messages: list[Any] = field(default_factory=list)
    images: dict[str, Any] = field(default_factory=dict)
    status: str = ""

    def end(self, status: str) -> None:
        """Note how it ended; one that was forgotten stays so."""
        self.status = self.status or status

    def item(self) -> list[Any]:
        """Return it as /queue has it."""
        return [self.number, self.id, self.graph, {"client_id": self.client_id}, self.outputs]


class _Interrupted(Exception):
    pass


class _Broke(Exception):
    """A node raised: its id, the type and the words of what it raised."""

    def __init__(self, node: str, kind: str, words: str) -> None:
        super().__init__(node, kind, words)
        self.node, self.kind, self.words = node, kind, words


class ComfyUIEmulator(Emulator):
    """A server that speaks ComfyUI's dialect.

    Parameters
    ----------
    key:
        A bearer token that a proxy before it would want; None: anybody may ask.
    checkpoints:
        Files that it has.
    jobs_api:
        It has ``/api/jobs``, as versions from 2026 on.
    own_ids:
        It takes the id of a prompt from the request; False: it makes one itself.
    step_s:
        Seconds of each step.
    images:
        Pictures that each saving node leaves.
    preview:
        What a preview is made of, by step; None: a small tile.

    Attributes
    ----------
    made:
        Ids of prompts that ended with success, in order.
    breaks:
        A node's class that raises, with type and words of what it raises.
    strange:
        More messages that are sent at each step: text or bytes.
    sockets:
        False: it refuses websockets.

    Examples
    --------
    >>> with ComfyUIEmulator() as emulator:
    ...     emulator.base_url == emulator.url
    True
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        checkpoints: Sequence[str] = ("tiny.safetensors",),
        jobs_api: bool = False,
        own_ids: bool = True,
        step_s: float = 0.0,
        images: int = 1,
        preview: Callable[[int], bytes] | None = None,
    ) -> None:
        super().__init__()
        self.key = key
        self.checkpoints = list(checkpoints)
        self.made: list[str] = []
        self.breaks: dict[str, tuple[str, str]] = {}
        self.strange: list[str | bytes] = []
        self.sockets = True
        self.step_s = step_s
        self.images = images
        self._preview = preview or (lambda step: png(f"step {step}", width=8, height=8))
        self._jobs_api = jobs_api
        self._own_ids = own_ids
        self._mutex = threading.Condition()
        self._goes = threading.Event()
        self._goes.set()
        self._turns = Turns()
        self._number = 0
        self._pending: list[Prompt] = []
        self._running: Prompt | None = None
        self._history: dict[str, Prompt] = {}
        self._interrupt = threading.Event()
        self._cache: dict[str, list[dict[str, str]]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self._clients: dict[str, Connection] = {}
        self._takes_about: set[Connection] = set()  # previews with what they belong to
        self._closed = False
        self._server.RequestHandlerClass = WebsocketHandler
        self._worker = threading.Thread(target=self._work, name="emulator's worker", daemon=True)
        self._worker.start()

    # -- what tests do with it --------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What belongs into COMFYUI_URL."""
        return self.url

    @property
    def running(self) -> str | None:
        """Id of the prompt that is made now."""
        return None if self._running is None else self._running.id

    @property
    def waiting(self) -> list[str]:
        """Ids of the prompts that wait."""
        with self._mutex:
            return [prompt.id for prompt in sorted(self._pending, key=lambda one: one.number)]

    def hold(self) -> None:
        """Stop before the next step."""
        self._goes.clear()

    def let(self, steps: int) -> None:
        """Do so many steps more, although it is held."""
        self._turns.give(steps)

    def go_on(self) -> None:
        """Go on after `hold`."""
        self._goes.set()

    def drop_sockets(self) -> None:
        """Cut every websocket."""
        for connection in list(self._clients.values()):
            connection.cut()

    def forget(self) -> None:
        """Lose queue and history, as a restart does; what runs is interrupted without a word."""
        with self._mutex:
            self._pending.clear()
            self._history.clear()
            if self._running is not None:
                self._running.status = "forgotten"
                self._interrupt.set()
        self.drop_sockets()

    def put(self, graph: Mapping[str, Any]) -> str:
        """Put somebody else's graph into the queue and return its id."""
        seen = Seen("POST", "/prompt", {}, json.dumps({"prompt": graph}).encode())
        with self._lock:
            self.requests.append(seen)
        return str(json.loads(b"".join(self._prompt(seen).pieces))["prompt_id"])

    def send(self, message: str | bytes) -> None:
        """Send something to every websocket."""
        for connection in list(self._clients.values()):
            connection.send(message)

    def close(self) -> None:
        """Close the server, its worker and every connection."""
        self._closed = True
        self._interrupt.set()
        self._goes.set()
        with self._mutex:
            self._mutex.notify_all()
        self._worker.join(5)
        self.drop_sockets()
        super().close()

    # -- HTTP -------------------------------------------------------------------------------------

    def error(self, status: int, message: str, code: str | None = None) -> Reply:
        """Return an error as /prompt has them."""
        error = {"type": code or "error", "message": message, "details": "", "extra_info": {}}
        body = json.dumps({"error": error, "node_errors": {}}).encode()
        return Reply(status, JSON, [body])

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Answer a request."""
        parts = urlsplit(seen.path)
        path = parts.path
        if self.key is not None and seen.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, "text/plain", [b"401: Unauthorized"])
        if seen.headers.get("origin"):
            return Reply(403, "text/plain", [b""])
        if seen.method == "GET":
            return self._get(path, parse_qs(parts.query), fault)
        if path == "/prompt":
            return self._prompt(seen)
        if path == "/upload/image":
            return self._upload(seen)
        if path == "/queue":
            for id in seen.json().get("delete", ()):
                self._delete(id)
            return Reply(200, "application/octet-stream", [b""])
        if path == "/interrupt":
            wanted = seen.json().get("prompt_id") if seen.body else None
            if wanted is None or wanted == self.running:
                self._interrupt.set()
            return Reply(200, "application/octet-stream", [b""])
        if self._jobs_api and path.startswith("/api/jobs/") and path.endswith("/cancel"):
            return _json({"cancelled": self._cancel(path.split("/")[3])})
        return Reply(405, "text/plain", [b"405: Method Not Allowed"])

    def _get(self, path: str, query: Mapping[str, list[str]], fault: Fault) -> Reply:
        with self._mutex:
            if path == "/queue":
                pending = [prompt.item() for prompt in self._pending]
                running = [] if self._running is None else [self._running.item()]
                return _json({"queue_running": running, "queue_pending": pending})
            if path.startswith("/history/"):
                found = self._history.get(unquote(path.removeprefix("/history/")))
                return _json({} if found is None else {found.id: _entry(found)})
        if path == "/system_stats":
            return _json({"system": {"comfyui_version": VERSION, "os": "posix"}, "devices": []})
        if path == "/models/checkpoints":
            return _json(self.checkpoints)
        if path == "/view":
            name, folder = query.get("filename", [""])[0], query.get("type", ["output"])[0]
            content = self.files.get((folder, name))
            if content is None:
                return Reply(404, "application/octet-stream", [b""])
            content = content if fault.image is None else fault.image
            cut = len(content) if fault.cut is None else int(len(content) * fault.cut)
            return Reply(200, "image/png", [content[:cut]])
        return Reply(404, "text/plain", [b"404: Not Found"])

    def _prompt(self, seen: Seen) -> Reply:
        try:
            asked = seen.json()
            graph = asked["prompt"]
        except (ValueError, KeyError, TypeError):
            return self.error(400, "No prompt provided", "no_prompt")
        id = str(uuid.uuid4())
        if self._own_ids and asked.get("prompt_id") is not None:
            id = asked["prompt_id"]
            if not _is_canonical(id):
                return self.error(400, "prompt_id must be a valid UUID", "invalid_prompt_id")
        error, errors, outputs = checked(graph, self.checkpoints, self.files)
        if error is not None:
            return _json({"error": error, "node_errors": errors}, 400)
        with self._mutex:
            number, self._number = self._number, self._number + 1
            self._pending.append(Prompt(number, id, graph, asked.get("client_id"), outputs, seen))
            self._mutex.notify_all()
        self._status()
        return _json({"prompt_id": id, "number": number, "node_errors": errors})

    def _upload(self, seen: Seen) -> Reply:
        parts = {part.name: part for part in seen.parts()}
        image = parts.get("image")
        if image is None or not image.filename:
            return Reply(400, "text/plain", [b""])
        name, dot, ending = image.filename.rpartition(".")
        stored, count = image.filename, 1
        while self.files.get(("input", stored), image.content) != image.content:
            stored, count = f"{name} ({count}){dot}{ending}", count + 1
        self.files["input", stored] = image.content
        return _json({"name": stored, "subfolder": "", "type": "input"})

    def _delete(self, id: str) -> bool:
        with self._mutex:
            kept = [prompt for prompt in self._pending if prompt.id != id]
            found = len(kept) < len(self._pending)
            self._pending = kept
        if found:
            self._status()
        return found

    def _cancel(self, id: str) -> bool:
        if id == self.running:
            self._interrupt.set()
            return True
        return self._delete(id)

    # -- making -----------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closed:
            with self._mutex:
                self._mutex.wait_for(lambda: self._closed or bool(self._pending))
                if not self._pending:
                    continue
                prompt = min(self._pending, key=lambda one: one.number)
                self._pending.remove(prompt)
                self._running = prompt
                self._interrupt.clear()
            self._status()
            self._make(prompt)

    def _make(self, prompt: Prompt) -> None:
        about = {"prompt_id": prompt.id}
        try:
            self._say(prompt, "execution_start", about)
            self._make_nodes(prompt)
            prompt.end("success")
            self._say(prompt, "execution_success", about)
        except _Interrupted:
            prompt.end("error")
            self._say(prompt, "execution_interrupted", {**about, "node_id": "?", "executed": []})
        except _Broke as broke:
            prompt.end("error")
            node = {"node_id": broke.node, "node_type": prompt.graph[broke.node]["class_type"]}
            error = {"exception_type": broke.kind, "exception_message": f"{broke.words}\n"}
            self._say(prompt, "execution_error", {**about, **node, **error, "traceback": ["…"]})
        with self._mutex:
            self._running = None
            if prompt.status != "forgotten":
                self._history[prompt.id] = prompt
            if prompt.status == "success":
                self.made.append(prompt.id)
                self.charge(prompt.seen, 1)
        self._status()
        self._tell(prompt, "executing", {"node": None, **about})

    def _make_nodes(self, prompt: Prompt) -> None:
        order = list(
            dict.fromkeys(id for end in prompt.outputs for id in behind(prompt.graph, end))
        )
        keys = {id: key_of(prompt.graph, id) for id in order}
        cached = [id for id in order if keys[id] in self._cache]
        about = {"prompt_id": prompt.id}
        self._say(prompt, "execution_cached", {"nodes": cached, **about})
        for id in order:
            node = prompt.graph[id]
            if id not in cached:
                self._tell(prompt, "executing", {"node": id, "display_node": id, **about})
                self._checkpoint(node["class_type"], id)
                if node["class_type"] == "KSampler":
                    self._sample(prompt, id)
                self._cache[keys[id]] = self._saved(prompt, id)
            files = self._cache[keys[id]]
            if NODES[node["class_type"]].is_output:
                prompt.images[id] = {"images": files}
                self._tell(prompt, "executed", {"node": id, "output": {"images": files}, **about})

    def _sample(self, prompt: Prompt, id: str) -> None:
        steps = prompt.graph[id]["inputs"]["steps"]
        for step in range(1, steps + 1):
            if self.step_s:
                self._interrupt.wait(self.step_s)
            while not (self._goes.wait(0.02) or self._turns.taken()):
                pass
            self._checkpoint("KSampler", id)
            about = {"node": id, "prompt_id": prompt.id}
            state = {"value": step, "max": steps, "state": "running", "node_id": id}
            self._tell(prompt, "progress_state", {"prompt_id": prompt.id, "nodes": {id: state}})
            connection = self._clients.get(prompt.client_id or "")
            if connection is not None:
                connection.send(
                    self._frame(prompt, id, step, known=connection in self._takes_about)
                )
            self._tell(prompt, "progress", {"value": step, "max": steps, **about})
            for message in self.strange:
                self.send(message)

    def _frame(self, prompt: Prompt, id: str, step: int, *, known: bool) -> bytes:
        picture = self._preview(step)
        if not known:
            return struct.pack(">II", 1, 2) + picture
        about = {"node_id": id, "prompt_id": prompt.id, "image_type": "image/png"}
        text = json.dumps(about).encode()
        return struct.pack(">II", 4, len(text)) + text + picture

    def _saved(self, prompt: Prompt, id: str) -> list[dict[str, str]]:
        kind = prompt.graph[id]["class_type"]
        if not NODES[kind].is_output:
            return []
        folder = "output" if kind == "SaveImage" else "temp"
        files = []
        for place in range(self.images):
            name = f"workbench_{len(self.files):05}_.png"
            self.files[folder, name] = png(f"{told(prompt.graph)}|{place}")
            files.append({"filename": name, "subfolder": "", "type": folder})
        return files

    def _checkpoint(self, kind: str, id: str) -> None:
        if self._interrupt.is_set() or self._closed:
            self._interrupt.clear()
            raise _Interrupted
        if kind in self.breaks:
            raise _Broke(id, *self.breaks[kind])

    # -- telling ----------------------------------------------------------------------------------

    def _status(self) -> None:
        with self._mutex:
            count = len(self._pending) + (self._running is not None)
        data = {"status": {"exec_info": {"queue_remaining": count}}}
        self.send(json.dumps({"type": "status", "data": data}))

    def _say(self, prompt: Prompt, kind: str, data: dict[str, Any]) -> None:
        data = {**data, "timestamp": int(time.time() * 1000)}
        prompt.messages.append([kind, data])
        self._tell(prompt, kind, data)

    def _tell(self, prompt: Prompt, kind: str, data: dict[str, Any]) -> None:
        connection = self._clients.get(prompt.client_id or "")
        if connection is not None and prompt.status != "forgotten":
            connection.send(json.dumps({"type": kind, "data": data}))

    # -- websockets -------------------------------------------------------------------------------

    def refuses(self, seen: Seen) -> int:
        """Return the status with which a websocket is refused; 0 if it is taken."""
        if self.key is not None and seen.headers.get("authorization") != f"Bearer {self.key}":
            return 401
        if "origin" in seen.headers:
            return 403
        return 0 if self.sockets and urlsplit(seen.path).path == "/ws" else 404

    def meet(self, seen: Seen, connection: Connection) -> None:
        """Greet a client; an older connection under its name is forgotten."""
        query = parse_qs(urlsplit(seen.path).query)
        client_id = query.get("clientId", [uuid.uuid4().hex])[0]
        self._clients[client_id] = connection
        with self._mutex:
            count = len(self._pending) + (self._running is not None)
            ours = self._running is not None and self._running.client_id == client_id
        data = {"status": {"exec_info": {"queue_remaining": count}}, "sid": client_id}
        connection.send(json.dumps({"type": "status", "data": data}))
        if ours:
            connection.send(json.dumps({"type": "executing", "data": {"node": "sampler"}}))

    def hear(self, connection: Connection, text: str) -> None:
        """Note what a client can take."""
        said = json.loads(text)
        if said.get("type") == "feature_flags":
            if said["data"].get("supports_preview_metadata"):
                self._takes_about.add(connection)
            connection.send(json.dumps({"type": "feature_flags", "data": said["data"]}))

    def part(self, connection: Connection) -> None:
        """Forget a client that has gone."""
        self._takes_about.discard(connection)
        for client_id, one in list(self._clients.items()):
            if one is connection:
                del self._clients[client_id]


def _entry(prompt: Prompt) -> dict[str, Any]:
    done = prompt.status == "success"
    status = {"status_str": prompt.status, "completed": done, "messages": prompt.messages}
    return {"prompt": prompt.item(), "outputs": prompt.images, "status": status, "meta": {}}


def _is_canonical(id: object) -> bool:
    try:
        return isinstance(id, str) and str(uuid.UUID(id)) == id
    except ValueError:
        return False


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, [json.dumps(value).encode()])
