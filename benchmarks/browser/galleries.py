"""The galleries that are compared: cells that prepare one, and the cell that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.browser.rooms import distinct, room, served

_OURS = """\
import workbench as wb
from workbench import GenerationFeed, Workbench
ws = wb.open({folder!r}, user="bench")
(topic,) = ws.topics()"""
_THEIRS = """\
from benchmarks.browser import kernel
pictures = kernel.pictures({folder!r}, {count})"""
IPYWIDGETS_MOST = 500  # of 5,000 a third of the messages is dropped, and nothing is drawn


@dataclass(frozen=True)
class Gallery:
    """Cells of one way to show pictures."""

    name: str
    kind: str  # of page.js
    rows: int
    prepare: str
    show: str

    @property
    def cells(self) -> tuple[str, str]:
        return self.prepare, self.show


def ours(scratch: Path, rows: int, widget: str = "GenerationFeed") -> Gallery:
    """One of our widgets on a topic with so many pictures."""
    prepare = _OURS.format(folder=str(room(scratch, rows)))
    show = f"shown = {widget}(ws, height=720)\nshown.topic = topic\nshown"
    return Gallery(widget, "ours", rows, prepare, show)


def theirs(scratch: Path, root: Path, rows: int) -> list[Gallery]:
    """What a person would write instead."""
    folder = served(scratch, root, rows).name
    grid = min(rows, IPYWIDGETS_MOST)

    def gallery(name: str, show: str, count: int = rows) -> Gallery:
        prepare = _THEIRS.format(folder=str(distinct(scratch)), count=count)
        return Gallery(name, "plain", count, prepare, show)

    return [
        gallery("base64 HTML", "kernel.inline(pictures)"),
        gallery("file-URL HTML", f"kernel.linked({folder!r}, {rows})"),
        gallery("ipywidgets grid", "kernel.grid(pictures)", grid),
    ]
