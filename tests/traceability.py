"""Which requirement is proved by which test.

`requirements_list.md` holds the lines, the `req` marks of the tests hold the claims, and
`requirements.md` is made from both by `make requirements`. A mark names a whole line
(`FEED-10`) or one feature of it (`FEED-10a`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE / "requirements_list.md"
TABLE = HERE / "requirements.md"

_LINE = re.compile(r"^- (?P<id>[A-Z]+-\d+) (?P<text>.+)$")
_ROOM = re.compile(r"^## (?P<title>.+)$")
_MARK = re.compile(r"^(?P<id>[A-Z]+-\d+)(?P<part>[a-z]?)$")
_TITLE_LENGTH = 90


@dataclass(frozen=True)
class Requirement:
    """One line of the list."""

    id: str
    text: str
    room: str

    @property
    def title(self) -> str:
        """The line cut at a word to fit a table cell."""
        text = self.text.replace("|", "\\|")
        if len(text) <= _TITLE_LENGTH:
            return text
        return text[:_TITLE_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:(") + " …"


def read_list(path: Path = LIST) -> dict[str, Requirement]:
    """The requirements by id, in the order of the list."""
    found: dict[str, Requirement] = {}
    room = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := _ROOM.match(line):
            room = heading["title"]
        elif entry := _LINE.match(line):
            found[entry["id"]] = Requirement(entry["id"], entry["text"], room)
    return found


def unknown_ids(ids: Iterable[str], requirements: Mapping[str, Requirement]) -> list[str]:
    """The ids of marks that name no line of the list, sorted."""
    return sorted(
        {name for name in ids if not (mark := _MARK.match(name)) or mark["id"] not in requirements}
    )


def render(marks: Mapping[str, Iterable[str]], requirements: Mapping[str, Requirement]) -> str:
    """The table as Markdown.

    Parameters
    ----------
    marks
        id of a mark (`FEED-10` or `FEED-10a`) -> names of the tests that carry it
    requirements
        the lines by id

    Returns
    -------
    str
        the text of `requirements.md`
    """
    tests: dict[str, dict[str, set[str]]] = {name: {} for name in requirements}
    for name, nodes in marks.items():
        mark = _MARK.match(name)
        if mark and mark["id"] in tests:
            for node in nodes:
                tests[mark["id"]].setdefault(node, set()).add(mark["part"])
    covered = sum(1 for nodes in tests.values() if nodes)
    lines = [
        "# Requirements and the tests that prove them",
        "",
        "Made by `make requirements` from the `req` marks of the tests; not edited by hand.",
        f"{covered} of {len(requirements)} lines have a test.",
    ]
    room = None
    for requirement in requirements.values():
        if requirement.room != room:
            room = requirement.room
            lines += ["", f"## {room}", "", "| id | what | tests |", "|---|---|---|"]
        cell = "<br>".join(
            _entry(node, parts) for node, parts in sorted(tests[requirement.id].items())
        )
        lines.append(f"| {requirement.id} | {requirement.title} | {cell or 'not covered'} |")
    return "\n".join(lines) + "\n"


def _entry(node: str, parts: set[str]) -> str:
    named = ", ".join(sorted(part for part in parts if part))
    return f"`{node}`" + (f" ({named})" if named else "")
