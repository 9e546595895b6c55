"""The event log: what happened, with times (failed callbacks, provider attempts, housekeeping)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.domain.records import LogEntry

if TYPE_CHECKING:
    import pandas as pd

    from workbench.workspace.handle import Handle

_SHOWN = 20


class EventLog:
    """The workspace's log, newest first; ``print(ws.debug)`` shows the latest lines."""

    def __init__(self, workspace: Handle) -> None:
        self._workspace = workspace

    def entries(self, limit: int = 200, kind: str | None = None) -> list[LogEntry]:
        """Return up to `limit` entries, newest first, all or of one kind.

        Kinds are runner, provider, callback, plugin, housekeeping, media and store.
        """
        found: list[LogEntry] = self._workspace._store.log_entries(
            self._workspace.identity, limit=limit, kind=kind
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
        lines = [
            f"{datetime.fromtimestamp(entry.at / 1000, UTC):%Y-%m-%d %H:%M:%S} "
            f"{entry.level:<7} {entry.kind:<12} {entry.text}"
            for entry in self.entries(_SHOWN)
        ]
        return "\n".join(lines) or "The event log is empty."
