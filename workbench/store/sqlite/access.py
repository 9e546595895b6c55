"""Who may see a row and who may change it.

A viewer sees rows of their own, rows of a topic shared with the workspace or with their team, and
as operator (`all_users`) everything. Acting needs ownership, or the operator. What one may not see
does not exist (NotFound); what one may only see answers NotAllowed.
"""

from __future__ import annotations

import sqlite3

from workbench.domain.records import Identity
from workbench.errors import NotAllowed, NotFound
from workbench.store.sqlite import queries
from workbench.store.sqlite.rows import Querying
from workbench.store.sqlite.validate import check_id

ENTITIES = ("project", "topic", "batch", "generation")


def sees(identity: Identity, row: sqlite3.Row) -> bool:
    """Tell whether `identity` may see a row with the columns owner, visibility and team."""
    if identity.all_users or row["owner"] == identity.user:
        return True
    if row["visibility"] == "workspace":
        return True
    # SQL NULL and Python None alike: no team is not a team.
    return row["visibility"] == "team" and row["team"] is not None and row["team"] == identity.team


def owns(identity: Identity, row: sqlite3.Row) -> bool:
    """Tell whether `identity` may change the row."""
    return identity.all_users or bool(row["owner"] == identity.user)


def visible_row(source: Querying, identity: Identity, entity: str, id: object) -> sqlite3.Row:
    """Return the row of a project, topic, batch or generation that `identity` may see.

    All columns of the table, and besides: visibility (of the topic), hidden_at (when it or what it
    lies in went to the trash, or NULL).

    Raises
    ------
        NotFound: there is none, or it is not theirs to see.
    """
    row: sqlite3.Row | None = source.one(queries.sql(f"access.{entity}"), (check_id(entity, id),))
    if row is None or not sees(identity, row):
        raise NotFound(entity, str(id))
    return row


def own_row(
    source: Querying, identity: Identity, entity: str, id: object, *, live: bool = True
) -> sqlite3.Row:
    """Return the row as `visible_row` does, if `identity` may change it.

    Raises
    ------
        NotFound: there is none, or it is not theirs to see.
        NotAllowed: it is somebody else's, or (with `live`) in the trash.
    """
    row = visible_row(source, identity, entity, id)
    if not owns(identity, row):
        raise NotAllowed(
            f"This {entity} belongs to {row['owner']!r}. You can look at it, not change it."
        )
    if live and row["hidden_at"] is not None:
        raise NotAllowed(f"This {entity} is in the trash. Restore it first.")
    return row
