"""Visitors of one app: each has his own pictures, all of them, and nobody else's.

Some come with a browser, the others as `Wire`s, which load the page as well and then say what they
like. What is so is read from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.bench_page import WIDE
from tests.browser.lab_world import eventually
from tests.browser.voila_wire import Wire, token_of
from tests.browser.voila_world import AppServer, VoilaPage
from workbench.workspace.identity import user_of_token

A_DAY, AT_ONCE = 9, 4
# Long: servers of their own, ten visitors.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LIMITS = f"[visitors]\nimages_per_day = {A_DAY}\nunfinished = {AT_ONCE}\n"
# 1.2 s a picture; who asks for more steps and time waits for 36 s, in which a page can come back.
NOTEBOOK = """import workbench as wb
bench = wb.Workbench(simple=True, height=0)
bench.config.update(n=1, width=64, height=64, params={"delay_ms": 300, "steps": 4})
bench"""
TABLES = ("project", "topic", "batch", "generation", "judgement")
Join = Callable[[VoilaPage], Wire]
PICTURE = (b"RIFF", b"\x89PNG", b"\xff\xd8\xff")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app of these tests, with limits that can be reached."""
    base = tmp_path_factory.mktemp("visitors")
    limits = base / "limits.toml"
    limits.write_text(LIMITS)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    nbformat.write(book, base / "page.ipynb")
    options = ["--notebook", base / "page.ipynb", "--config", limits]
    app = AppServer(base / "app", options=options).start()
    yield app
    app.stop()


def _visitor(browser: Browser, house: AppServer) -> Iterator[VoilaPage]:
    page = browser.new_context(viewport=WIDE).new_page()
    page.set_default_timeout(30_000)
    visitor = VoilaPage(page, house).open()
    yield visitor
    assert visitor.console.surprises() == []
    visitor.context.close()


@pytest.fixture(scope="module")
def ada(browser: Browser, house: AppServer) -> Iterator[VoilaPage]:
    yield from _visitor(browser, house)


@pytest.fixture(scope="module")
def bob(browser: Browser, house: AppServer) -> Iterator[VoilaPage]:
    yield from _visitor(browser, house)


@pytest.fixture(scope="module")
def cleo(browser: Browser, house: AppServer) -> Iterator[VoilaPage]:
    yield from _visitor(browser, house)


@pytest.fixture
def beside() -> Iterator[Join]:
    """Joins the page of a visitor: `beside(ada)`."""
    made: list[Wire] = []

    def join(visitor: VoilaPage) -> Wire:
        made.append(Wire.beside(visitor))
        return made[-1]

    yield join
    for wire in made:
        wire.close()


def user_of(visitor: VoilaPage) -> str:
    return user_of_token(token_of(visitor))


def rows(house: AppServer, user: str) -> dict[str, Any]:
    """All that somebody has in the store."""
    with house.open() as ws:
        found = {name: ws.sql(f"SELECT * FROM {name} WHERE owner = ?", (user,)) for name in TABLES}
        return {name: table.astype(str).to_dict("records") for name, table in found.items()}


def pictures(house: AppServer, user: str) -> list[tuple[str, str]]:
    """Id and status of each picture that somebody asked for, the oldest first."""
    made = sorted(rows(house, user)["generation"], key=lambda row: row["id"])
    return [(row["id"], row["status"]) for row in made]


def wait_completed(house: AppServer, user: str, count: int) -> list[str]:
    made = eventually(
        lambda: pictures(house, user),
        lambda now: [status for _, status in now] == ["completed"] * count,
        within_s=150,
    )
    return [id for id, _ in made]


def submit(wire: Wire, prompt: str, **more: Any) -> list[str]:
    """Ask for pictures; returns their ids."""
    wanted = {"client_key": prompt, "n": 1, "width": 64, "height": 64, **more}
    made = wire.ask("submit", prompt=prompt, **wanted)
    return [row["id"] for row in made["generations"]]


@pytest.mark.req("TOP-5")
def test_a_visitor_gets_nothing_of_anothers_whatever_the_page_asks_for(
    house: AppServer, ada: VoilaPage, bob: VoilaPage, beside: Join
) -> None:
    own = beside(ada)
    before = len(pictures(house, user_of(ada)))
    submit(own, "a secret fox", n=2)
    hers = wait_completed(house, user_of(ada), before + 2)
    ada.bench.expect_all_completed(before + 2)
    image, second = hers[-2:]
    own.ask("judge", generation_id=image, rating=5, note="a secret note")
    opened = own.ask("file.open", kind="original", id=image)["handle"]
    own.ask("pause")
    (held,) = submit(own, "another secret")
    told = own.hello()
    batch = own.ask("generation", id=image)["row"]["batch_id"]
    (topic,) = (row["id"] for row in told["topics"])
    (project,) = (row["id"] for row in told["projects"])
    ada.bench.mark(ada.bench.card(image), "hers")

    stored = rows(house, user_of(ada))
    his = rows(house, user_of(bob))
    thief = beside(bob)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("topic.open", {"topic_id": topic}),
        ("page", {"topic_id": topic, "cursor": "", "direction": "older"}),
        ("batch", {"id": batch}),
        ("generation", {"id": image}),
        ("walk", {"id": image, "direction": "next"}),
        ("deletion", {"topic_id": topic}),
        ("python", {"batch_id": batch}),
        *(("file.open", {"kind": kind, "id": image}) for kind in ("original", "image")),
        ("file.open", {"kind": "zip", "id": batch}),
        ("file.open", {"kind": "everything"}),  # he has none
        ("file.read", {"handle": opened, "offset": 0}),
        ("submit", {"client_key": "thief", "prompt": "into hers", "topic_id": topic}),
        ("submit", {"client_key": "thief", "prompt": "from hers", "references": [image]}),
        ("cancel", {"generation_ids": [held]}),
        ("cancel", {"batch_id": batch}),
        ("cancel", {"topic_id": topic}),
        ("retry", {"generation_id": image}),
        ("retry_failed", {"batch_id": batch}),
        ("resolve", {"generation_id": image, "outcome": "retry"}),
        ("run_next", {"generation_id": held}),
        ("judge", {"generation_id": image, "rating": 1, "note": "mine now"}),
        ("topic.create", {"title": "in hers", "project_id": project}),
        ("topic.update", {"id": topic, "title": "mine now"}),
        ("project.update", {"id": project, "title": "mine now"}),
        ("desk.set", {"n": 1, "topic_id": topic}),
        *(
            (op, {"entity": entity, "id": id})
            for op in ("delete", "restore")
            for entity, id in (("topic", topic), ("batch", batch), ("generation", image))
        ),
    ]
    for op, args in asked:
        code = thief.refusal(op, **args)["code"]
        assert code in ("not_found", "not_allowed", "invalid_request"), f"{op} {args}: {code}"
    # These answer with what there is.
    thief.ask("file.close", handle=opened)
    thief.ask("cancel", everything=True)
    thief.ask("resume")
    assert thief.pictures(image, second, held) == []
    assert thief.answer("previews", {"ids": [held]})[1] == []
    assert thief.ask("trash")["items"] == []
    thief.ask("since", cursor=told["cursor"])
    assert rows(house, user_of(ada)) == stored
    assert rows(house, user_of(bob)) == his
    heard = thief.everything()
    for secret in ("secret", user_of(ada), token_of(ada)):
        assert secret not in heard
    assert len(own.pictures(image, second)) == 2
    assert own.answer("file.read", {"handle": opened, "offset": 0})[1], "her file was closed"

    # Neither page saw anything of all this.
    expect(bob.bench.find("empty")).to_be_visible()
    expect(bob.bench.cards()).to_have_count(0)
    expect(bob.bench.topics()).to_have_count(0)
    ada.bench.expect_marked(ada.bench.card(image), "hers")
    expect(ada.bench.card(held)).to_have_attribute("data-status", "pending")
    own.ask("resume")
    ada.bench.expect_all_completed(before + 3)
    for page in (ada, bob):
        page.bench.expect_live()


@pytest.mark.req("TOP-5", "LIVE-7")
def test_a_visitor_who_reloads_or_returns_finds_pictures_and_running_jobs(
    house: AppServer, ada: VoilaPage, beside: Join
) -> None:
    wire = beside(ada)
    (slow,) = submit(wire, "a slow fox", params={"steps": 60, "delay_ms": 600})
    wire.close()
    expect(ada.bench.card(slow)).to_have_attribute("data-status", "processing")
    ids = ada.bench.ids()
    ada.reload()
    assert ada.bench.ids() == ids
    expect(ada.bench.card(slow)).to_have_attribute("data-status", "processing")
    ada.bench.expect_all_completed(len(ids), within_s=120)
    back = ada.another().open()
    back.bench.expect_all_completed(len(ids))
    assert back.bench.ids() == ids
    assert token_of(back) == token_of(ada)
    with house.open() as ws:
        tries = ws.sql("SELECT count(*) AS n FROM attempt WHERE generation_id = ?", (slow,))
    assert tries["n"][0] == 1
    back.page.close(run_before_unload=True)


@pytest.mark.req("TOP-5", "LIVE-7")
def test_ten_visitors_at_once_get_a_picture_each(
    house: AppServer, ada: VoilaPage, bob: VoilaPage, cleo: VoilaPage
) -> None:
    pages = (ada, bob, cleo)
    first = [id for id, _ in pictures(house, user_of(ada))]
    had = [len(pictures(house, user_of(page))) for page in pages]
    ada.bench.watch()

    def come(number: int) -> tuple[Wire, str]:
        wire = Wire.arrive(house)
        assert wire.hello()["topics"] == []
        (id,) = submit(wire, f"a boat with the number {number}")
        return wire, id

    with ThreadPoolExecutor(7) as crowd:
        arriving = crowd.map(come, range(7))
        for number, page in enumerate(pages):
            page.bench.generate(f"a tree with the number {number}")
        guests = list(arriving)
    for page, count in zip(pages, had, strict=True):
        page.bench.expect_all_completed(count + 1, within_s=150)
        assert set(page.bench.ids()) == set(wait_completed(house, user_of(page), count + 1))
    everybodys = [id for _, id in guests]
    for number, (wire, id) in enumerate(guests):
        assert wait_completed(house, user_of_token(wire.token), 1) == [id]
        told = wire.hello()
        assert [row["title"] for row in told["topics"]] == [f"a boat with the number {number}"]
        (picture,) = wire.pictures(*everybodys, *first)
        assert picture.startswith(PICTURE)
        wire.leave()
    lives = ada.bench.lives()["lives"]
    assert all(life["nodes"] == 1 for life in lives.values())
    ada.bench.expect_live()


@pytest.mark.req("TOP-5")
def test_a_topic_for_everybody_is_seen_and_only_by_its_owner_changed(
    house: AppServer, ada: VoilaPage, bob: VoilaPage, beside: Join
) -> None:
    with house.open("operator") as ws:
        gallery, drawer = ws.create_topic("Gallery"), ws.create_topic("Drawer")
        gallery.visibility = "workspace"
        shown, hidden = (
            ws.generate(f"a {name}", topic=topic, n=1, width=64, height=64).wait(60)
            for name, topic in (("palace", gallery), ("cellar", drawer))
        )
        (image,), (secret,) = ([one.id for one in batch.generations] for batch in (shown, hidden))
        # It comes by itself.
        ada.bench.topic("Gallery").click()
        expect(ada.bench.card(image)).to_have_attribute("data-status", "completed")
        for page in (ada, bob):
            expect(page.bench.topic("Gallery")).to_be_visible()
            expect(page.bench.topic("Drawer")).to_have_count(0)
        stored = rows(house, "operator")
        wire = beside(bob)
        assert [row["mine"] for row in wire.ask("topic.open", topic_id=gallery.id)["batches"]] == [
            False
        ]
        assert len(wire.pictures(image, secret)) == 1
        for op, args in (
            ("topic.open", {"topic_id": drawer.id}),
            ("generation", {"id": secret}),
            ("topic.update", {"id": gallery.id, "title": "Mine"}),
            ("submit", {"client_key": "k", "prompt": "into it", "topic_id": gallery.id}),
            ("retry", {"generation_id": image}),
            ("delete", {"entity": "topic", "id": gallery.id}),
            ("delete", {"entity": "batch", "id": shown.id}),
            ("delete", {"entity": "generation", "id": image}),
        ):
            code = wire.refusal(op, **args)["code"]
            assert code in ("not_found", "not_allowed"), f"{op} {args}: {code}"
        assert rows(house, "operator") == stored
        gallery.visibility = "private"
        for page in (ada, bob):
            expect(page.bench.topic("Gallery")).to_have_count(0)
        expect(ada.bench.card(image)).to_have_count(0)
        assert wire.pictures(image) == []


@pytest.mark.req("TOK-4", "TOP-5")
def test_a_visitor_at_the_limit_is_told_and_the_others_go_on(
    house: AppServer, bob: VoilaPage, cleo: VoilaPage, beside: Join
) -> None:
    bench, user = cleo.bench, user_of(cleo)
    had = len(pictures(house, user))
    wire = beside(cleo)

    def refused(sentence: str, key: str) -> None:
        before = rows(house, user)
        bench.generate("one too many")
        expect(cleo.page.get_by_text(sentence).first).to_be_visible()
        assert wire.refusal("submit", client_key=key, prompt="one too many", n=1) == {
            "code": "limit_reached",
            "message": sentence,
            "field": None,
        }
        assert rows(house, user) == before

    wire.ask("pause")
    submit(wire, "some", n=AT_ONCE)
    refused(
        f"{AT_ONCE} of your images are still on their way; wait for one of them to finish.", "k1"
    )
    wire.ask("resume")
    bench.expect_all_completed(had + AT_ONCE)
    while left := A_DAY - len(wait_completed(house, user, len(pictures(house, user)))):
        submit(wire, f"the last {left}", n=min(left, AT_ONCE))
        eventually(
            lambda: {status for _, status in pictures(house, user)},
            {"completed"}.__eq__,
            within_s=150,
        )
    refused(
        f"You have made {A_DAY} images today, which is the limit here. "
        "It starts anew at midnight (UTC).",
        "k2",
    )
    wire.close()
    others = len(pictures(house, user_of(bob)))
    bob.bench.generate("what others may")
    wait_completed(house, user_of(bob), others + 1)

    # A browser that forgets is somebody else, who begins with nothing.
    cleo.page.evaluate("localStorage.clear()")
    cleo.reload()
    expect(bench.find("empty")).to_be_visible()
    expect(bench.topics()).to_have_count(0)
    assert user_of(cleo) != user
    bench.generate("a new face")
    bench.expect_all_completed(1)
