"""PF-9: a page of 50 pictures at any depth; a search in prompts, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import workbench as wb
from benchmarks.measure import Plan, interleaved, now_ms, timed_line
from benchmarks.report import Figure, Goal
from benchmarks.roles import USER
from benchmarks.workspaces import (
    COMMON_WORD,
    ME,
    PAIR,
    PER_BATCH,
    RARE_WORD,
    RAREST,
    folder_with,
)
from workbench.ports import GenerationQuery
from workbench.store.sqlite import queries
from workbench.store.sqlite.pages import format_cursor
from workbench.store.sqlite.store import SqliteStore

ID = "PF-9"
TITLE = "a page of 50 generations at any depth; prompt search, newest first"

_LIMIT = 50
_SEARCHES = {
    "search: a word of every 7th prompt": COMMON_WORD,
    "search: two words of every 50th": PAIR,
    "search: a rare word": RARE_WORD,
    "search: a word of 8 requests": RAREST,
    "search: the beginning of a rare word": RARE_WORD[:5],
}

_NOTES = """\
store.generations(): the page with all fields, as every list and widget reads it. Against: the
  same select with OFFSET, or LIKE on the prompt, on the same file.
The reader's connection is warm; so is that of the other contender."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    for rows in plan.rows:
        folder = folder_with(rows, plan.folder, "pages")
        store = SqliteStore(folder)
        try:
            Pages(store, folder, rows).measure(plan, figure)
        finally:
            store.close()
        _public(plan, figure, folder, rows)
    figure.notes += _NOTES.splitlines()
    return figure


class Pages:
    """One filled workspace, the store's pages and the plain ones."""

    def __init__(self, store: SqliteStore, folder: Path, rows: int) -> None:
        self._store = store
        self._rows = rows
        (file,) = folder.glob("*.sqlite3")
        self._db = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
        self._select = queries.sql("generations.select")
        with store.database.reading() as reader:
            self._newest: int = reader.scalar("SELECT max(seq) FROM generation")

    def measure(self, plan: Plan, figure: Figure) -> None:
        contenders: dict[str, Callable[[], list[float]]] = {}
        depths = {"first": 0, "half": self._rows // 2, "99 %": self._rows * 99 // 100}
        often, seldom = plan.some(15, 30), plan.some(2, 3)
        for name, depth in depths.items():
            contenders[name] = _repeat(often, partial(self._page, depth))
            contenders[f"OFFSET {name}"] = _repeat(seldom, partial(self._offset, depth))
        for name, words in _SEARCHES.items():
            contenders[name] = _repeat(often, partial(self._search, words))
            contenders[f"LIKE {name}"] = _repeat(seldom, partial(self._like, words))
        self._check(depths)
        found = interleaved(contenders, plan.rounds)
        for name in depths:
            figure.add(
                timed_line(
                    f"page, {name}",
                    found[name],
                    "ms",
                    rows=self._rows,
                    against="OFFSET",
                    reference=found[f"OFFSET {name}"],
                    goals=(Goal(1.0),),
                )
            )
        for name in _SEARCHES:
            figure.add(
                timed_line(
                    name,
                    found[name],
                    "ms",
                    rows=self._rows,
                    against="LIKE",
                    reference=found[f"LIKE {name}"],
                    goals=(Goal(5.0),),
                )
            )
        self._db.close()

    def _query(self, depth: int) -> GenerationQuery:
        cursor = None if not depth else format_cursor("g", "newest", self._newest - depth + 1)
        return GenerationQuery(limit=_LIMIT, cursor=cursor)

    def _page(self, depth: int) -> list[int]:
        records, _ = self._store.generations(ME, self._query(depth))
        return [record.seq for record in records]

    def _offset(self, depth: int) -> list[int]:
        sql = (
            f"{self._select} WHERE g.owner = ? AND g.deleted_at IS NULL AND b.deleted_at IS NULL "
            f"AND t.deleted_at IS NULL AND p.deleted_at IS NULL "
            f"ORDER BY g.seq DESC LIMIT {_LIMIT} OFFSET {depth}"
        )
        return [row[0] for row in self._db.execute(sql, (ME.user,)).fetchall()]

    def _search(self, words: str) -> list[int]:
        records, _ = self._store.generations(ME, GenerationQuery(limit=_LIMIT, search=words))
        return [record.seq for record in records]

    def _like(self, words: str) -> list[int]:
        conditions = " AND ".join("b.prompt LIKE ?" for _ in words.split())
        sql = f"{self._select} WHERE g.owner = ? AND {conditions} ORDER BY g.seq DESC LIMIT 50"
        values = [ME.user, *(f"%{word}%" for word in words.split())]
        return [row[0] for row in self._db.execute(sql, values).fetchall()]

    def _check(self, depths: dict[str, int]) -> None:
        """Both contenders find the same rows, and as many as there are."""
        for depth in depths.values():
            _same(self._page(depth), self._offset(depth), f"depth {depth}")
            expected = min(_LIMIT, self._rows - depth)
            if len(self._page(depth)) != expected:
                raise RuntimeError(f"the page at {depth} has not {expected} rows")
        for words in _SEARCHES.values():
            _same(self._search(words), self._like(words), words)
        if len(self._search(RAREST)) != 8 * PER_BATCH:
            raise RuntimeError("the search did not find every row")


def _public(plan: Plan, figure: Figure, folder: Path, rows: int) -> None:
    """The same page through the public API: handles instead of records."""
    with wb.open(folder, user=USER, run_jobs=False) as ws:
        cursor = ws.generations(limit=_LIMIT).next_cursor
        if len(ws.generations(limit=_LIMIT, cursor=cursor)) != _LIMIT:
            raise RuntimeError("the second page is short")
        page = _repeat(plan.some(15, 30), lambda: ws.generations(limit=_LIMIT, cursor=cursor))
        found = interleaved({"public": page}, plan.rounds)
    figure.add(timed_line("ws.generations(), second page", found["public"], "ms", rows=rows))


def _same(ours: Sequence[int], theirs: Sequence[int], what: str) -> None:
    if list(ours) != list(theirs):
        raise RuntimeError(f"the contenders found different rows for {what}")


def _repeat(times: int, work: Callable[[], Any]) -> Callable[[], list[float]]:
    def rounds() -> list[float]:
        work()  # warm
        taken = []
        for _ in range(times):
            begin = now_ms()
            work()
            taken.append(now_ms() - begin)
        return taken

    return rounds
