"""What the workspace tests share."""

from __future__ import annotations

from workbench.workspace.workspace import Workspace

SMALL = {"width": 64, "height": 64, "steps": 2}


def everything(workspace: Workspace) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of the tables that a request may touch."""
    tables = ("project", "topic", "batch", "generation", "job", "asset", "ledger", "balance")
    return {table: workspace._store.sql(f"SELECT * FROM {table}")[1] for table in tables}
