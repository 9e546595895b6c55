"""The event log: what happened, with times (failed callbacks, provider attempts, housekeeping)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.domain.arguments import check_whole
from workbench.domain.records import AttemptRecord, LogEntry
from workbench.errors import WorkbenchError
from workbench.workspace.markup import visible

if TYPE_CHECKING:
    import pandas as pd

    from workbench.workspace.handle import Handle

_SHOWN = 20
_MOST = 50_000


class EventLog:
    """The workspace's log, newest first; ``print(ws.debug)`` shows the latest lines."""

    def __init__(self, workspace: Handle) -> None:
        self._workspace = workspace

    def entries(self, limit: int = 200, kind: str | None = None) -> list[LogEntry]:
        """Return up to `limit` entries, newest first, all or of one kind.

        Kinds are runner, provider, callback, plugin, housekeeping, media and store.
        """
        found: list[LogEntry] = self._workspace._store.log_entries(
            self._workspace.identity,
            limit=check_whole("limit", limit, low=1, high=_MOST),
            kind=kind,
        )
        return found

    def attempts(self, limit: int = 200) -> list[AttemptRecord]:
        """Return your newest submissions to providers, newest first.

        `limit` is 1 to 50,000. What one of them did is in its state, and if it failed in
        ``error_kind`` and ``error_message``.
        """
        found: list[AttemptRecord] = self._workspace._store.attempts_of(
            self._workspace.identity, limit=check_whole("limit", limit, low=1, high=_MOST)
        )
        return found

    def frame(self, limit: int = 200, kind: str | None = None) -> pd.DataFrame:
        """Return the entries as a DataFrame."""
        import pandas as pd

        rows = [
            {
                "at": pd.Timestamp(entry.at, unit="ms", tz="UTC"),
                "level": entry.level,
                "kind": entry.kind,
                "entity": entry.entity,
                "entity_id": entry.entity_id,
                "text": entry.text,
                "data": dict(entry.data),
            }
            for entry in self.entries(limit, kind)
        ]
        columns = ["at", "level", "kind", "entity", "entity_id", "text", "data"]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        try:
            lines = [
                (e.at, f"{e.level:<7} {e.kind:<12} {visible(e.text, 400)}")
                for e in self.entries(_SHOWN)
            ]
            lines += [(a.started_at, _attempt_line(a)) for a in self.attempts(_SHOWN)]
        except WorkbenchError as error:  # closed: showing it must not raise
            return str(error)
        lines.sort(reverse=True)
        shown = [
            f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} {line}"
            for at, line in lines[:_SHOWN]
        ]
        return "\n".join(shown) or "The event log is empty."


def _attempt_line(attempt: AttemptRecord) -> str:
    level = "error" if attempt.error_kind else "info"
    said = f"{attempt.model}: attempt {attempt.number} {attempt.state}"
    if attempt.error_message:
        said += f" ({visible(attempt.error_message, 400)})"
    return f"{level:<7} {'attempt':<12} {said}"
