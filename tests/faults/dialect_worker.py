"""Worker processes for the kills of dialects, forked from one that has everything imported.

Starting Python takes longer than all that a worker does before it dies, and there are hundreds.

usage: python dialect_worker.py MODULE …

It imports these modules, and takes one JSON object a line on its standard input:
{"id": 1, "folder": …, "name": "fal", "provider": "workbench.providers.fal:Fal", "options": {…},
"failpoint": "after_send"} begins a worker, {"id": 1, "end": true} lets it close. It answers
{"id": 1, "pid": …}, {"id": 1, "ready": true} once the worker runs jobs, and
{"id": 1, "status": …} after its end (negative: the signal's number).
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import selectors
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.runner_world import Process
from workbench.domain.jobs import Idempotency
from workbench.ports import Provider
from workbench.providers.hosted import Hosted
from workbench.providers.polling import Pace
from workbench.runner.failpoints import ENVIRONMENT_VARIABLE
from workbench.runner.runner import RunnerSettings

SETTINGS = RunnerSettings(
    backoff_base_s=0.02, backoff_cap_s=0.1, sweep_s=0.05, max_deaths=10_000, max_tries=50
)
# What providers, media and store import when they are first used.
_LAZY = ("httpx", "h11", "anyio._backends._asyncio", "PIL.Image", "PIL.PngImagePlugin")


def pace() -> Pace:
    return Pace(first_s=0.01, longest_s=0.04)


def make_provider(name: str, place: str, options: dict[str, Any]) -> Provider:
    """The provider of a dialect, asking often, and looked up soon."""
    module, _, class_name = place.partition(":")
    kind = getattr(importlib.import_module(module), class_name)
    if issubclass(kind, Hosted) or "pace" in inspect.signature(kind).parameters:
        options = {**options, "pace": pace}
    provider: Provider = kind(name, **options)
    if provider.idempotency.kind is Idempotency.LOOKUP:
        provider.idempotency = replace(provider.idempotency, quiet_s=0.3)
    return provider


@dataclass(frozen=True)
class Child:
    id: int
    pid: int
    heard: int  # what it says comes here, and its end
    told: int  # closing this lets it end


class Nursery:
    def __init__(self) -> None:
        self.children: dict[int, Child] = {}
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        self.selector.register(0, selectors.EVENT_READ)
        pending = b""
        while True:
            for key, _ in self.selector.select():
                if key.fd != 0:
                    self.hear(self.children[key.fd])
                    continue
                piece = os.read(0, 65_536)
                if not piece:
                    return
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    self.do(json.loads(line))

    def do(self, order: dict[str, Any]) -> None:
        if "folder" in order:
            self.begin(order)
        for child in self.children.values():
            if child.id == order["id"] and order.get("end"):
                with suppress(BrokenPipeError):  # it was killed just now
                    os.write(child.told, b".")

    def begin(self, order: dict[str, Any]) -> None:
        heard, says = os.pipe()
        listens, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            for other in self.children.values():
                os.close(other.heard)
                os.close(other.told)
            os.close(heard)
            os.close(told)
            self.selector.close()
            self.work(order, says, listens)
        os.close(says)
        os.close(listens)
        child = Child(order["id"], pid, heard, told)
        self.children[heard] = child
        self.selector.register(heard, selectors.EVENT_READ)
        tell(id=child.id, pid=pid)

    def hear(self, child: Child) -> None:
        if os.read(child.heard, 1):
            tell(id=child.id, ready=True)
            return
        self.selector.unregister(child.heard)
        del self.children[child.heard]
        os.close(child.heard)
        os.close(child.told)
        _, status = os.waitpid(child.pid, 0)
        tell(id=child.id, status=os.waitstatus_to_exitcode(status))

    def work(self, order: dict[str, Any], says: int, listens: int) -> None:
        """Be a worker, to the end of this process."""
        status = 1
        try:
            os.dup2(2, 1)
            os.environ[ENVIRONMENT_VARIABLE] = order["failpoint"]
            provider = make_provider(order["name"], order["provider"], order["options"])
            process = Process(Path(order["folder"]), [provider], settings=SETTINGS).start()
            os.write(says, b".")
            os.read(listens, 1)
            process.run(provider.close())
            process.close()
            status = 0
        except BaseException:  # noqa: BLE001 - the end of a process, and shown
            traceback.print_exc()
        finally:
            os._exit(status)


def tell(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def main() -> None:
    for name in (*_LAZY, *sys.argv[1:]):
        importlib.import_module(name)
    tell(id=0, ready=True)
    Nursery().run()


if __name__ == "__main__":
    main()
