"""Every fault against every dialect: what a person is told agrees with what was charged.

Each test is a dialect and a group of faults. Each fault meets one request, of a provider of its
own, and beside every other one a sibling is made on the same provider. At the end every picture is
delivered, or its error is typed, or (only where nobody can know) its outcome is unknown; what the
emulator charged, what is shown and the workspace's ledger agree.

Faults that a server cannot have are not made up: which those are is said where the cases are.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.providers.sweep import DIALECTS, Outcome, Sweep, sweeping
from workbench.providers.stability import Stability
from workbench.testing.emulators.server import Fault

# Those whose answer is the picture itself, and an object of a name: they have no list.
LISTLESS = {"stability", "stability_up", "hf", "comfy"}
# They bill what they read, too, so that a refusal costs something without a picture.
BILLS_TEXT = {"azure", "gemini", "gemini_background", "oai", "openrouter"}


def _bomb() -> bytes:
    """A PNG of a few bytes that says that it has 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 1000)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


def _too_many(headers: Mapping[str, str] | None = None) -> Fault:
    return Fault(status=429, headers=headers or {})


def _json(body: bytes) -> Fault:
    return Fault(status=200, body=body, content_type="application/json")


FAULTS: dict[str, dict[str, Fault]] = {
    "put off": {
        "seconds": _too_many({"Retry-After": "0"}),
        "a date": _too_many({"Retry-After": PAST}),
        "milliseconds": _too_many({"retry-after-ms": "30"}),
        "nothing": _too_many(),
        "500": Fault(status=500),
    },
    "connection": {
        "reset before": Fault(reset_before=True),
        "reset after": Fault(reset_after=0),
        "reset within": Fault(reset_after=40),
        "slow drip": Fault(drip_s=1.0),
    },
    "type": {
        "as a page": Fault(content_type="text/html"),
        "as a picture": Fault(content_type="image/png"),
        "as nothing": Fault(content_type="x"),
    },
    "picture": {
        "cut": Fault(cut=0.5),
        "text": Fault(image=b"<html>no</html>"),
        "empty": Fault(image=b""),
        "bomb": Fault(image=_bomb()),
        "svg": Fault(image=SVG),
    },
    "number": {"none": Fault(images=0), "three": Fault(images=3)},
    "shape": {
        "other": _json(b'{"ok": true}'),
        "null": _json(b"null"),
        "a number": _json(b'{"a": NaN}'),
        "too deep": _json(b"[" * 100_000),
        "a page": Fault(status=200, body=b"<html>", content_type="text/html"),
        "no body": _json(b""),
    },
}
# Requests that do not name the prompt are known by their path, and made one after the other: a
# template is filled with images only, and ComfyUI's pictures are fetched by the names of files.
NAMELESS = {("pixverse", group): "/image/template/generate" for group in FAULTS}
NAMELESS["comfy", "picture"] = "/view"
GROUPS = [
    (name, group)
    for name in DIALECTS
    for group in FAULTS
    if not (group == "number" and name in LISTLESS)
]
# What a request of each group may end as, besides an outcome that nobody knows.
ENDS: dict[str, frozenset[str]] = {
    "put off": frozenset({"completed"}),
    # A provider that can be asked afterwards says that it charged and kept no picture.
    "connection": frozenset({"completed", "bad_image"}),
    "type": frozenset({"completed"}),
    "picture": frozenset({"bad_image"}),
    "number": frozenset({"completed", "blocked"}),
    # What is free is sent again, or its address is said to be wrong.
    "shape": frozenset({"completed", "bad_request"}),
}


@pytest.fixture
def quick_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stability, "penalty_s", 0.05)


@pytest.mark.usefixtures("quick_retries", "quick_penalties")
@pytest.mark.req("PRV-4", "PRV-7", "TOK-2", "TOK-5", "FEED-2")
@pytest.mark.parametrize(("name", "group"), GROUPS, ids=[f"{n}-{g}" for n, g in GROUPS])
def test_what_is_shown_is_what_was_charged(workspace_home: Path, name: str, group: str) -> None:
    with sweeping(workspace_home, name, NAMELESS.get((name, group))) as sweep:
        for what, fault in FAULTS[group].items():
            sweep.meet(what, fault)
        sweep.settle()
        texts = 0
        may_be = ENDS[group] | ({"blocked"} if sweep.is_free else {"unknown"})
        for one in sweep.met:
            error = one.generation.error
            assert one.word in may_be, sweep.told()
            if one.word == "bad_image":
                assert error is not None
                assert error.charged is not sweep.is_free, "whoever sent a picture has made it"
            if one.word == "blocked" and error is not None and error.charged:
                texts += 1
        assert not texts or name in BILLS_TEXT
        if group == "shape" and not sweep.is_free:
            assert {one.word for one in sweep.met} == {"unknown"}, sweep.told()
        sweep.verify(text_only=texts)


# -- events and statuses in another order ----------------------------------------------------------

ORDERS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "each twice": lambda events: [one for one in events for _ in range(2)],
    "backwards": lambda events: events[::-1],
    "the last first": lambda events: [events[-1], *events[:-1]],
    "the last two swapped": lambda events: [*events[:-2], *events[:-3:-1]],
    "all twice": lambda events: events + events,
}
# Those that answer with events; what is asked for so that there are several.
STREAMS: dict[str, dict[str, Any]] = {
    "oai": {"partial_images": 3},
    "azure": {"partial_images": 3},
    "openrouter": {},
    "gemini": {},
    "fal": {},
}
# A model that streams, where the dialect's own does not.
STREAMING = {"openrouter": "openai/gpt-image-2.5-flare"}
# Statuses that come twice and go back, as its emulator takes them.
RUNNING, WAITING = {"status": "IN_PROGRESS"}, {"status": "IN_QUEUE", "queue_position": 2}
STARTED, STARTING = {"status": "processing"}, {"status": "starting"}
BACK: dict[str, tuple[str, list[Any]]] = {
    "bfl": ("states", ["Preview", "Preview", "Pending", "Preview"]),
    "fal": ("states", [RUNNING, RUNNING, WAITING, RUNNING]),
    "gemini_background": ("statuses", ["in_progress", "in_progress", "queued", "in_progress"]),
    "pixverse": ("states", [5, 5, 10, 5]),
    "rep": ("states", [STARTED, STARTED, STARTING, STARTED]),
}


@pytest.mark.req("PRV-4", "TOK-2")
@pytest.mark.parametrize("name", STREAMS)
def test_events_twice_and_in_any_order_make_one_picture(workspace_home: Path, name: str) -> None:
    with sweeping(workspace_home, name) as sweep:
        model = sweep.provider(name)
        if name in STREAMING:
            model = f"{name}:{STREAMING[name]}"
            sweep.ws.set_price(model, 1)
        for order, change in ORDERS.items():
            seen: list[int] = []

            def shuffled(
                events: list[bytes], change: Any = change, seen: list[int] = seen
            ) -> list[bytes]:
                seen.append(len(events))
                return change(events) if len(events) > 1 else events

            sweep.server.shuffle = shuffled
            batch = sweep.ws.generate(f"a fox, {order}", model=model, **STREAMS[name])
            sweep.met.append(Outcome(order, batch.generations[0]))
            sweep.settle()
            assert max(seen) > 1, "there was nothing to shuffle"
        assert [one.word for one in sweep.met] == ["completed"] * len(ORDERS), sweep.told()
        assert sweep.server.images_charged == len(ORDERS)
        sweep.verify()


@pytest.mark.req("PRV-4", "TOK-2")
@pytest.mark.parametrize("name", BACK)
def test_statuses_twice_and_back_again_make_one_picture(workspace_home: Path, name: str) -> None:
    with sweeping(workspace_home, name) as sweep:
        setattr(sweep.server, *BACK[name])
        model = sweep.provider(name)
        batch = sweep.ws.generate("a fox", model=model, **sweep.request_of(model))
        sweep.met.append(Outcome("back", batch.generations[0]))
        sweep.settle()
        assert [one.word for one in sweep.met] == ["completed"], sweep.told()
        assert sweep.server.images_charged == 1
        sweep.verify()


# -- answers in JSON that say something else than they seem to -------------------------------------

AT_ONCE = {"oai": {"partial_images": 0}, "azure": {"partial_images": 0}, "together": {}}


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize("name", AT_ONCE)
def test_json_labelled_as_a_picture_is_read_and_an_empty_list_is_a_block(
    workspace_home: Path, name: str
) -> None:
    """Only who says that there are no pictures has made none: all else leaves it open."""
    faults = {
        "labelled": Fault(content_type="image/png"),
        "an empty list": _json(b'{"created": 1, "data": []}'),
        "no list": _json(b'{"created": 1}'),
    }
    with sweeping(workspace_home, name) as sweep:
        words = _met(sweep, faults, **AT_ONCE[name])
        assert words == ["completed", "blocked", "unknown"], sweep.told()
        sweep.verify()


def _lists(name: str, *entries: str) -> dict[str, Fault]:
    """An empty list of this name, and lists with an entry each that holds no picture."""
    return {
        text or "empty": _json(b'{"%s": [%s]}' % (name.encode(), text.encode()))
        for text in ("", *entries)
    }


RENAMED = '{"a_name_of_2027": "aGk="}'
PARTS = '{"content": {"parts": [%s]}, "finishReason": "STOP"}'
# Answers of each dialect that makes a picture in one call: a list that is empty, then lists whose
# entries cannot be read.
ENTRIES: dict[str, dict[str, Fault]] = {
    "oai": _lists("data", "{}", "null", RENAMED, '{"url": null, "b64_json": null}'),
    "azure": _lists("data", "{}", "null", RENAMED),
    "together": _lists("data", "{}", "null", RENAMED, '{"url": ""}'),
    "openrouter": _lists("data", "{}", "null", RENAMED),
    "imagen": _lists("predictions", "{}", "null", RENAMED, '{"mimeType": "image/png"}'),
    "gemini": _lists("candidates", "{}", "null", PARTS % RENAMED, PARTS % "{}"),
    "hf": _lists("images", "{}", "null", RENAMED, '{"url": ""}', '""'),
}


@pytest.mark.req("PRV-7", "TOK-2", "TOK-5")
@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_that_holds_no_picture_is_no_empty_list(workspace_home: Path, name: str) -> None:
    """A vendor who gives a field another name has made the picture, and charges for it."""
    with sweeping(workspace_home, name) as sweep:
        first, *others = _met(sweep, ENTRIES[name], **AT_ONCE.get(name, {}))
        assert first == "blocked", sweep.told()
        assert others == ["unknown"] * (len(ENTRIES[name]) - 1), sweep.told()
        sweep.verify()


EVENTS = {
    "oai": b'data: {"type": "image_generation.completed", "picture": "aGk="}\n\n',
    "azure": b'data: {"type": "image_generation.completed", "picture": "aGk="}\n\n',
    "openrouter": b'data: {"type": "image.finished", "b64_json": "aGk="}\n\ndata: [DONE]\n\n',
}


@pytest.mark.req("PRV-7", "TOK-2", "TOK-5")
@pytest.mark.parametrize("name", EVENTS)
def test_a_stream_whose_words_are_not_known_is_no_refusal(workspace_home: Path, name: str) -> None:
    faults = {"stream": Fault(status=200, body=EVENTS[name], content_type="text/event-stream")}
    with sweeping(workspace_home, name) as sweep:
        assert _met(sweep, faults) == ["unknown"], sweep.told()
        sweep.verify()


def _met(sweep: Sweep, faults: Mapping[str, Fault], **params: Any) -> list[str]:
    """Have a request of a provider of its own meet each fault; return what became of them."""
    for what, fault in faults.items():
        model = sweep.provider(f"{sweep.dialect.name}{len(sweep.met)}")
        sweep.aim("a fox", fault)
        batch = sweep.ws.generate("a fox", model=model, **params)
        sweep.met.append(Outcome(what, batch.generations[0]))
        sweep.settle()
    return [one.word for one in sweep.met]
