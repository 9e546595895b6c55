"""The static displays: honest, small, and deaf to whatever prompts and errors contain."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from workbench.domain.ids import new_id
from workbench.domain.records import BatchRecord, GenerationRecord, TopicRecord
from workbench.domain.status import ErrorKind, Operation, Status, Visibility
from workbench.workspace import display
from workbench.workspace.markup import element, escape, visible

NOW = 1_763_700_000_000
# The end of every name that a sanitiser, a viewer or a reader could be fooled by.
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "<button data-commandlinker-command='terminal:create-new'>run</button>",
    "<iframe srcdoc='<script>1</script>'></iframe>",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "javascript:alert(1)",
    "$\\href{javascript:alert(1)}{x}$ \\(x\\) \\begin{equation}",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "photo\u202egnp.exe \u2066hidden\u2069 zero\u200bwidth\ufeff",
    "nul\x00 bell\x07 c1\x9b31m lone\ud800 line\u2028separator",
    "z" + "\u0351" * 400,
    " \n\t ",
    "a\n" * 50_000,
]


class Found(HTMLParser):
    """The elements and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return "".join(self.text)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def png(padding: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"tEXt", b"k\0" + b"x" * padding)
        + chunk(b"IEND", b"")
    )


def generation(index: int = 0, **fields: Any) -> GenerationRecord:
    whole: dict[str, Any] = {
        "id": new_id(),
        "batch_id": new_id(),
        "topic_id": new_id(),
        "job_id": new_id(),
        "index": index,
        "operation": Operation.GENERATE,
        "source": "api",
        "status": Status.COMPLETED,
        "detail_key": None,
        "detail_args": {},
        "progress": 1.0,
        "step": 20,
        "total_steps": 20,
        "attempt": 1,
        "preview": 0,
        "prompt": "a red fox",
        "prompt_sent": None,
        "negative_prompt": None,
        "provider": "builtin",
        "model": "builtin:sketch",
        "width": 512,
        "height": 512,
        "seed": 7 + index,
        "params": {"steps": 20},
        "asset_id": "a" * 64,
        "error_key": None,
        "error_kind": None,
        "error_args": {},
        "charged": False,
        "cost_micro": 2_000_000,
        "unit": "token",
        "rate_version": 1,
        "retry_of": None,
        "cached_from": None,
        "provenance": {},
        "owner": "me",
        "team": None,
        "visibility": Visibility.PRIVATE,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW + 830,
        "deleted_at": None,
        "rev": 1,
        "seq": index,
    }
    return GenerationRecord(**{**whole, **fields})


def failed(index: int = 0, text: str = "The service is down.", **fields: Any) -> GenerationRecord:
    return generation(
        index,
        status=Status.FAILED,
        asset_id=None,
        cost_micro=0,
        error_kind=ErrorKind.TRANSIENT,
        error_key="provider",
        error_args={"text": text},
        **fields,
    )


def batch(prompt: str = "a red fox", model: str = "builtin:sketch") -> BatchRecord:
    return BatchRecord(
        id=new_id(),
        topic_id=new_id(),
        operation=Operation.GENERATE,
        source="api",
        prompt=prompt,
        negative_prompt=None,
        provider="builtin",
        model=model,
        width=512,
        height=512,
        n=1,
        seed=7,
        params={},
        priority=0,
        client_key=None,
        provenance={},
        owner="me",
        team=None,
        created_at=NOW,
        deleted_at=None,
        rev=1,
    )


def topic(title: str = "Foxes") -> TopicRecord:
    return TopicRecord(
        new_id(), new_id(), title, "user", None, "me", None, Visibility.PRIVATE, NOW, NOW, None, 1
    )


def displays(text: str) -> dict[str, dict[str, str]]:
    """Every display with `text` in every place that people or providers fill."""
    poisoned = generation(prompt=text, model=text, params={text[:60]: text})
    broken = failed(1, text=text, prompt=text)
    working = generation(
        2, status=Status.PROCESSING, detail_key="log", detail_args={"text": text}, prompt=text
    )
    pairs = [(poisoned, png()), (broken, None), (working, png())]
    return {
        "generation": display.generation_bundle(poisoned, png(), now_ms=NOW),
        "failed": display.generation_bundle(broken, None, now_ms=NOW),
        "batch": display.batch_bundle(batch(text, text), pairs, now_ms=NOW),
        "topic": display.topic_bundle(topic(text), pairs, images=9, now_ms=NOW),
        "page": display.page_bundle(pairs, more=True, now_ms=NOW),
    }


@pytest.mark.req("LAY-10")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_and_nothing_else(text: str) -> None:
    for name, bundle in displays(text).items():
        found = Found(bundle["text/html"])
        assert {tag for tag, _ in found.tags} <= {"div", "span", "img"}, name
        for tag, attributes in found.tags:
            allowed = {"src", "alt", "title", "width", "style"} if tag == "img" else set()
            assert set(attributes) <= allowed | {"style", "dir", "class"}, (name, attributes)
        for image in found.all("img"):
            assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", image["src"] or "")


@pytest.mark.req("LAY-10")
@pytest.mark.parametrize("text", HOSTILE)
def test_no_output_holds_a_character_that_steers_a_terminal_or_turns_text(text: str) -> None:
    for bundle in displays(text).values():
        for kind in ("text/plain", "text/html"):
            assert not re.search(
                "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060-\u2069\ufeff]", bundle[kind]
            )
            bundle[kind].encode()  # a lone surrogate could not be saved in a notebook


def test_no_formula_can_start_in_what_people_wrote() -> None:
    page = escape("costs $5 or $6 and \\(x\\)")
    assert re.findall(r"[$\\]", page) == ["$", "$", "\\", "\\"]
    assert len(re.findall(r"<span>[$\\]</span>", page)) == 4


@pytest.mark.req("LAY-10")
def test_styles_are_those_that_an_untrusted_notebook_keeps() -> None:
    # JupyterLab's sanitiser drops var(), rgba() and properties that it does not list.
    known = {
        "background-color",
        "border",
        "border-radius",
        "box-sizing",
        "display",
        "font-size",
        "font-weight",
        "height",
        "line-height",
        "margin",
        "max-width",
        "min-height",
        "min-width",
        "opacity",
        "overflow",
        "overflow-wrap",
        "padding",
        "vertical-align",
        "width",
    }
    for bundle in displays("a fox").values():
        for _, attributes in Found(bundle["text/html"]).tags:
            for rule in filter(None, (attributes.get("style") or "").split(";")):
                name, _, value = rule.partition(":")
                assert name in known, rule
                assert "(" not in value, rule


@pytest.mark.req("LAY-10", "FEED-6")
def test_each_status_is_said_in_words_and_the_error_with_its_charge() -> None:
    pairs = [
        (generation(0), png()),
        (failed(1), None),
        (failed(2, charged=True), None),
        (generation(3, status=Status.PROCESSING, progress=0.63, finished_at=None), None),
        (generation(4, status=Status.QUEUED, finished_at=None), None),
        (generation(5, status=Status.CANCELLED), None),
        (generation(6, status=Status.PENDING, finished_at=None), None),
    ]
    bundle = display.batch_bundle(batch(), pairs, now_ms=NOW)
    words = Found(bundle["text/html"]).words
    for said in (
        "! Failed",
        "The service is down. Not charged.",
        "The service is down. It was charged.",
        "Processing · 63 %",
        "Queued",
        "Cancelled",
        "Pending",
        "1 completed, 1 processing, 1 queued, 1 pending, 2 failed, 1 cancelled",
        "As it was at 04:40:00 UTC.",
    ):
        assert said in words
    assert "#1 · failed · seed 8" in bundle["text/plain"]
    assert "The service is down. Not charged." in bundle["text/plain"]


def test_a_finished_batch_says_what_is_worth_knowing() -> None:
    pairs = [(generation(index), png()) for index in range(4)]
    bundle = display.batch_bundle(batch(), pairs)
    found = Found(bundle["text/html"])
    assert "sketch · 512 × 512 · 4 images · completed · 8 tokens" in found.words
    assert "seed 10 · 0.8 s" in found.words
    assert [image["alt"] for image in found.all("img")] == ["a red fox"] * 4
    assert "As it was" not in found.words
    assert bundle["text/plain"].splitlines()[0].startswith("a red fox · sketch")
    assert len(bundle["text/plain"].splitlines()) == 5


@pytest.mark.req("LAY-10")
@pytest.mark.parametrize("count", [1, 16, 100, 500])
def test_an_output_keeps_its_byte_budget_and_says_what_it_leaves_out(count: int) -> None:
    pairs = [(generation(index), png(padding=15_000)) for index in range(count)]
    makers: list[Callable[[], dict[str, str]]] = [
        lambda: display.batch_bundle(batch("x" * 10_000), pairs),
        lambda: display.page_bundle(pairs),
        lambda: display.topic_bundle(topic(), pairs, images=count),
    ]
    for make in makers:
        bundle = make()
        found = Found(bundle["text/html"])
        assert len(bundle["text/html"].encode()) <= display.MAX_BYTES
        assert len(bundle["text/plain"]) <= 10_000
        shown = len(found.all("img"))
        assert shown >= 1
        if shown < count:
            assert f"… and {count - shown} more" in found.words


def test_many_pictures_are_made_smaller_so_that_more_fit() -> None:
    pairs = [(generation(index), png(padding=15_000)) for index in range(40)]
    asked: list[int] = []

    def shrink(picture: bytes, size: int) -> bytes:
        asked.append(size)
        return png(padding=1_000)

    bundle = display.batch_bundle(batch(), pairs, shrink=shrink)
    assert len(Found(bundle["text/html"]).all("img")) == 40
    assert set(asked) == {128}


def test_a_picture_too_large_for_an_output_leaves_its_facts() -> None:
    bundle = display.batch_bundle(batch(), [(generation(), png(padding=300_000))])
    found = Found(bundle["text/html"])
    assert not found.all("img")
    assert "The picture is not in this output." in found.words


@pytest.mark.parametrize("data", [b"", b"<svg onload=alert(1)>", b"GIF89a", b"%PDF-1.7", b"RIFF"])
def test_only_pictures_are_embedded(data: bytes) -> None:
    bundle = display.generation_bundle(generation(), data)
    assert not Found(bundle["text/html"]).all("img")


def test_a_sheet_says_in_which_parameters_its_pictures_differ() -> None:
    pairs = [
        (generation(0, params={"steps": 20, "style": "ink"}), png()),
        (generation(1, params={"steps": 20, "style": "pastel"}), png()),
    ]
    words = Found(display.topic_bundle(topic(), pairs)["text/html"]).words
    assert "seed 7 · style ink · 512 × 512" in words
    assert "seed 8 · style pastel · 512 × 512" in words
    assert "steps" not in words


def test_an_empty_batch_page_and_topic_are_shown_as_such() -> None:
    assert "0 images" in Found(display.batch_bundle(batch(), [])["text/html"]).words
    assert "No images" in Found(display.page_bundle([])["text/html"]).words
    untitled = display.topic_bundle(topic(""), [], images=0)
    assert "Untitled topic" in Found(untitled["text/html"]).words


def test_an_imported_image_has_no_model_no_seed_and_no_price() -> None:
    imported = generation(
        operation=Operation.IMPORT, provider=None, model=None, seed=None, cost_micro=0, params={}
    )
    words = Found(display.generation_bundle(imported, png())["text/html"]).words
    assert "imported" in words
    assert "token" not in words


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0, "0.0 s"), (9_940, "9.9 s"), (59_000, "59 s"), (125_000, "2 min 5 s")],
)
def test_durations_are_written_for_people(milliseconds: int, said: str) -> None:
    item = replace(generation(), finished_at=NOW + milliseconds)
    assert said in display.generation_bundle(item)["text/plain"]


def test_money_is_written_in_its_unit() -> None:
    pairs = [
        (generation(0, cost_micro=1_000_000), None),
        (generation(1, cost_micro=40_000, unit="USD"), None),
    ]
    plain = display.batch_bundle(batch(), pairs)["text/plain"]
    assert "0.04 USD + 1 token" in plain


def test_right_to_left_text_and_emoji_stay_readable() -> None:
    text = "ثعلب أحمر 🦊👩\u200d🚀 naïve 东京"
    assert visible(text) == text


def test_attributes_and_children_are_escaped() -> None:
    made = element("b", '<i>"', None, element("i", "&"), title='"><script>', lang=None)
    assert made == '<b title="&quot;&gt;&lt;script&gt;">&lt;i&gt;&quot;<i>&amp;</i></b>'
