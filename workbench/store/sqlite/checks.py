"""The doctor's questions to the store: what must always hold, does it hold.

Numbers are those of the invariants: I1 accepted work is there, I2 money adds up, I4 running work
has a living worker, I5 the change feed tells the truth, I6 the file is sound. What needs the image
files (I3) or processes (I7–I9) is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.store.sqlite import ledger
from workbench.store.sqlite.queries import sql

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying

_EXAMPLES = 3
_MAX_SENTENCES = 20  # of one kind: a damaged file can have a million


@dataclass(frozen=True, slots=True)
class _Check:
    """A statement of checks.sql and what it means when it finds rows."""

    invariant: str
    query: str
    one: str  # "1 <one> …", "2 <many> …"
    many: str
    text: str


_CHECKS = (
    _Check(
        "I1",
        "active_without_job",
        "picture waits",
        "pictures wait",
        "for a job that is no longer there and would wait for ever. Cancel and retry.",
    ),
    _Check(
        "I1",
        "status_disagrees",
        "picture says",
        "pictures say",
        "something else about the work on it than its job. Cancel and retry.",
    ),
    _Check(
        "I1",
        "job_without_work",
        "job is",
        "jobs are",
        "still to be done although no picture waits for it. It ends when a worker takes it;"
        " if it stays, please report it.",
    ),
    _Check(
        "I1",
        "hold_disagrees",
        "job has",
        "jobs have",
        "a state that does not fit its worker or its reason to wait. Cancel its pictures.",
    ),
    _Check(
        "I1",
        "submission_of_ended_job",
        "submission looks",
        "submissions look",
        "as if it were under way although its job has ended. Look at the provider's own list"
        " whether it was charged.",
    ),
    _Check(
        "I1",
        "ended_incomplete",
        "picture lacks",
        "pictures lack",
        "what belongs to its status (image, error or times). Retry it, or delete it.",
    ),
    _Check(
        "I1",
        "batch_empty",
        "request has",
        "requests have",
        "no pictures at all. Delete it; generate again if you miss it.",
    ),
    _Check(
        "I1",
        "batch_incomplete",
        "request has",
        "requests have",
        "another number of pictures than was asked for. Generate the missing ones again.",
    ),
    _Check(
        "I1",
        "wrong_topic",
        "picture lies",
        "pictures lie",
        "in another topic than its request. Restore a backup, or please report it.",
    ),
    _Check(
        "I2",
        "net_disagrees",
        "picture has",
        "pictures have",
        "bookings that do not add up to what it cost. Correct the balance with ws.grant();"
        " ws.ledger() shows the bookings.",
    ),
    _Check(
        "I2",
        "reserved_after_end",
        "ended picture still holds",
        "ended pictures still hold",
        "a reservation. Correct the balance with ws.grant().",
    ),
    _Check(
        "I2",
        "booked_twice",
        "reservation was",
        "reservations were",
        "settled or made more than once. Correct the balance with ws.grant().",
    ),
    _Check(
        "I5",
        "seq_went_back",
        "change number",
        "change numbers",
        "in the feed would be given again. Restore a backup; windows that are open must be"
        " reloaded.",
    ),
    _Check(
        "I1",
        "cover_gone",
        "topic has",
        "topics have",
        "a cover that is no live picture of it. Choose another cover.",
    ),
    _Check(
        "I1",
        "images_disagree",
        "topic has",
        "topics have",
        "another number of pictures than it shows. Restore a backup, or please report it.",
    ),
)
# Entities of the feed that are tables with `id` and `rev`.
_TABLES = ("project", "topic", "batch", "generation", "asset", "message", "collection", "folder")


def check(reader: Querying, *, live_runners: Callable[[str], bool], deep: bool = True) -> list[str]:
    """Check every invariant that the database alone can prove.

    Parameters
    ----------
    reader:
        a reading connection.
    live_runners:
        tells whether the runner with this id is alive.
    deep:
        read every page and index (`integrity_check`) instead of a quicker look.

    Returns
    -------
        Problems as sentences that say what it means and what to do; empty when all is well.
    """
    return [*_soundness(reader, deep=deep), *_rows(reader), *_workers(reader, live_runners)]


def _rows(reader: Querying) -> Iterator[str]:
    for one in _CHECKS:
        yield from _found(reader, one, sql(f"checks.{one.query}"))
    for problem in ledger.verify_chain(reader)[:_MAX_SENTENCES]:
        yield f"I2: {problem}"
    for table in _TABLES:
        behind = _Check(
            "I5",
            "feed_behind",
            f"{table} differs",
            f"{table}s differ",
            "from what the change feed says last. Reload open windows; export and import the"
            " workspace to begin a new feed.",
        )
        missing = _Check(
            "I5",
            "feed_missing",
            f"{table} was",
            f"{table}s were",
            "never told by the change feed. Reload open windows.",
        )
        for one in (behind, missing):
            # The table's name comes from the list above.
            yield from _found(reader, one, sql(f"checks.{one.query}").replace("{table}", table))


def _found(reader: Querying, one: _Check, statement: str) -> Iterator[str]:
    row = reader.one(
        f"WITH found (id) AS MATERIALIZED ({statement})"  # noqa: S608 - from checks.sql
        " SELECT (SELECT count(*) FROM found) AS number,"
        f" (SELECT group_concat(id, ', ') FROM (SELECT id FROM found LIMIT {_EXAMPLES})) AS ids"
    )
    number = row["number"]
    if number:
        more = ", …" if number > _EXAMPLES else ""
        subject = one.one if number == 1 else one.many
        yield f"{one.invariant}: {number} {subject} {one.text} ({row['ids']}{more})"


def _workers(reader: Querying, live_runners: Callable[[str], bool]) -> Iterator[str]:
    for row in reader.all(sql("checks.runners_at_work")):
        runner_id = row["runner_id"]
        if live_runners(runner_id):
            continue
        # It may have ended between the two looks, in good order.
        left = reader.scalar(sql("checks.runner_jobs"), (runner_id,))
        if left:
            yield (
                f"I4: {left} running job{'s' if left > 1 else ''} belong{'' if left > 1 else 's'}"
                f" to the worker {runner_id}, which is no longer alive. Open the workspace with"
                " run_jobs=True or start `jupyter workbench worker`: it takes them over."
            )


def _soundness(reader: Querying, *, deep: bool) -> Iterator[str]:
    pragma = "integrity_check" if deep else "quick_check"
    for row in reader.all(f"PRAGMA {pragma}({_MAX_SENTENCES})"):
        if row[0] != "ok":
            yield (
                f"I6: The store file is damaged ({row[0]}). Make a copy of the folder, then"
                " restore the newest backup."
            )
    for row in reader.all("PRAGMA foreign_key_check")[:_MAX_SENTENCES]:
        yield (
            f"I6: Row {row[1]} of {row[0]} points to a row of {row[2]} that is not there. Restore"
            " a backup if you miss something."
        )
