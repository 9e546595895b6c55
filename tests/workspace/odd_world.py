"""A workspace with neighbours, and every odd value that a notebook can hand to a public call."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import workbench as wb
from workbench.workspace.workspace import Workspace

TOO_LONG_TO_READ = 1_500  # characters of a sentence


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return buffer.getvalue()


class WrongPath:
    def __fspath__(self) -> Any:
        return 5


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("this object cannot be shown")


@dataclass
class OddWorld:
    """Things that are there, things that are gone, and things that are somebody else's."""

    folder: Path
    ws: Workspace
    other: Workspace  # another workspace
    bob: Workspace  # another user of the same one
    closed: Workspace
    closed_topic: Any
    closed_batch: Any
    closed_generation: Any
    project: Any
    topic: Any
    batch: Any
    generation: Any  # queued
    picture: Any  # completed
    purged_project: Any
    purged_topic: Any
    purged_batch: Any
    purged_generation: Any
    trashed_topic: Any
    trashed_batch: Any
    trashed_generation: Any
    other_topic: Any
    other_picture: Any
    bobs_batch: Any
    bobs_picture: Any

    def __post_init__(self) -> None:
        self.odd_values = self._odd_values()

    def _odd_values(self) -> dict[str, Callable[[], Any]]:
        deep: list[Any] = []
        for _ in range(3000):
            deep = [deep]
        plain: dict[str, Any] = {
            "None": None,
            "True": True,
            "False": False,
            "zero": 0,
            "one": 1,
            "minus one": -1,
            "65 bits": 2**63,
            "5,000 digits": 10**5000,
            "minus 5,000 digits": -(10**5000),
            "fraction": 1.5,
            "nan": float("nan"),
            "inf": float("inf"),
            "minus inf": -float("inf"),
            "bytes": b"abc",
            "bytearray": bytearray(b"\0"),
            "memoryview": memoryview(b"abc"),
            "empty text": "",
            "spaces": "  ",
            "NUL": "a\0b",
            "lone surrogate": "\ud800",
            "surrogate escape": "\udc80x",
            "a million characters": "x" * 10**6,
            "word": "word",
            "two lines": "a\nb",
            "direction override": "\u202eabc",
            "dots": "../../etc",
            "absolute": "/nonexistent/x",
            "nobody's home": "~nosuchuser/x",
            "broken URL": "http://[bad",
            "empty URL": "://",
            "sha": "0" * 64,
            "id": "0" * 26,
            "empty list": [],
            "list of a number": [1],
            "list of None": [None],
            "list of texts": ["a", "b"],
            "empty tuple": (),
            "empty dict": {},
            "dict": {"a": 1},
            "dict of numbers": {5: 5},
            "empty set": set(),
            "set": {"a"},
            "3,000 levels": deep,
            "numpy integer": np.int64(3),
            "numpy float": np.float64(2.5),
            "numpy bool": np.bool_(True),
            "numpy text": np.str_("abc"),
            "array": np.array([1, 2]),
            "array without dimension": np.array(1),
            "array of one": np.array([256]),
            "array of texts": np.array(["a", "b"]),
            "NA": pd.NA,
            "NaT": pd.NaT,
            "timestamp": pd.Timestamp("2020"),
            "series": pd.Series(["a", "b"]),
            "frame": pd.DataFrame({"a": [1]}),
            "decimal": decimal.Decimal("1.5"),
            "256 as a decimal": decimal.Decimal(256),
            "256 as a float": 256.0,
            "signalling nan": decimal.Decimal("sNaN"),
            "huge decimal": decimal.Decimal("1e999999"),
            "tiny decimal": decimal.Decimal("1e-999999"),
            "third": fractions.Fraction(1, 3),
            "complex": 1j,
            "timedelta": dt.timedelta(1),
            "path": Path("x"),
            "path with NUL": Path("a\0b"),
            "path with a surrogate": Path("\ud800"),
            "path of 5,000": Path("y" * 5000),
            "path as bytes": os.fsencode("x"),
            "wrong path": WrongPath(),
            "object that cannot be shown": NoRepr(),
            "object": object(),
            "class": int,
            "function": print,
            "exception": ValueError("x"),
            "status": wb.Status.FAILED,
            "float picture": Image.new("F", (4, 4)),
            "empty picture": Image.new("RGB", (0, 0)),
        }
        handles = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "folder"
        }
        plain |= handles
        plain["asset"] = self.picture.asset
        plain["other_asset"] = self.other_picture.asset
        values = {name: (lambda value=value: value) for name, value in plain.items()}
        values["generator"] = lambda: (item for item in ("a", 5))
        return values


@contextmanager
def odd_world(folder: Path) -> Iterator[OddWorld]:
    """Open everything; nothing runs in it, so that nothing changes by itself."""
    with ExitStack() as stack:

        def opened(name: str, user: str = "ada") -> Workspace:
            workspace = wb.open(folder / name, user=user, run_jobs=False)
            stack.callback(workspace.close)
            return workspace

        ws, other, closed = opened("ws"), opened("other"), opened("closed")
        bob = opened("ws", "bob")
        closed_batch = closed.generate("closed")
        closed_topic, closed_generation = closed_batch.topic, closed_batch.generations[0]
        closed.close()
        purged_batch = ws.generate("purged")
        purged_topic, purged_generation = purged_batch.topic, purged_batch.generations[0]
        purged_project = ws.create_project("purged")
        purged_topic.delete()
        purged_project.delete()
        ws.empty_trash()
        trashed_batch = ws.generate("trashed")
        trashed_topic, trashed_generation = trashed_batch.topic, trashed_batch.generations[0]
        trashed_topic.delete()
        batch = ws.generate("a fox", n=2)
        bobs_batch = bob.import_images([png("blue")])
        other_picture = other.import_images([png("red")]).generations[0]
        yield OddWorld(
            folder=folder,
            ws=ws,
            other=other,
            bob=bob,
            closed=closed,
            closed_topic=closed_topic,
            closed_batch=closed_batch,
            closed_generation=closed_generation,
            project=ws.create_project("project"),
            topic=batch.topic,
            batch=batch,
            generation=batch.generations[0],
            picture=ws.import_images([png("teal")]).generations[0],
            purged_project=purged_project,
            purged_topic=purged_topic,
            purged_batch=purged_batch,
            purged_generation=purged_generation,
            trashed_topic=trashed_topic,
            trashed_batch=trashed_batch,
            trashed_generation=trashed_generation,
            other_topic=other.create_topic("other"),
            other_picture=other_picture,
            bobs_batch=bobs_batch,
            bobs_picture=bobs_batch.generations[0],
        )


def try_everything(world: OddWorld, calls: dict[str, Callable[[Any], Any]]) -> list[str]:
    """Make each call with each value; returns what went wrong, as lines.

    A call may succeed, or raise a WorkbenchError with a sentence that can be read and printed;
    then it has written nothing. A TimeoutError is what waiting is allowed to raise.
    """
    wrong: list[str] = []
    for name, call in calls.items():
        for value, make in world.odd_values.items():
            before = world.ws._store.last_seq()
            try:
                call(make())
            except wb.WorkbenchError as error:
                text = str(error)
                if len(text) > TOO_LONG_TO_READ or not _printable(text):
                    wrong.append(f"{name}({value}): no sentence: {text[:80]!a}")
                if world.ws._store.last_seq() != before:
                    wrong.append(f"{name}({value}): refused, but something was written")
            except TimeoutError:
                pass
            except Exception as error:  # noqa: BLE001 - finding these is the purpose
                wrong.append(f"{name}({value}): {type(error).__name__}: {str(error)[:80]!a}")
    return wrong


def _printable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def files_without_rows(workspace: Workspace) -> set[str]:
    stored = set(workspace._engine.media.files.iter_files())
    return stored - workspace._store.known_assets(sorted(stored))
