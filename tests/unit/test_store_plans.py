"""Query plans of the hot reads: which index each takes, and that none of them sorts or scans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.store_world import ADA, EVE, OPERATOR, make, submit
from workbench.domain.records import Identity
from workbench.domain.status import Status
from workbench.ports import GenerationQuery, Store
from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.store import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "w")
    yield store
    store.close()


def test_the_sqlite_store_is_a_store(store: SqliteStore) -> None:
    typed: Store = store  # mypy compares every signature here
    names = [name for name in vars(Store) if not name.startswith("_")]
    missing = [name for name in names if not callable(getattr(typed, name, None))]
    assert missing == []
    assert typed.workspace_id
    assert typed.location.is_dir()


def plans(store: SqliteStore, read: Callable[[], object], monkeypatch: Any) -> str:
    """The plans of all statements that `read` runs, one step a line."""
    from workbench.store.sqlite.readers import Reader

    lines: list[str] = []
    execute = Reader.execute

    def explained(self: Reader, sql: str, parameters: Any = ()) -> Any:
        rows = execute(self, "EXPLAIN QUERY PLAN " + sql, parameters).fetchall()
        lines.extend(row["detail"] for row in rows)
        return execute(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "execute", explained)
        read()
    return "\n".join(lines)


PAGES: list[tuple[str, Identity, dict[str, Any], str]] = [
    ("own", ADA, {}, r"g USING INDEX generation_owner \(owner=\? AND seq<\?\)"),
    ("oldest", ADA, {"order": "oldest"}, r"g USING INDEX generation_owner \(owner=\? AND seq>\?\)"),
    ("no failed", ADA, {"include_failed": False}, r"generation_owner \(owner=\? AND seq<\?\)"),
    ("operator", OPERATOR, {}, r"g USING INTEGER PRIMARY KEY \(rowid<\?\)"),
    (
        "failed",
        ADA,
        {"statuses": (Status.FAILED,)},
        r"generation_without_image \(owner=\? AND status=\? AND seq<\?\)",
    ),
    (
        "active",
        ADA,
        {"statuses": (Status.QUEUED,)},
        r"generation_status \(status=\? AND seq<\?\)",
    ),
    ("shared", EVE, {}, r"x USING INDEX generation_topic \(topic_id=\? AND seq<\?\)"),
]


@pytest.mark.req("DAT-1", "FEED-5")
@pytest.mark.parametrize(
    ("identity", "query", "expected"), [p[1:] for p in PAGES], ids=[p[0] for p in PAGES]
)
def test_a_page_walks_an_index_in_the_order_of_the_page(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    identity: Identity,
    query: dict[str, Any],
    expected: str,
) -> None:
    batch = make(store)
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    plan = plans(store, lambda: store.generations(identity, GenerationQuery(**query)), monkeypatch)
    assert re.search(expected, plan), plan
    assert not re.search(
        r"^SCAN (g|b|t|p|x|generation|batch|topic|project)\b", plan, re.MULTILINE
    ), plan
    inner = plan.partition("CORRELATED LIST SUBQUERY")[2]
    assert "TEMP B-TREE" not in inner.partition("USING INDEX sqlite_autoindex_batch")[0], plan


@pytest.mark.req("DAT-1")
def test_a_page_of_a_topic_walks_its_index(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make(store)
    query = GenerationQuery(topic_id=batch.topic_id)
    plan = plans(store, lambda: store.generations(ADA, query), monkeypatch)
    assert re.search(r"generation_topic \(topic_id=\? AND seq<\?\)", plan), plan


@pytest.mark.req("FEED-12", "DAT-1")
def test_a_search_takes_the_words_in_the_order_of_the_page(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store)
    plan = plans(store, lambda: store.generations(ADA, GenerationQuery(search="fox")), monkeypatch)
    assert re.search(r"SCAN prompt_search VIRTUAL TABLE INDEX \S*M", plan), plan
    words = plan.partition("prompt_search")[2].partition("SCAN found")[0]
    assert "TEMP B-TREE" not in words, "FTS5 gives them newest first by itself"
    assert "g USING INDEX generation_batch (batch_id=?)" in plan


@pytest.mark.req("LIVE-1", "DAT-1")
def test_the_feed_is_read_by_its_key(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    since = store.cursor()
    submit(store)
    plan = plans(store, lambda: store.changes(EVE, since), monkeypatch)
    assert re.search(r"SEARCH c USING INTEGER PRIMARY KEY \(rowid>\? AND rowid<\?\)", plan)
    assert "SCAN c" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.req("DAT-1")
def test_what_is_asked_at_each_wake_is_one_indexed_look(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = submit(store, n=3)
    for read in (store.batch_open, store.batch_counts):
        plan = plans(store, lambda read=read: read(batch.id), monkeypatch)  # type: ignore[misc]
        assert "generation USING INDEX generation_batch (batch_id=?)" in plan, plan
        assert "SCAN generation" not in plan


@pytest.mark.req("DAT-1", "STA-3")
@pytest.mark.parametrize(
    "asked",
    [
        "topics",
        "counts",
        "assets",
        "bookings",
        "messages",
        "batches",
        "generation views",
        "batch views",
        "topic views",
        "topic page",
        "pictures",
        "pictures in the trash",
        "feed",
        "feed upwards",
        "of batches",
        "active",
        "walk",
        "walk back",
        "deletion",
        "active count",
        "prompts",
        "durations",
        "balances",
        "own pictures",
        "own size",
    ],
)
def test_no_list_scans_a_table(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    batch = make(store)
    store.grant(ADA, "ada", "token", 5, "x").result()
    (picture,) = store.batch_generations(ADA, batch.id)
    assert picture.asset_id is not None
    reads: dict[str, Callable[[], object]] = {
        "topics": lambda: store.topics(EVE),
        "counts": lambda: store.topic_counts(ADA, [batch.topic_id]),
        "assets": lambda: store.asset_generations(ADA, [str(picture.asset_id)]),
        "bookings": lambda: list(store.ledger(ADA)),
        "messages": lambda: store.messages(ADA, batch.topic_id),
        "batches": lambda: store.batches(ADA, batch.topic_id),
        "generation views": lambda: store.generation_views(ADA, [picture.id]),
        "batch views": lambda: store.batch_views(ADA, [batch.id]),
        "topic views": lambda: store.topic_views(ADA, [batch.topic_id]),
        "topic page": lambda: store.topic_page(ADA, cursor="t1.n.9.9"),
        "pictures in the trash": lambda: store.trashed_pictures(ADA, [picture.id]),
        "pictures": lambda: store.pictures(ADA, [picture.id]),
        "feed": lambda: store.batch_page(ADA, batch.topic_id, cursor="b1.n.9"),
        "feed upwards": lambda: store.batch_page(
            ADA, batch.topic_id, cursor="b1.o.0", direction="newer"
        ),
        "of batches": lambda: store.batches_generations(ADA, [batch.id]),
        "active": lambda: store.active_batches(ADA, batch.topic_id),
        "walk": lambda: store.walk(ADA, picture.id, direction="next", limit=9),
        "walk back": lambda: store.walk(ADA, picture.id, direction="previous", limit=9),
        "deletion": lambda: store.deletion(ADA, batch.topic_id),
        "active count": lambda: store.active_count(ADA, batch.topic_id),
        "prompts": lambda: store.prompts(ADA),
        "durations": lambda: store.durations(ADA, "painter:oil"),
        "balances": lambda: store.balance_views(ADA),
        "own pictures": lambda: store.own_pictures(ADA),
        "own size": lambda: store.own_size(ADA),
    }
    plan = plans(store, reads[asked], monkeypatch)
    tables = "g|b|t|p|r|s|i|generation|batch|topic|project|asset|input|ledger|message"
    assert not re.search(rf"^SCAN ({tables})\b", plan, re.MULTILINE), plan


@pytest.mark.req("LBX-1", "FEED-5")
@pytest.mark.parametrize("direction", ["next", "previous", "first", "last"])
def test_a_walk_and_a_page_sort_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    batch = make(store)
    (picture,) = store.batch_generations(ADA, batch.id)
    plan = plans(
        store, lambda: store.walk(ADA, picture.id, direction=direction, limit=9), monkeypatch
    )
    assert re.search(r"b USING INDEX batch_topic \(topic_id=\? AND seq[<>]\?\)", plan), plan
    assert "TEMP B-TREE" not in plan
    plan = plans(store, lambda: store.batch_page(ADA, batch.topic_id), monkeypatch)
    assert re.search(r"batch USING INDEX batch_topic \(topic_id=\? AND seq<\?\)", plan), plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.req("TOP-1")
def test_the_number_of_pictures_is_looked_up_not_counted(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make(store)
    plan = plans(store, lambda: store.topic_counts(ADA, [batch.topic_id]), monkeypatch)
    assert "generation" not in plan
    assert " g " not in plan


@pytest.mark.req("FEED-5")
def test_own_pictures_come_in_the_order_of_their_index(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store)
    plan = plans(store, lambda: store.own_pictures(ADA), monkeypatch)
    assert re.search(r"g USING INDEX generation_owner \(owner=\? AND seq>\?\)", plan), plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.req("TOK-4")
def test_what_visitors_made_is_counted_in_an_index_of_their_own(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store)
    plan = plans(store, lambda: store.images_made("visitor-1", 0), monkeypatch)
    assert re.search(
        r"INDEX generation_visitor \(status=\? AND owner=\? AND created_at>\?\)", plan
    ), plan
    with store.database.reading() as reader:
        for name, expected in (("unfinished", r"status=\? AND owner=\?"), ("queue", r"status=\?")):
            found = reader.all("EXPLAIN QUERY PLAN " + sql(f"visitors.{name}"), {"user": "x"})
            steps = "\n".join(row["detail"] for row in found)
            assert re.search(rf"INDEX generation_visitor \({expected}", steps), steps


@pytest.mark.req("FEED-10")
def test_a_place_in_the_queue_is_found_without_reading_the_queue(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for identity in (ADA, EVE, ADA):
        submit(store, identity)
    store.claim("r1", lanes={"painter": 1}, limit=1).result()
    plan = plans(store, lambda: store.ahead("ada"), monkeypatch)
    walked = set(re.findall(r"^SCAN (.*)", plan, re.MULTILINE))
    # What runs is in an index of its own; lists, and what the recursion makes, are no tables.
    assert walked <= {
        "job USING INDEX job_running",
        "wanted VIRTUAL TABLE INDEX 1:",
        "lanes",
        "waiting",
    }, plan
    assert "INDEX job_claim (lane=? AND owner=?)" in plan
    assert "INDEX generation_job (job_id=?)" in plan
