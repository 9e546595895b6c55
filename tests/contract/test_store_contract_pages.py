"""Reading: pages by key, search, what others see, counts, tables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.store_world import (
    ADA,
    BOB,
    EVE,
    MISSING,
    OPERATOR,
    TurnableClock,
    asset,
    finish,
    make,
    pictures,
    submit,
)
from workbench.domain.records import Identity, Price
from workbench.domain.status import Status
from workbench.errors import InvalidRequest, NotFound
from workbench.ports import GenerationQuery, Selection, Store


def walk(store: Store, identity: Identity = ADA, **query: Any) -> list[str]:
    """Ids of all pages, one after the other."""
    found: list[str] = []
    cursor = None
    while True:
        page, cursor = store.generations(identity, GenerationQuery(**query, cursor=cursor))
        assert len(page) <= query.get("limit", 50)
        found += [g.id for g in page]
        if cursor is None:
            return found
        assert page, "a page with a next one has rows"


@pytest.mark.req("FEED-5")
def test_pages_repeat_nothing_and_skip_nothing_while_rows_arrive(store: Store) -> None:
    ids = [g.id for _ in range(5) for g in pictures(store, submit(store, n=3))]
    page, cursor = store.generations(ADA, GenerationQuery(limit=4))
    submit(store, n=5)
    found = [g.id for g in page]
    while cursor:
        page, cursor = store.generations(ADA, GenerationQuery(limit=4, cursor=cursor))
        found += [g.id for g in page]
    assert found == ids[::-1]
    assert walk(store, order="oldest", limit=7)[: len(ids)] == ids


@pytest.mark.req("FEED-5", "FEED-12")
def test_pages_keep_their_order_under_every_filter(store: Store) -> None:
    done = make(store, n=3, prompt="a red fox")
    broken = submit(store, n=2, prompt="a blue hare", model="painter:ink")
    finish(store, fail=True)
    waiting = submit(store, n=2, topic_id=done.topic_id, prompt="a red hare")
    gone = submit(store, n=1)
    store.cancel(ADA, Selection(batch_id=gone.id)).result()
    completed, failed, queued, cancelled = (
        [g.id for g in pictures(store, b)][::-1] for b in (done, broken, waiting, gone)
    )
    assert walk(store, limit=2) == cancelled + queued + failed + completed
    assert walk(store, limit=2, include_failed=False) == queued + completed
    assert walk(store, limit=2, statuses=(Status.FAILED,)) == failed
    assert walk(store, limit=1, statuses=(Status.QUEUED, Status.FAILED)) == queued + failed
    assert walk(store, limit=2, statuses=(Status.COMPLETED, Status.CANCELLED)) == (
        cancelled + completed
    )
    assert walk(store, statuses=(Status.QUEUED,), order="oldest", limit=1) == queued[::-1]
    assert walk(store, statuses=(Status.FAILED,), include_failed=False) == []
    assert walk(store, limit=2, topic_id=done.topic_id) == queued + completed
    assert walk(store, limit=2, batch_id=done.id) == completed
    assert walk(store, model="painter:ink") == failed
    assert walk(store, provider="painter", limit=3) == cancelled + queued + failed + completed
    assert walk(store, provider="nobody") == []
    assert walk(store, search="red", limit=1, topic_id=done.topic_id) == queued + completed
    assert walk(store, search="hare", limit=1, order="oldest") == failed[::-1] + queued[::-1]
    assert walk(store, search="hare", statuses=(Status.FAILED,)) == failed
    everything = cancelled + queued + failed + completed
    assert walk(store, OPERATOR, limit=3) == everything
    assert walk(store, OPERATOR, statuses=(Status.QUEUED,)) == queued
    assert walk(store, EVE) == []


@pytest.mark.req("FEED-12")
def test_search_takes_any_text_for_words(store: Store) -> None:
    fox = pictures(store, submit(store, prompt="Ein Füchslein über dem Fjord, 2 km"))[0].id
    other = pictures(store, submit(store, prompt="nothing of it"))[0].id
    for words in ("füchs", "FUCHS", "fjord fuch", "(fuchslein", "2 km", "über* 'dem"):
        assert walk(store, search=words) == [fox], words
    for odd in ('"', "*", "a AND", "NEAR(", "prompt:fox", "-", "^fox", "'; DROP TABLE batch"):
        assert walk(store, search=odd) == [], odd
    assert walk(store, search="  ") == [other, fox], "nothing asked is no filter"
    assert walk(store, search=None) == [other, fox]
    with pytest.raises(InvalidRequest, match="search"):
        walk(store, search="x" * 1_001)
    with pytest.raises(InvalidRequest, match="search"):
        walk(store, search="\ud83d")


@pytest.mark.req("FEED-12", "FEED-5")
def test_search_pages_go_on_within_a_batch_and_after_a_retry(store: Store) -> None:
    batches = [submit(store, n=3, prompt=f"fox number {i}") for i in range(4)]
    finish(store, fail=True)
    again = store.retry(ADA, pictures(store, batches[1])[0].id, Price()).result()
    expected: list[str] = []
    for batch in reversed(batches):
        history = store.batch_generations(ADA, batch.id, history=True)
        expected += [g.id for g in sorted(history, key=lambda g: -g.seq)]
    assert again.id in expected
    for limit in (1, 2, 5, 50):
        assert walk(store, search="fox", limit=limit) == expected
        assert walk(store, search="fox", limit=limit, order="oldest") == [
            id for batch in batches for id in sorted(expected) if id in _ids(store, batch)
        ]


def _ids(store: Store, batch: Any) -> set[str]:
    return {g.id for g in store.batch_generations(ADA, batch.id, history=True)}


@pytest.mark.req("TOP-5")
def test_own_and_shared_rows_come_in_one_order(store: Store) -> None:
    mine, theirs, secret, team = (submit(store, who, n=2) for who in (EVE, ADA, ADA, BOB))
    later = submit(store, EVE, n=2)
    store.update_topic(ADA, theirs.topic_id, visibility="workspace").result()
    store.update_topic(BOB, team.topic_id, visibility="team").result()
    ids = {
        name: [g.id for g in pictures(store, batch)][::-1]
        for name, batch in {"m": mine, "t": theirs, "s": secret, "b": team, "l": later}.items()
    }
    for limit in (1, 3, 50):
        assert walk(store, EVE, limit=limit) == ids["l"] + ids["t"] + ids["m"]
        assert walk(store, ADA, limit=limit) == ids["b"] + ids["s"] + ids["t"]
        assert walk(store, EVE, limit=limit, statuses=(Status.QUEUED,)) == (
            ids["l"] + ids["t"] + ids["m"]
        )
        assert walk(store, EVE, limit=limit, statuses=(Status.QUEUED, Status.FAILED)) == (
            ids["l"] + ids["t"] + ids["m"]
        )
        assert walk(store, EVE, limit=limit, search="fox") == ids["l"] + ids["t"] + ids["m"]
    assert {t.id for t in store.topics(EVE)} == {mine.topic_id, theirs.topic_id, later.topic_id}
    with pytest.raises(NotFound):
        store.batch(EVE, secret.id)
    with pytest.raises(NotFound):
        store.generation(EVE, ids["s"][0])
    with pytest.raises(NotFound):
        store.generations(EVE, GenerationQuery(topic_id=secret.topic_id))
    with pytest.raises(NotFound):
        store.batch_generations(EVE, team.id)
    store.update_topic(ADA, theirs.topic_id, visibility="private").result()
    assert walk(store, EVE) == ids["l"] + ids["m"]


@pytest.mark.req("TOP-5")
def test_nobody_without_a_team_is_in_the_team_of_nobody(store: Store) -> None:
    topic = store.create_topic(EVE, "Mine").result()
    with pytest.raises(InvalidRequest, match="no team"):
        store.update_topic(EVE, topic.id, visibility="team").result()


@pytest.mark.req("FEED-8")
def test_what_is_in_the_trash_does_not_show_and_breaks_no_order(store: Store) -> None:
    batches = [make(store, n=2) for _ in range(4)]
    store.trash(ADA, "batch", batches[1].id).result()
    store.trash(ADA, "topic", batches[2].topic_id).result()
    first = pictures(store, batches[0])[0]
    store.trash(ADA, "generation", first.id).result()
    expected = [g.id for b in (batches[3], batches[0]) for g in pictures(store, b)[::-1]]
    assert walk(store, limit=1) == expected
    assert walk(store, search="fox", limit=1) == expected
    assert walk(store, OPERATOR, limit=1) == expected
    assert walk(store, statuses=(Status.COMPLETED,)) == expected
    assert walk(store, topic_id=batches[2].topic_id) == []
    assert store.batches(ADA, batches[1].topic_id) == ([], None)
    assert store.generation(ADA, first.id).deleted_at is not None
    hidden = pictures(store, batches[2])[0]
    assert hidden.deleted_at == store.topic(ADA, batches[2].topic_id).deleted_at


BAD_PAGES = [
    {"limit": 0},
    {"limit": 501},
    {"limit": True},
    {"limit": "5"},
    {"cursor": "x"},
    {"cursor": "g1.o.5"},
    {"cursor": "s1.n.5.5"},
    {"cursor": "g1.n." + "9" * 40},
    {"cursor": 5},
    {"cursor": "\ud83d"},
    {"order": "random"},
    {"statuses": ("odd",)},
    {"provider": "a\0b"},
    {"model": 3},
    {"search": 3},
    {"topic_id": 3},
    {"batch_id": b"x"},
]


@pytest.mark.parametrize("query", BAD_PAGES, ids=str)
def test_a_page_that_makes_no_sense_is_refused(store: Store, query: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        store.generations(ADA, GenerationQuery(**query))


@pytest.mark.parametrize("id", ["", "x", MISSING, "\ud83d", "' OR 1=1", "0" * 10_000])
def test_an_id_that_is_nobodys_is_not_found(store: Store, id: str) -> None:
    readers: list[Any] = [
        store.project,
        store.topic,
        store.batch,
        store.generation,
        store.batch_generations,
    ]
    for read in readers:
        with pytest.raises(NotFound) as missing:
            read(ADA, id)
        str(missing.value).encode()
    with pytest.raises(NotFound):
        store.generations(ADA, GenerationQuery(topic_id=id))
    with pytest.raises(NotFound):
        store.asset(id)
    with pytest.raises(NotFound):
        store.trash(ADA, "topic", id).result()
    with pytest.raises(NotFound):
        store.update_topic(ADA, id, title="x").result()


@pytest.mark.req("FEED-5")
def test_batches_of_a_topic_come_newest_first_by_cursor(store: Store) -> None:
    topic = store.create_topic(ADA, "Mine").result()
    ids = [submit(store, topic_id=topic.id).id for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        page, cursor = store.batches(ADA, topic.id, limit=2, cursor=cursor)
        found += [b.id for b in page]
        if cursor is None:
            break
    assert found == ids[::-1]
    with pytest.raises(InvalidRequest):
        store.batches(ADA, topic.id, cursor="g1.n.3")


@pytest.mark.req("FEED-10", "STA-5")
def test_counts_are_of_the_latest_of_each_index(store: Store) -> None:
    batch = submit(store, n=3)
    assert store.batch_counts(batch.id) == {Status.QUEUED: 3}
    assert store.batch_open(batch.id) == 3
    finish(store, fail=True)
    assert store.batch_counts(batch.id) == {Status.FAILED: 3}
    old = pictures(store, batch)[1]
    new = store.retry(ADA, old.id, Price()).result()
    assert store.batch_counts(batch.id) == {Status.FAILED: 2, Status.QUEUED: 1}
    assert store.batch_open(batch.id) == 1
    assert [g.id for g in pictures(store, batch)][1] == new.id
    assert len(store.batch_generations(ADA, batch.id, history=True)) == 4
    finish(store)
    assert store.topic_counts(ADA, [batch.topic_id]) == {batch.topic_id: 1}
    assert store.topic_counts(EVE, [batch.topic_id]) == {batch.topic_id: 0}
    store.trash(ADA, "generation", new.id).result()
    assert store.batch_counts(batch.id) == {Status.FAILED: 2}, "none comes in its place"
    assert store.batch_counts(MISSING) == {}
    assert store.batch_open(MISSING) == 0


@pytest.mark.req("TOP-1")
def test_topics_come_with_the_newest_activity_first(store: Store, clock: TurnableClock) -> None:
    a = store.create_topic(ADA, "a").result()
    clock.ms += 1
    b = store.create_topic(ADA, "b").result()
    clock.ms += 1
    submit(store, topic_id=a.id)
    assert [t.title for t in store.topics(ADA)] == ["a", "b"]
    clock.ms += 1
    store.say(ADA, b.id, "hello").result()
    assert [t.title for t in store.topics(ADA)] == ["b", "a"]
    assert [t.title for t in store.topics(ADA, limit=1)] == ["b"]


@pytest.mark.req("TOP-7")
def test_projects_group_topics_that_move_between_them(store: Store) -> None:
    one = store.create_project(ADA, "  One\n").result()
    two = store.create_project(ADA, "Two").result()
    topic = store.create_topic(ADA, "t", project_id=one.id).result()
    assert one.title == "One"
    assert [t.id for t in store.topics(ADA, project_id=one.id)] == [topic.id]
    store.update_topic(ADA, topic.id, project_id=two.id).result()
    assert store.topics(ADA, project_id=one.id) == []
    assert store.topic(ADA, topic.id).project_id == two.id
    assert store.update_project(ADA, one.id, title="Eins").result().title == "Eins"
    theirs = store.create_project(EVE, "Theirs").result()
    with pytest.raises(NotFound):
        store.update_topic(ADA, topic.id, project_id=theirs.id).result()
    with pytest.raises(NotFound):
        store.update_project(ADA, theirs.id, title="x").result()
    assert [p.title for p in store.projects(ADA)] == ["Eins", "Two"]


@pytest.mark.parametrize("title", ["", "  ", "\0\x01", "x" * 301, 5, None.__class__])
def test_a_title_must_be_one(store: Store, title: Any) -> None:
    with pytest.raises(InvalidRequest, match="title"):
        store.create_project(ADA, title).result()
    topic = store.create_topic(ADA, "t").result()
    with pytest.raises(InvalidRequest, match="title"):
        store.update_topic(ADA, topic.id, title=title).result()


def test_control_characters_and_half_characters_leave_a_title(store: Store) -> None:
    assert store.create_topic(ADA, "a\0b\ud83dc\td").result().title == "abc d"


@pytest.mark.req("RES-1")
def test_the_table_has_a_row_for_every_image_with_the_viewers_judgement(store: Store) -> None:
    batch = make(store, n=2, params={"steps": 5})
    broken = submit(store, topic_id=batch.topic_id)
    finish(store, fail=True)
    first = pictures(store, batch)[0]
    store.update_topic(ADA, batch.topic_id, visibility="workspace").result()
    store.judge(ADA, {first.id: {"rating": 4, "tags": {"b", "a"}}}).result()
    store.judge(EVE, {first.id: {"rating": 1}}).result()
    table = list(store.frame_rows(ADA, GenerationQuery(order="oldest")))
    assert [row["generation_id"] for row in table] == [
        g.id for b in (batch, broken) for g in pictures(store, b)
    ]
    row = table[0]
    assert (row["rating"], row["tags"], row["favourite"], row["note"]) == (4, ["a", "b"], False, "")
    assert (row["params"], row["seed"], row["status"]) == ({"steps": 5}, 7, "completed")
    assert (row["mime"], row["size_bytes"]) == ("image/png", 1234)
    assert row["topic"] == store.topic(ADA, batch.topic_id).title
    assert row["project"] == "Untitled project"
    assert (table[2]["error_kind"], table[2]["error"]) == ("transient", "the brush broke")
    theirs = {r["generation_id"]: r for r in store.frame_rows(EVE)}
    assert theirs[first.id]["rating"] == 1
    assert theirs[first.id]["project"] is None, "the project is not shared"
    assert list(store.frame_rows(ADA, GenerationQuery(statuses=(Status.QUEUED,)))) == []


@pytest.mark.req("STA-3")
def test_an_asset_is_seen_by_who_sees_a_picture_of_it(store: Store) -> None:
    batch = make(store, n=1)
    (picture,) = pictures(store, batch)
    assert picture.asset_id is not None
    assert store.asset_visible(ADA, picture.asset_id)
    assert not store.asset_visible(EVE, picture.asset_id)
    assert store.asset_generations(EVE, [picture.asset_id]) == []
    ((_, role, generation),) = store.asset_generations(ADA, [picture.asset_id])
    assert (role, generation.id) == ("result", picture.id)
    store.record_asset(asset("lonely", source="upload")).result()
    assert not store.asset_visible(ADA, asset("lonely").id)
    assert store.known_assets([picture.asset_id, asset("x").id, "odd"]) == {picture.asset_id}
    assert {a.id for a in store.iter_assets()} == {picture.asset_id, asset("lonely").id}


@pytest.mark.req("TOP-1", "TOP-5")
def test_pages_of_topics_count_and_give_what_one_may_see_even_of_one_moment(store: Store) -> None:
    mine = [store.create_topic(ADA, f"{n}").result().id for n in range(5)]
    shared = store.create_topic(EVE, "shared").result().id
    store.update_topic(EVE, shared, visibility="workspace").result()
    store.create_topic(EVE, "her own").result()
    store.trash(ADA, "topic", mine.pop(2)).result()
    for identity, seen in ((ADA, 5), (EVE, 2), (BOB, 1), (OPERATOR, 6)):
        listed: list[str] = []
        cursor = None
        while len(listed) < seen:  # all have the same time: the clock stands still
            page = store.topic_page(identity, limit=2, cursor=cursor)
            assert (page.total, len(page.topics) > 0) == (seen, True)
            listed += [view.record.id for view in page.topics]
            cursor = page.older
        assert cursor is None
        assert listed == [record.id for record in store.topics(identity)]
    assert [id for id in listed if id in mine] == mine[::-1]
