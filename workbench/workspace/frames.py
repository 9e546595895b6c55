"""Tables in and out: generations, ledger and SQL as DataFrames, and judgements back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.domain.arguments import check_flag, check_items, shown
from workbench.domain.money import from_micro
from workbench.domain.parameters import closest
from workbench.errors import InvalidRequest

if TYPE_CHECKING:
    import pandas as pd

    from workbench.domain.records import LedgerEntry, Spent

COLUMNS = (
    "batch_id",
    "topic_id",
    "topic",
    "project",
    "index",
    "operation",
    "status",
    "detail",
    "prompt",
    "prompt_sent",
    "negative_prompt",
    "provider",
    "model",
    "width",
    "height",
    "seed",
    "cost",
    "unit",
    "created_at",
    "started_at",
    "finished_at",
    "duration_s",
    "rating",
    "favourite",
    "tags",
    "note",
    "cached",
    "retry_of",
    "error_kind",
    "error",
    "asset_id",
    "path",
    "mime",
    "size_bytes",
)
JUDGED = ("rating", "favourite", "tags", "note")
_MOST_TAGS = 1_000  # before repeats are taken out
_TIMES = ("created_at", "started_at", "finished_at")
_WHOLE = ("index", "width", "height", "seed", "size_bytes", "rating")


def generations_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per generation, index ``generation_id``, columns `COLUMNS` and ``param.*``.

    Times are UTC timestamps, ``cost`` is a Decimal, ``tags`` a sorted list, whole numbers may be
    missing (Int64).
    """
    import pandas as pd

    records = [dict(row) for row in rows]
    index = pd.Index([record.pop("generation_id") for record in records], name="generation_id")
    extra = sorted({key for record in records for key in record if key not in COLUMNS})
    columns: dict[str, Any] = {}
    for name in (*COLUMNS, *extra):
        values = [record.get(name) for record in records]
        if name in _TIMES:
            columns[name] = pd.to_datetime(pd.Series(values, dtype="Int64"), unit="ms", utc=True)
            columns[name].index = index
        elif name in _WHOLE:
            columns[name] = pd.Series(_unsigned_safe(values), dtype="Int64", index=index)
        elif name in ("favourite", "cached"):
            columns[name] = pd.Series([bool(value) for value in values], dtype=bool, index=index)
        elif name == "duration_s":
            columns[name] = pd.Series(values, dtype="float64", index=index)
        elif name.startswith(("param.", "score.")):
            columns[name] = pd.Series(values, dtype=_dtype_of(values), index=index)
        else:
            columns[name] = pd.Series(values, dtype="object", index=index)
    return pd.DataFrame(columns, index=index)


def _dtype_of(values: list[Any]) -> str:
    """Return a type that keeps whole numbers whole although some rows have none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"


def _unsigned_safe(values: list[Any]) -> list[Any]:
    return [None if value is None else int(value) for value in values]


def by_generation(frame: object) -> pd.DataFrame:
    """Return the frame with generation ids as its index, or raise InvalidRequest."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InvalidRequest("df", f"must be a DataFrame, not {type(frame).__name__}.")
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidRequest("df", f"has the column {shown(twice)} twice; keep one of them.")
    if "generation_id" in frame.columns:
        frame = frame.set_index("generation_id")
    for id in frame.index:
        if not isinstance(id, str):
            raise InvalidRequest("df", f"its index must be generation ids, not {shown(id)}.")
    if frame.index.has_duplicates:
        raise InvalidRequest("df", "names a generation twice; keep one row for each.")
    return frame


def judgements_from_frame(
    frame: pd.DataFrame, current: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what differs from `current` (by generation id) in the judged columns of `frame`."""
    present = [name for name in JUDGED if name in frame.columns]
    if not present:
        known = [str(column) for column in frame.columns]
        near = [near for name in JUDGED if (near := closest(name, known))]
        hint = f" Is {near[0]!r} meant?" if near else ""
        raise InvalidRequest("df", f"has none of the columns {', '.join(JUDGED)}.{hint}")
    changes: dict[str, dict[str, Any]] = {}
    for id, row in zip(frame.index, frame[present].itertuples(index=False), strict=True):
        values = {name: _plain(name, value) for name, value in zip(present, row, strict=True)}
        before = current.get(id, {})
        changed = {
            name: value
            for name, value in values.items()
            if value is not None and before.get(name) != value
        }
        if id not in current:
            changes[id] = values  # unknown: the store names it and refuses all
        elif changed:
            changes[id] = changed
    return changes


def _plain(name: str, value: Any) -> Any:
    if _is_missing(value):
        return None
    if name == "tags":
        tags = check_items("tags", value, "texts", limit=_MOST_TAGS)
        for tag in tags:
            if not isinstance(tag, str):
                raise InvalidRequest("tags", f"must be a list of texts; {shown(tag)} is none.")
        return sorted(set(tags))
    if name == "rating":
        return _as_rating(value)
    if name == "favourite":
        return check_flag("favourite", value)
    if not isinstance(value, str):
        raise InvalidRequest("note", f"must be text, not {shown(value)}.")
    return value


def _is_missing(value: Any) -> bool:
    """Tell whether a cell says nothing: None, NaN, NaT or pandas' NA (which is not even equal)."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124 (NaN)


def _as_rating(value: Any) -> int:
    # A column with a missing cell holds floats: 4.0 is a rating, "4" and True are none.
    wrong = InvalidRequest("rating", f"must be a whole number from 0 to 5, not {shown(value)}.")
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise wrong
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if not number.is_integer() or not 0 <= number <= 5:
        raise wrong
    return int(number)


def ledger_frame(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """Return one row per booking, index ``transaction_id``; amounts are Decimals in the unit."""
    import pandas as pd

    rows = [
        {
            "transaction_id": entry.id,
            "at": pd.Timestamp(entry.created_at, unit="ms", tz="UTC"),
            "account": entry.account,
            "unit": entry.unit,
            "kind": entry.kind,
            "amount": from_micro(entry.amount_micro),
            "generation_id": entry.generation_id,
            "reason": entry.reason,
            "rate_version": entry.rate_version,
        }
        for entry in entries
    ]
    columns = ["transaction_id", "at", "account", "unit", "kind", "amount"]
    columns += ["generation_id", "reason", "rate_version"]
    return pd.DataFrame(rows, columns=columns).set_index("transaction_id")


def spend_frame(by: str, rows: Iterable[Spent]) -> pd.DataFrame:
    """Return one row per thing and unit, index `by`; amounts are Decimals in the unit."""
    import pandas as pd

    found = [
        {
            by: row.what,
            "unit": row.unit,
            "spent": from_micro(row.spent_micro),
            "images": row.images,
            "not_known": row.not_known,
        }
        for row in rows
    ]
    columns = [by, "unit", "spent", "images", "not_known"]
    return pd.DataFrame(found, columns=columns).set_index(by)


def sql_frame(columns: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return the result of a query as a DataFrame."""
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)


def to_json(value: object) -> str:
    """Return compact JSON for the command line."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
