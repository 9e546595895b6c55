"""Cog's HTTP server as an emulator: one model, one place, no memory of what it made.

A call lasts as long as its work. A second one for the same prediction says how far the first is,
one for another prediction is sent away, and whatever was made before is made anew: those are the
manners of the real server, which the tests of the dialect compare with these. Unlike it, this one
goes on with the work of a call whose client has gone away.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen
from workbench.testing.pictures import png

_PREDICTION = re.compile(r"/predictions/([\w-]+)(/cancel)?")
_FIELDS: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
    "steps": {"type": "integer", "default": 4, "minimum": 1, "maximum": 400, "x-order": 1},
    "seed": {"type": "integer", "default": 0, "x-order": 2},
}
_KINDS: dict[str, type] = {"string": str, "integer": int}
SCHEMA = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "title": "Input",
                "required": ["prompt"],
                "properties": _FIELDS,
            },
            "Output": {"type": "array", "items": {"type": "string", "format": "uri"}},
        }
    },
}


@dataclass
class _Run:
    """A prediction while its call lasts."""

    input: dict[str, Any]
    cancelled: threading.Event = field(default_factory=threading.Event)


class CogEmulator(Emulator):
    """A server around one model that makes tiles.

    Parameters
    ----------
    work_s:
        Seconds that a picture takes.

    Attributes
    ----------
    running:
        ids of the predictions that are made now; at most one.

    Examples
    --------
    >>> with CogEmulator() as server:
    ...     server.running
    []
    """

    def __init__(self, *, work_s: float = 0.03) -> None:
        super().__init__()
        self.work_s = work_s
        self._runs: dict[str, _Run] = {}
        self._place = threading.Lock()

    @property
    def running(self) -> list[str]:
        """Return the ids of what is made now."""
        with self._place:
            return list(self._runs)

    def error(self, status: int, message: str, code: str | None = None) -> Reply:  # noqa: ARG002 - it has none
        """Return an error as the server has them."""
        return _json({"error": message, "status": "failed"}, status)

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        """Answer whatever the server has."""
        path = seen.path.partition("?")[0]
        if path == "/health-check":
            return _json({"status": "BUSY" if self.running else "READY"})
        if path == "/openapi.json":
            return _json(SCHEMA)
        found = _PREDICTION.fullmatch(path)
        if found is None:
            return Reply(404, "text/plain", [])
        if found[2]:
            return self._cancel(found[1])
        if seen.method != "PUT":
            return Reply(405, "text/plain", [], {"Allow": "PUT"})
        return self._predict(found[1], seen, fault)

    def _cancel(self, id: str) -> Reply:
        with self._place:
            run = self._runs.get(id)
        if run is not None:
            run.cancelled.set()
        return _json({}, 404 if run is None else 200)

    def _predict(self, id: str, seen: Seen, fault: Fault) -> Reply:
        try:
            asked = seen.json().get("input")
        except (ValueError, AttributeError):
            return Reply(400, "text/plain; charset=utf-8", [b"Failed to parse the request body"])
        run = _Run(asked)
        with self._place:
            if id in self._runs:
                return _json(_told(id, "processing", "", input=self._runs[id].input), 202)
            wrong = _wrong_in(asked)
            if wrong is not None:
                return _json({"detail": [wrong]}, 422)
            if self._runs:
                return self.error(409, "At capacity - all prediction slots busy")
            self._runs[id] = run
        try:
            if run.cancelled.wait(self.work_s):
                return _json(_told(id, "canceled", ""))
            return self._made(id, run, seen, fault)
        finally:
            with self._place:
                del self._runs[id]

    def _made(self, id: str, run: _Run, seen: Seen, fault: Fault) -> Reply:
        steps = run.input.get("steps", 4)
        made = png(f"{run.input['prompt']}|{run.input.get('seed', 0)}|{steps}")
        content = made if fault.image is None else fault.image
        content = content if fault.cut is None else content[: int(len(content) * fault.cut)]
        output = [f"data:image/png;base64,{base64.b64encode(content).decode()}"]
        n = 1 if fault.images is None else fault.images
        if n:
            self.charge(seen, 1)
        logs = f"\r100%|##########| {steps}/{steps} [00:00<00:00, 9.9it/s]"
        return _json(_told(id, "succeeded", logs, output=output * n))


def _wrong_in(asked: Any) -> dict[str, Any] | None:
    """Return what is wrong with an input, in the words of the server."""
    place, message = ["body", "input", "__root__"], ""
    if not isinstance(asked, dict):
        message = f'{json.dumps(asked)} is not of type "object"'
    elif "prompt" not in asked:
        place, message = ["body", "input", "prompt"], "Field required"
    else:
        for name, value in asked.items():
            kind = _FIELDS.get(name, {}).get("type", "")
            if kind and not isinstance(value, _KINDS[kind]):
                place[-1], message = name, f'{json.dumps(value)} is not of type "{kind}"'
    return {"loc": place, "msg": message, "type": "value_error"} if message else None


def _told(id: str, status: str, logs: str, **more: Any) -> dict[str, Any]:
    metrics = {} if status == "processing" else {"predict_time": 0.03}
    return {"id": id, "logs": logs, "metrics": metrics, "status": status, **more}


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, [json.dumps(value).encode()])
