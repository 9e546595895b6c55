"""Small durable settings per user, and the register of open processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest
from workbench.ports import RunnerInfo
from workbench.store.sqlite import queries, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying
    from workbench.store.sqlite.writer import Transaction


def set_preference(tx: Transaction, owner: str, key: str, value: object) -> None:
    """Set a preference of `owner` ("": of the workspace) to a JSON value; None removes it."""
    validate.check_text("owner", owner, limit=validate.MAX_NAME_CHARACTERS)
    validate.check_text("key", key, limit=validate.MAX_NAME_CHARACTERS, empty=False)
    if value is None:
        tx.execute("DELETE FROM preference WHERE owner = ? AND key = ?", (owner, key))
        return
    text = validate.check_json_value("value", value)
    tx.execute(queries.sql("settings.set_preference"), (owner, key, text, tx.now))


def preference(source: Querying, owner: str, key: str) -> object:
    """Return a preference's value, or None if it was never set."""
    validate.check_text("owner", owner, limit=validate.MAX_NAME_CHARACTERS)
    validate.check_text("key", key, limit=validate.MAX_NAME_CHARACTERS)
    text = source.scalar("SELECT value FROM preference WHERE owner = ? AND key = ?", (owner, key))
    return None if text is None else json.loads(text)


def register_runner(tx: Transaction, info: RunnerInfo) -> None:
    """Note that a process opened the workspace; the same id again replaces the note."""
    validate.check_text("runner id", info.id, limit=64, empty=False)
    if "/" in info.id or info.id.startswith("."):
        raise InvalidRequest("runner id", "names a lock file; it must not contain a path.")
    validate.check_text("host", info.host, limit=1_000)
    validate.check_text("title", info.title, limit=1_000)
    pid = validate.check_whole("pid", info.pid, low=0, high=2**62)
    parameters = (info.id, pid, info.host, info.title, int(info.runs_jobs), tx.now)
    tx.execute(queries.sql("settings.register_runner"), parameters)


def unregister_runner(tx: Transaction, runner_id: str) -> None:
    """Forget a process. Its running jobs, if any, stay for `requeue_dead`."""
    tx.execute("DELETE FROM runner WHERE id = ?", (validate.check_text("runner id", runner_id),))


def foreign_runners(source: Querying, runner_id: str) -> list[str]:
    """Return the ids of other runners that hold running jobs."""
    validate.check_text("runner id", runner_id)
    rows = source.all(queries.sql("settings.foreign_runners"), (runner_id,))
    return [row["runner_id"] for row in rows]
