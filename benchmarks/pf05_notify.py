"""PF-5: a row is committed in one process; when has another one read it?"""

from __future__ import annotations

import socket
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import workbench as wb
from benchmarks.children import Child
from benchmarks.measure import Plan, interleaved, now_ms, pauses, timed_line
from benchmarks.report import Figure, Goal, Line
from benchmarks.roles import USER
from benchmarks.workspaces import ME, folder_with, new_topic, request
from workbench.store.sqlite.rows import update_generation

ID = "PF-5"
TITLE = "commit in one process → row read in another"

Samples = tuple[list[float], list[float]]  # from the call, from the COMMIT

_NOTES = """\
commit → read: from the last instruction before COMMIT to the record out of ws.follow().
call → read: from the call that writes; durable: its COMMIT waits for the disk.
idle: CPU time of the listening process in percent of one core."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for rows in plan.rows:
        _workspace(plan, figure, rows)
    _poll(plan, figure)
    figure.notes += _NOTES.splitlines()
    return figure


def _workspace(plan: Plan, figure: Figure, rows: int) -> None:
    folder = folder_with(rows, plan.folder, "notify")
    count = plan.some(100, 200)
    with (
        wb.open(folder, user=USER, run_jobs=False) as ws,
        Child("benchmarks.roles", "follow", folder) as follower,
        Bare("follow-bell", count) as bare,
    ):
        follower.words("ready")
        store: Any = ws._store  # noqa: SLF001 - progress rows have no public door
        batch = store.submit_batch(request(new_topic(store))).result()
        (generation,) = store.batch_generations(ME, batch.id)

        def write(step: int, *, full: bool) -> tuple[float, float]:
            committing = 0.0

            def work(tx: Any) -> None:
                nonlocal committing
                update_generation(tx, generation.id, {"step": step, "progress": 0.5})
                committing = now_ms()

            called = now_ms()
            store.database.write(work, full=full).result()
            return called, committing

        turn = Turn(follower, count)
        results: dict[str, list[Samples]] = interleaved(
            {
                "NORMAL": lambda: turn.samples(lambda step: write(step, full=False)),
                "FULL": lambda: turn.samples(lambda step: write(step, full=True)),
                "bare": bare.samples,
            },
            plan.rounds,
        )
        idle = _idle(follower, plan)
    read = {name: [commit for _, commit in samples] for name, samples in results.items()}
    called = {name: [call for call, _ in samples] for name, samples in results.items()}
    goals = (Goal(1.0), Goal(5.0, of="p99"))
    about: dict[str, Any] = {"rows": rows, "against": "bare datagram", "reference": read["bare"]}
    figure.add(timed_line("commit → read", read["NORMAL"], "ms", goals=goals, **about))
    figure.add(timed_line("call → read", called["NORMAL"], "ms", rows=rows))
    figure.add(timed_line("call → read, durable", called["FULL"], "ms", rows=rows))
    figure.add(timed_line("bare SQLite and a datagram", read["bare"], "ms", rows=rows))
    figure.add(Line("idle", idle, "%", rows=rows, samples=1, goals=(Goal(0.05),)))


class Turn:
    """Writes rows with pauses, and asks the follower when it read them."""

    def __init__(self, follower: Child, count: int) -> None:
        self._follower = follower
        self._count = count
        self._step = 0
        self._pause = pauses(4, 24)

    def samples(self, write: Callable[[int], tuple[float, float]]) -> Samples:
        """Times of each row, from the call and from the COMMIT; no row may be missing."""
        written: dict[int, tuple[float, float]] = {}
        for _ in range(self._count):
            self._step += 1
            written[self._step] = write(self._step)
            self._pause()
        heard: dict[int, float] = {}
        give_up = now_ms() + 20_000
        while len(heard) < len(written) and now_ms() < give_up:
            self._pause()
            self._follower.tell("report")
            for word in self._follower.words("heard"):
                step, at = word.split(":")
                heard[int(step)] = float(at)
        if heard.keys() != written.keys():
            raise RuntimeError(f"{len(heard)} of {len(written)} rows were read")
        return (
            [heard[step] - called for step, (called, _) in written.items()],
            [heard[step] - committing for step, (_, committing) in written.items()],
        )


def _idle(follower: Child, plan: Plan) -> float:
    follower.tell("idle 1")  # let everything settle
    follower.words("idle")
    follower.tell(f"idle {plan.some(5, 20)}")
    return float(follower.words("idle")[0]) * 100


def _poll(plan: Plan, figure: Figure) -> None:
    """What queues without a doorbell do."""
    label = "bare SQLite, poll every 50 ms"
    with Bare("follow-poll", plan.some(60, 120)) as bare:
        rounds = [bare.samples() for _ in range(plan.rounds)]
        idle = _idle(bare.follower, plan)
    figure.add(timed_line(label, [commit for _, commit in rounds], "ms"))
    figure.add(Line(f"idle, {label}", idle, "%", samples=1))


class Bare:
    """The same with nothing but sqlite3: a process that follows, and a table of one's own."""

    def __init__(self, role: str, count: int) -> None:
        # A short path: socket addresses are limited to about 100 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="wb-")
        folder = Path(self._folder.name)
        self._db = _bare_database(folder)
        self.follower = Child("benchmarks.roles", role, folder)
        self.follower.words("ready")
        self._turn = Turn(self.follower, count)
        self._write = _bare_writer(self._db, folder, ring=role == "follow-bell")

    def samples(self) -> Samples:
        """One round."""
        return self._turn.samples(self._write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.follower.end()
        self._db.close()
        self._folder.cleanup()


def _bare_database(folder: Path) -> sqlite3.Connection:
    db = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, data TEXT)")
    return db


def _bare_writer(
    db: sqlite3.Connection, folder: Path, *, ring: bool
) -> Callable[[int], tuple[float, float]]:
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = str(folder / "bell")

    def write(step: int) -> tuple[float, float]:
        called = now_ms()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO event VALUES (?, ?)", (step, '{"progress":0.5}'))
        committing = now_ms()
        db.execute("COMMIT")
        if ring:
            bell.sendto(b"", address)
        return called, committing

    return write
