"""Frames in and out of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.domain.money import from_micro
from workbench.workspace import frames
from workbench.workspace.handle import Handle

if TYPE_CHECKING:
    import pandas as pd

    from workbench.workspace.topic import Topic


class Tables(Handle):
    """The part of a workspace that gives and takes DataFrames."""

    def frame(
        self,
        topic: Topic | str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        provider: str | None = None,
        model: str | None = None,
        search: str | None = None,
        include_failed: bool = True,
    ) -> pd.DataFrame:
        """Return every image as a row (index ``generation_id``), newest first.

        Columns are those of `workbench.workspace.frames.COLUMNS` and one ``param.<name>`` for each
        parameter that occurs. Ratings, tags and notes are yours.
        """
        query = self._query(
            topic=topic,
            status=status,
            provider=provider,
            model=model,
            search=search,
            include_failed=include_failed,
        )
        rows = self._store.frame_rows(self.identity, query)
        return frames.generations_frame(self._frame_row(row) for row in rows)

    def _frame_row(self, row: dict[str, Any]) -> dict[str, Any]:
        asset_id = row["asset_id"]
        row["path"] = None if asset_id is None else str(self._engine.media.path(asset_id))
        row["cost"] = from_micro(row.pop("cost_micro"))
        row.update({f"param.{name}": value for name, value in row.pop("params").items()})
        return row

    def apply_frame(self, df: pd.DataFrame) -> int:
        """Write rating, favourite, tags and note of a frame back; returns how many rows changed.

        Raises
        ------
        NotFound, InvalidRequest
            For unknown ids or bad values; then nothing is written.
        """
        df = frames.by_generation(df)
        ids = list(df.index)
        current = {
            id: {
                "rating": found.rating,
                "favourite": found.favourite,
                "tags": sorted(found.tags),
                "note": found.note,
            }
            for id, found in self._store.judgements(self.identity, ids).items()
        }
        changes = frames.judgements_from_frame(df, current)
        if not changes:
            return 0
        return int(self._store.judge(self._acting, changes).result())

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Run one reading SQL statement on the store; anything that writes is refused."""
        return frames.sql_frame(*self._store.sql(query, parameters))
