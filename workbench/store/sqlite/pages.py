"""Pages of generations and batches: by key, never by offset, at any depth.

A page is found in two steps within one look at the store: the seqs that belong on it (each branch
walks one index and stops), then the full rows. A cursor is opaque text and fits only the order and
kind of query that gave it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.domain.records import BatchRecord, GenerationRecord, Identity
from workbench.domain.status import ACTIVE, Status
from workbench.errors import InvalidRequest
from workbench.ports import GenerationQuery
from workbench.store.sqlite import access, queries, rows, validate

if TYPE_CHECKING:
    from workbench.store.sqlite.readers import Reader

_END = 2**62  # beyond every seq
_CURSOR = re.compile(r"([gsbt])1\.([no])\.([0-9]{1,18})(?:\.([0-9]{1,18}))?")
_WORD = re.compile(r"\w+")
_MAX_WORDS = 32
_SEARCH_BATCHES = 16  # looked up at once, at first; most pages need no more
_WITHOUT_IMAGE = (Status.FAILED, Status.CANCELLED)


def generations(
    reader: Reader, identity: Identity, query: GenerationQuery
) -> tuple[list[GenerationRecord], str | None]:
    """Return a page of generations that `identity` may see, and the cursor of the next page.

    Raises
    ------
        InvalidRequest: limit, cursor, order or a filter is wrong.
        NotFound: the topic or batch asked for is not there or not to be seen.
    """
    limit = validate.check_limit(query.limit)
    seqs, cursor = page_seqs(reader, identity, query, query.cursor, limit)
    return records(reader, seqs), cursor


def records(reader: Reader, seqs: list[int]) -> list[GenerationRecord]:
    """Return the generations with these seqs, in their order."""
    if not seqs:
        return []
    found = {
        row["seq"]: row
        for row in reader.all(
            queries.sql("generations.select") + queries.sql("pages.by_seq"), (rows.to_json(seqs),)
        )
    }
    return [rows.generation_record(found[seq]) for seq in seqs if seq in found]


def page_seqs(
    reader: Reader, identity: Identity, query: GenerationQuery, cursor: str | None, limit: int
) -> tuple[list[int], str | None]:
    """Return the seqs on a page of `limit` and the next cursor (None: this was the last)."""
    order = validate.check_choice("order", query.order, ("newest", "oldest"))
    match = None if query.search is None else match_expression(query.search)
    kind = "g" if match is None else "s"
    at = parse_cursor(cursor, kind, order)
    values: dict[str, Any] = {
        "user": identity.user,
        "team": identity.team,
        "all": int(identity.all_users),
        "limit": limit + 1,  # one more tells whether there is a next page
    }
    statuses = _statuses(query)
    filters = _filters(query, statuses, values)
    if not _open_to(reader, identity, query):
        return [], None
    if match is not None:
        values["match"] = match
        found = _search(reader, values, filters, order, at)
    else:
        start = _END if order == "newest" else 0
        values["seq"] = start if at is None else at[0]
        found = [(0, seq) for seq in _merged(reader, query, statuses, filters, values, order)]
    more, found = len(found) > limit, found[:limit]
    next_cursor = None
    if more:
        last = found[-1]
        keys = last[1:] if kind == "g" else last
        next_cursor = format_cursor(kind, order, *keys)
    return [seq for _, seq in found], next_cursor


def format_cursor(kind: str, order: str, *keys: int) -> str:
    """Return the text of a cursor behind the row with `keys`."""
    return ".".join((f"{kind}1", order[0], *map(str, keys)))


def parse_cursor(cursor: object, kind: str, order: str) -> tuple[int, ...] | None:
    """Return the keys in `cursor`, None for None.

    Raises
    ------
        InvalidRequest: it is no cursor, or one of another kind or order.
    """
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    keys = () if match is None else tuple(int(key) for key in match.groups()[2:] if key is not None)
    if match is None or (match[1], match[2]) != (kind, order[0]) or len(keys) != 1 + (kind in "st"):
        raise InvalidRequest("cursor", "is not a cursor of this query; begin without one.")
    return keys


def match_expression(text: object) -> str | None:
    """Return an FTS5 expression for what a person typed, None for nothing to look for.

    Every word must occur, as the beginning of a word; a single letter only as a word, since the
    list of everything that begins with it is long and says nothing. Whatever is no word parts
    words, so that no text is a syntax error.

    >>> match_expression('red fo"x (a')
    '"red"* "fo"* "x" "a"'
    """
    typed = validate.check_text("search", text, limit=1_000)
    words = [word for word in _WORD.findall(typed.replace("_", " ")) if word][:_MAX_WORDS]
    if not words:
        return None if not typed.strip() else '""'
    return " ".join(f'"{word}"*' if len(word) > 1 else f'"{word}"' for word in words)


def _statuses(query: GenerationQuery) -> frozenset[Status]:
    """Return the statuses asked for; all six if none are named."""
    try:
        asked = frozenset(Status(status) for status in query.statuses) or frozenset(Status)
    except (TypeError, ValueError):
        known = ", ".join(Status)
        raise InvalidRequest("status", f"must be of {known}.") from None
    return asked if query.include_failed else asked - frozenset(_WITHOUT_IMAGE)


def _filters(
    query: GenerationQuery, statuses: frozenset[Status], values: dict[str, Any]
) -> list[str]:
    """Return further SQL conditions on `g`; binds what they need in `values`."""
    filters = []
    if len(statuses) < len(Status):
        names = ", ".join(f"'{status.value}'" for status in sorted(statuses))
        filters.append(f"g.status IN ({names})")
    for name in ("provider", "model"):
        wanted = getattr(query, name)
        if wanted is not None:
            values[name] = validate.check_text(name, wanted, limit=validate.MAX_NAME_CHARACTERS)
            filters.append(f"g.{name} = :{name}")
    if query.topic_id is not None:
        values["topic"] = validate.check_id("topic", query.topic_id)
        filters.append("g.topic_id = :topic")
    if query.batch_id is not None:
        # Not :batch, which is the batch of a search's cursor.
        values["batch_id"] = validate.check_id("batch", query.batch_id)
        filters.append("g.batch_id = :batch_id")
    return filters


def _open_to(reader: Reader, identity: Identity, query: GenerationQuery) -> bool:
    """Check the topic and batch asked for; False if one is in the trash (an empty page)."""
    for entity, id in (("topic", query.topic_id), ("batch", query.batch_id)):
        if id is not None:
            row = access.visible_row(reader, identity, entity, id)
            if row["hidden_at"] is not None:
                return False
    return True


def _merged(  # noqa: PLR0917 - private to the page
    reader: Reader,
    query: GenerationQuery,
    statuses: frozenset[Status],
    filters: list[str],
    values: dict[str, Any],
    order: str,
) -> list[int]:
    if not statuses:
        return []
    names = list(_branches(reader, query, statuses, values))
    compare, direction = ("<", "DESC") if order == "newest" else (">", "ASC")
    branches = []
    for name, status in names:
        kept = filters if status is None else [f for f in filters if "g.status IN" not in f]
        text = "".join(f" AND {condition}" for condition in kept)
        if name == "shared":
            text = text.replace("g.", "x.")
        branch = queries.sql(f"pages.{name}")
        branch = branch.replace("{compare}", compare).replace("{order}", direction)
        branch = branch.replace("{filters}", text).replace("{status}", status or "")
        branches.append(f"SELECT seq FROM ({branch})")  # noqa: S608 - filled in from constants
    # UNION: active ones of shared topics may come from two branches.
    merged = " UNION ".join(branches)
    sql = f"{merged} ORDER BY seq {direction} LIMIT :limit"
    return [row[0] for row in reader.all(sql, values)]


def _branches(
    reader: Reader, query: GenerationQuery, statuses: frozenset[Status], values: dict[str, Any]
) -> Iterator[tuple[str, str | None]]:
    """Name the branches whose union is the page, with the one status of each (None: by filter)."""
    if query.batch_id is not None:
        values["batch"] = query.batch_id
        yield "of_batch", None
        return
    if query.topic_id is not None:
        yield "topic", None
        return
    everybody = bool(values["all"])
    if statuses <= ACTIVE:
        yield from (("active", status.value) for status in sorted(statuses))
        return
    if everybody:
        yield "everybody", None
        return
    if Status.COMPLETED in statuses:
        yield "own", None  # most rows are completed: a walk over all of one's own hits soon
    else:
        for status in sorted(statuses):
            name = "active" if status in ACTIVE else "own_without_image"
            yield name, status.value
    shared = [row[0] for row in reader.all(queries.sql("pages.shared_topics"), values)]
    if shared:
        values["shared"] = rows.to_json(shared)
        yield "shared", None


def _search(
    reader: Reader,
    values: dict[str, Any],
    filters: list[str],
    order: str,
    at: tuple[int, ...] | None,
) -> list[tuple[int, int]]:
    """Return (batch seq, seq) of what the words find, batch after batch in the page's order."""
    newest = order == "newest"
    compare, direction = ("<", "DESC") if newest else (">", "ASC")
    outside = _END if newest else 0
    batch, seq = (outside, outside) if at is None else at
    text = "".join(f" AND {condition}" for condition in filters)
    sql = queries.sql("pages.found").replace("{compare}", compare).replace("{filters}", text)
    sql = sql.replace("{order}", direction)
    limit = values["limit"]
    found: list[tuple[int, int]] = []
    for chunk in _found_batches(reader, values["match"], batch, compare, direction):
        parameters = {
            **values,
            "batches": rows.to_json(chunk),
            "batch": batch,
            "seq": seq,
            "limit": limit - len(found),
        }
        found += [(row[0], row[1]) for row in reader.all(sql, parameters)]
        if len(found) >= limit:
            break
    return found


def _found_batches(
    reader: Reader, match: str, batch: int, compare: str, direction: str
) -> Iterator[list[int]]:
    """Yield the seqs of matching batches in growing chunks, from the cursor's batch on."""
    # The cursor's batch itself may have more rows: begin with it, by comparing with its neighbour.
    start = batch + 1 if compare == "<" else batch - 1
    sql = queries.sql("pages.found_batches")
    sql = sql.replace("{compare}", compare).replace("{order}", direction)
    # Row by row: each further match costs, and a page seldom needs many.
    rows_found = reader.execute(sql, {"match": match, "batch": start})
    chunk: list[int] = []
    size = _SEARCH_BATCHES
    for row in rows_found:
        chunk.append(row[0])
        if len(chunk) == size:
            yield chunk
            chunk, size = [], min(2 * size, 1_000)
    if chunk:
        yield chunk


def batches(
    reader: Reader, identity: Identity, topic_id: str, *, limit: int = 20, cursor: str | None = None
) -> tuple[list[BatchRecord], str | None]:
    """Return a page of a topic's live batches, newest first, and the cursor of the next page."""
    validate.check_limit(limit)
    at = parse_cursor(cursor, "b", "newest")
    topic = access.visible_row(reader, identity, "topic", topic_id)
    if topic["hidden_at"] is not None:
        return [], None
    parameters = {"topic": topic_id, "seq": _END if at is None else at[0], "limit": limit + 1}
    found = reader.all(queries.sql("pages.batches"), parameters)
    more, found = len(found) > limit, found[:limit]
    cursor = format_cursor("b", "newest", found[-1]["seq"]) if more else None
    return [rows.batch_record(row) for row in found], cursor
