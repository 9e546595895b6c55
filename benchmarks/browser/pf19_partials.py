"""PF-19: a partial image leaves the server's socket; when is it decoded in the page?"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.browser.lab import Opened, lab_of, rounds_of, say
from benchmarks.children import Child
from benchmarks.measure import Plan, median, percentile, timed_line
from benchmarks.report import Figure, Line
from benchmarks.streaming import CASES, NO_PARTIALS, PARTIALS, Asked

ID = "PF-19"
TITLE = "a partial image, from the server's socket to the page"
_PICTURES_S = 300.0  # to make them
_MOST_MISSING = 0.2  # as two meet on a busy machine
_PHASE_S = 60.0  # at most, on a busy machine; 21 without other work

_PREPARE = """\
import workbench as wb
from benchmarks.browser.partials import Work
ws = wb.open({folder!r}, user="bench")
topic = ws.create_topic("Partial images")
work = Work(ws, topic, {base_url!r}, {key!r})"""
_SHOW = "bench = wb.Workbench(ws, height=480)\nbench.topic = topic\nbench"
_IMAGE = "work.image"
_START = "work.start(bench, {rounds}, {calls}, {path!r})"

Sample = dict[str, float]  # stage -> when, in milliseconds
Found = dict[tuple[str, str], list[list[Sample]]]  # (kind, case) -> rounds -> samples

# Label, from, to.
_STAGES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "ours": (
        ("socket → provider's event", "begun", "event"),
        ("event → preview stored", "event", "stored"),
        ("stored → delta sent", "stored", "told"),
        ("delta → picture asked for and sent", "told", "sent"),
        ("picture sent → DOM", "sent", "changed"),
        ("DOM → decoded", "changed", "decoded"),
    ),
    "bare": (
        ("socket → bytes", "begun", "event"),
        ("bytes → trait sent", "event", "sent"),
        ("trait sent → DOM", "sent", "changed"),
        ("DOM → decoded", "changed", "decoded"),
    ),
}

_NOTES = """\
From the moment before the emulator, in another process, writes the event to its socket until
  img.decode() of the element with that picture is done. Ours: the dialect, the runner, a Workbench.
  ipywidgets: its Image, whose value a thread of the same kernel sets from the same events, read by
  bare httpx; same page, in turns, nothing else going on. Which picture it is is read from its
  pixels. Calls of three partial images, 0.4 to 0.6 s apart, one call at a time.
Stages: over all formats of a side. A stage's median; medians of stages do not add up to the whole.
CPU: time of the kernel's process with partial images less that of calls that only take as long,
  by partial image."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    rounds, calls = rounds_of(plan), plan.some(3, 6)
    with Child("benchmarks.streaming") as server, lab_of(plan) as lab:
        base_url, key = server.line(_PICTURES_S).split()
        sizes = json.loads(" ".join(server.words("sizes")))
        folder = str(plan.folder / "partials")
        prepare = _PREPARE.format(folder=folder, base_url=base_url, key=key)
        with lab.notebook([prepare, _SHOW, _IMAGE], run=3) as opened:
            opened.bench("watchPartials")
            phases = _phases(opened, plan.folder / "partials.jsonl", rounds, calls)
            seen = opened.bench("partials")
        server.tell("report")
        written = json.loads(" ".join(server.words("written")))
    found, missing = _matched(written, phases, seen)
    _totals(figure, found)
    _stages(figure, found)
    _cpu(figure, phases, calls)
    figure.notes += _NOTES.splitlines()
    kilobytes = ", ".join(f"{case.label} {sizes[case.name] / 1000:.0f}" for case in CASES)
    figure.notes += [
        f"kB of a picture: {kilobytes}.",
        f"{missing} partial images were passed over. Load {os.getloadavg()[0]:.1f} at the end.",
    ]
    return figure


def _phases(opened: Opened, path: Path, rounds: int, calls: int) -> list[dict[str, Any]]:
    """Let the kernel work, and return what it says of each phase."""
    opened.notebook.insert_and_run(_START.format(rounds=rounds, calls=calls, path=str(path)))
    left = _PHASE_S * rounds * (len(CASES) + 1) * 2
    told: list[dict[str, Any]] = []
    while left > 0:
        opened.settle(2)
        left -= 2
        lines = [
            json.loads(line)
            for line in path.read_text("utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        ]
        for line in lines[len(told) :]:
            told.append(line)
            if "error" in line:
                raise RuntimeError(line["error"])
            if "done" in line:
                return told[:-1]
            say(f"{line['case']}, {line['kind']}: {line['cpu_s']:.2f} s of CPU time")
    raise TimeoutError("the kernel did not come to an end")


def _matched(
    written: Sequence[dict[str, Any]],
    phases: Sequence[dict[str, Any]],
    seen: Mapping[str, list[dict[str, Any]]],
) -> tuple[Found, int]:
    """Put together what server, kernel and page know of each partial image."""
    _check(seen)
    noted = {(one["prompt"], one["place"]): one for phase in phases for one in phase["notes"]}
    samples: dict[str, list[Sample]] = defaultdict(list)  # prompt -> its samples
    for one, sighting in _sighted(written, seen):
        times = {**one, **noted.get((one["prompt"], one["place"]), {}), **sighting}
        samples[one["prompt"]].append(
            {stage: at for stage, at in times.items() if isinstance(at, float)}
        )
    rounds: dict[tuple[str, str], dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for prompt, some in samples.items():
        call = Asked.of(prompt)
        if call.round >= 0:
            rounds[call.kind, call.case][call.round] += some
    found = {key: [by_round[n] for n in sorted(by_round)] for key, by_round in rounds.items()}
    wanted = sum(Asked.of(one["prompt"]).round >= 0 for one in written)
    missing = wanted - sum(len(one) for some in found.values() for one in some)
    if missing > _MOST_MISSING * wanted:
        seen_of = {
            kind: sum(len(one) for key, some in found.items() if key[0] == kind for one in some)
            for kind in _STAGES
        }
        raise RuntimeError(
            f"{missing} of {wanted} partial images were not seen in the page; seen were {seen_of}"
        )
    return found, missing


def _check(seen: Mapping[str, list[dict[str, Any]]]) -> None:
    if seen["broken"]:
        raise RuntimeError(f"pictures could not be decoded: {seen['broken'][:3]}")
    strange = [one for one in seen["sightings"] if one["mark"] is None or not one["inView"]]
    if strange:
        raise RuntimeError(f"pictures without a mark, or out of view: {strange[:3]}")


def _sighted(
    written: Sequence[dict[str, Any]], seen: Mapping[str, list[dict[str, Any]]]
) -> Iterator[tuple[dict[str, Any], Sample]]:
    """Yield what was written together with when it was first seen."""
    right = _clock(seen["drifts"])
    places: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for one in seen["sightings"]:
        times = {"changed": right(one["changed"]), "decoded": right(one["decoded"])}
        places[one["kind"], one["mark"]].append(times)
    for some in places.values():
        some.sort(key=lambda one: one["changed"])
    alike: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for one in written:
        alike[Asked.of(one["prompt"]).kind, one["mark"]].append(one)
    for key, group in alike.items():
        group.sort(key=lambda one: float(one["begun"]))
        ends = [one["begun"] for one in group[1:]] + [float("inf")]
        for one, end in zip(group, ends, strict=True):
            # A mark comes again seconds later: up to then it is this picture.
            at = bisect_left(places[key], one["begun"], key=lambda sample: sample["changed"])
            if at < len(places[key]) and places[key][at]["changed"] < end:
                yield one, places[key][at]


def _clock(drifts: Sequence[Mapping[str, float]]) -> Callable[[float], float]:
    """Return what makes the machine's time of the page's; its clock is not set with the other."""
    first, last = drifts
    slope = (last["behind"] - first["behind"]) / (last["at"] - first["at"])
    return lambda at: at + first["behind"] + slope * (at - first["at"])


def _between(rounds: Sequence[Sequence[Sample]], begin: str, end: str) -> list[list[float]]:
    return [
        [one[end] - one[begin] for one in some if begin in one and end in one] for some in rounds
    ]


def _totals(figure: Figure, found: Found) -> None:
    for case in CASES:
        ours = _between(found["ours", case.name], "begun", "decoded")
        bare = _between(found["bare", case.name], "begun", "decoded")
        figure.add(timed_line(case.label, ours, "ms", against="ipywidgets", reference=bare))
        late, theirs = (
            percentile([took for one in some for took in one], 0.95) for some in (ours, bare)
        )
        figure.add(
            Line(
                f"{case.label}, p95",
                late,
                "ms",
                samples=sum(map(len, ours)),
                against="ipywidgets",
                against_value=theirs,
                ratio=late / theirs,
            )
        )


def _stages(figure: Figure, found: Found) -> None:
    for kind, stages in _STAGES.items():
        for side in sorted({case.side for case in CASES}):
            alike = [found[kind, case.name] for case in CASES if case.side == side]
            rounds = [[one for some in parts for one in some] for parts in zip(*alike, strict=True)]
            for label, begin, end in stages:
                title = f"{side}², {'' if kind == 'ours' else 'ipywidgets, '}{label}"
                figure.add(timed_line(title, _between(rounds, begin, end), "ms"))


def _cpu(figure: Figure, phases: Sequence[dict[str, Any]], calls: int) -> None:
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for phase in phases:
        spent[phase["kind"], phase["case"]].append(phase["cpu_s"])

    def extra(kind: str, case: str) -> list[float]:
        pairs = zip(spent[kind, case], spent[kind, NO_PARTIALS], strict=True)
        return [(some - none) * 1000 / (calls * PARTIALS) for some, none in pairs]

    for case in CASES:
        ours, bare = extra("ours", case.name), extra("bare", case.name)
        theirs = median(bare)
        figure.add(
            Line(
                f"CPU, {case.label}",
                median(ours),
                "ms",
                low=min(ours),
                high=max(ours),
                samples=len(ours),
                against="ipywidgets",
                against_value=theirs,
                # So little that it may drown in what is taken off.
                ratio=median(ours) / theirs if theirs > 0 else None,
            )
        )
