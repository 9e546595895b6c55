"""What the processes beside the measuring one do: ``python -m benchmarks.roles ROLE …``.

They speak in lines: "ready", then what they were made for. Their standard input ending ends them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import cast

from benchmarks.measure import cpu_seconds, now_ms

USER = "bench"
POLL_S = 0.05
_STEP = "SELECT seq FROM event WHERE seq > ? ORDER BY seq"


def say(*words: object) -> None:
    """One write, so that lines of two threads do not mix."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def serve(heard: list[tuple[int, float]], ended: threading.Event) -> None:
    """Answer "idle SECONDS" with CPU seconds and "report" with what was heard, until the end."""
    for line in sys.stdin:
        command, *given = line.split()
        if command == "idle":
            begun, cpu = time.monotonic(), cpu_seconds()
            time.sleep(float(given[0]))
            say("idle", (cpu_seconds() - cpu) / (time.monotonic() - begun))
        elif command == "report":
            found, heard[:] = list(heard), []
            say("heard", *(f"{step}:{at}" for step, at in found))
    ended.set()


def follow(folder: str) -> None:
    """Read every change with `ws.follow()` and note when it was there."""
    import workbench as wb
    from workbench.domain.records import ChangeRecord

    heard: list[tuple[int, float]] = []
    ended = threading.Event()

    async def main() -> None:
        async with wb.open(folder, user=USER, run_jobs=False) as ws:
            since = ws.changes().cursor
            threading.Thread(target=serve, args=(heard, ended), daemon=True).start()
            say("ready")

            async def listen() -> None:
                changes = cast("AsyncGenerator[ChangeRecord]", ws.follow(since))
                async with aclosing(changes):
                    async for change in changes:
                        step = change.data.get("step")
                        if isinstance(step, int):
                            heard.append((step, now_ms()))

            listening = asyncio.create_task(listen())
            await asyncio.to_thread(ended.wait)
            listening.cancel()
            await asyncio.wait([listening])

    asyncio.run(main())


def follow_bell(folder: str) -> None:
    """The bare minimum: a datagram wakes, one SELECT reads."""
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bell.bind(str(Path(folder) / "bell"))

    def wake() -> None:
        bell.recv(16)

    _follow_bare(folder, wake)


def follow_poll(folder: str) -> None:
    """What a queue without a doorbell does: look every 50 ms."""
    _follow_bare(folder, lambda: time.sleep(POLL_S))


def _follow_bare(folder: str, wake: Callable[[], None]) -> None:
    heard: list[tuple[int, float]] = []
    ended = threading.Event()

    def listen() -> None:
        db = sqlite3.connect(Path(folder) / "bare.sqlite3", isolation_level=None)
        last = 0
        while True:
            wake()
            for (seq,) in db.execute(_STEP, (last,)).fetchall():
                heard.append((seq, now_ms()))
                last = seq

    threading.Thread(target=serve, args=(heard, ended), daemon=True).start()
    threading.Thread(target=listen, daemon=True).start()
    say("ready")
    ended.wait()


def worker(folder: str) -> None:
    """Run jobs and say when each began: "began PROMPT MILLISECONDS"."""
    import workbench as wb
    from benchmarks.provider import BenchProvider

    def began(prompt: str, at: float) -> None:
        say("began", prompt, at)

    with wb.open(folder, user=USER, run_jobs=True) as ws:
        add_provider(ws, BenchProvider(began))
        say("ready")
        serve([], threading.Event())


def add_provider(ws: object, provider: object) -> None:
    """Add a provider to an open workspace without installing a plugin."""
    engine = ws._engine  # type: ignore[attr-defined]  # noqa: SLF001 - plugins need an installation
    engine.registry.add(provider)
    if engine.runner is not None:
        engine.runner.add_provider(provider)


ROLES: dict[str, Callable[[str], None]] = {
    "follow": follow,
    "follow-bell": follow_bell,
    "follow-poll": follow_poll,
    "worker": worker,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](sys.argv[2])
