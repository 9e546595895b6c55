"""PF-6: a durable submit in one process; when does the job's body begin in a worker process?"""

from __future__ import annotations

import workbench as wb
from benchmarks.children import Child
from benchmarks.measure import Fsync, Plan, now_ms, pauses, timed_line
from benchmarks.pf08_store import Bare
from benchmarks.provider import MODEL, BenchProvider
from benchmarks.report import Figure, Goal, Line
from benchmarks.roles import USER, add_provider
from benchmarks.workspaces import folder_with

ID = "PF-6"
TITLE = "durable submit → job body starts in a worker process"
_MARGIN_MS = 1.0

_NOTES = """\
Each submit is ws.generate(n=1) and returns when the request is safe on the disk. One fsync of 4
  KiB, appended as to a log, is timed after each.
The log of a submit is some 20 pages long; what its commit costs without the workspace is the
  line of the bare SQLite (see PF-8).
extra: median of (submit → body) less median of that fsync; the goal is 1 ms."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for rows in plan.rows:
        _measure(plan, figure, rows)
    figure.notes += _NOTES.splitlines()
    return figure


def _measure(plan: Plan, figure: Figure, rows: int) -> None:
    folder = folder_with(rows, plan.folder, "start")
    names = ("body", "accepted", "append", "overwrite", "bare")
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    append, overwrite = Fsync(plan.folder, append=True), Fsync(plan.folder)
    bare = Bare(folder_with(rows, plan.folder, "bare"))
    pause = pauses(25, 90)
    with (
        wb.open(folder, user=USER, run_jobs=False) as ws,
        Child("benchmarks.roles", "worker", folder) as worker,
    ):
        worker.words("ready")
        add_provider(ws, BenchProvider(lambda *_: None))
        topic = ws.create_topic("Benchmark")
        ws.generate("warm", model=MODEL, topic=topic)
        worker.words("began")
        done = 0
        for _ in range(plan.rounds):
            samples: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(plan.some(15, 30)):
                done += 1
                pause()
                body, accepted = _submit(ws, topic, worker, f"job{done}")
                samples["body"].append(body)
                samples["accepted"].append(accepted)
                pause()
                samples["append"].append(append.once_ms())
                pause()
                samples["overwrite"].append(overwrite.once_ms())
                pause()
                begin = now_ms()
                bare.submit()
                samples["bare"].append(now_ms() - begin)
            for name in names:
                found[name].append(samples[name])
        ws.wait(60)
        ended = _completed(topic)
        if ended != done + 1:
            raise RuntimeError(f"{ended} of {done + 1} jobs were completed")
        worker.tell("idle 1")  # let everything settle
        worker.words("idle")
        worker.tell(f"idle {plan.some(4, 15)}")
        idle = float(worker.words("idle")[0]) * 100
    append.close()
    overwrite.close()
    bare.close()
    _lines(figure, rows, found)
    figure.add(Line("idle CPU of the worker", idle, "%", rows=rows))


def _submit(ws: wb.Workspace, topic: wb.Topic, worker: Child, prompt: str) -> tuple[float, float]:
    """Milliseconds from the call to the job's body, and to the return of the call."""
    called = now_ms()
    ws.generate(prompt, model=MODEL, topic=topic)
    returned = now_ms()
    name, at = worker.words("began")
    if name != prompt:
        raise RuntimeError(f"{prompt} was submitted, but {name} began")
    return float(at) - called, returned - called


def _lines(figure: Figure, rows: int, found: dict[str, list[list[float]]]) -> None:
    fsync = found["append"]
    start = timed_line(
        "submit → body", found["body"], "ms", rows=rows, against="one fsync", reference=fsync
    )
    assert start.against_value is not None
    extra = start.value - start.against_value
    figure.add(start)
    figure.add(Line("extra over one fsync", extra, "ms", rows=rows, goals=(Goal(_MARGIN_MS),)))
    for name, label in (
        ("accepted", "submit → accepted"),
        ("bare", "bare SQLite FULL, the same rows"),
        ("overwrite", "fsync, overwriting 4 KiB"),
    ):
        figure.add(
            timed_line(label, found[name], "ms", rows=rows, against="one fsync", reference=fsync)
        )


def _completed(topic: wb.Topic) -> int:
    """How many pictures of the topic are there, page by page."""
    count = 0
    cursor = None
    while True:
        page = topic.generations(limit=500, cursor=cursor, status="completed")
        count += len(page)
        cursor = page.next_cursor
        if cursor is None:
            return count
