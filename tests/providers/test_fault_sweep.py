"""Every fault against every dialect: what a person is told agrees with what was charged.

Each test is a dialect and a group of faults. Each fault meets one request, of a provider of its
own, and beside every other one a sibling is made on the same provider. At the end every picture is
delivered, or its error is typed, or (only where nobody can know) its outcome is unknown; what the
emulator charged, what is shown and the workspace's ledger agree.

Faults that a server cannot have are not made up: which those are is said where the cases are.
"""

from __future__ import annotations

import importlib
import inspect
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.providers.dialects import Dialect, all_dialects
from tests.providers.world import fast
from workbench.domain.jobs import Idempotency
from workbench.domain.status import OUTCOME_UNKNOWN
from workbench.providers.http import Patience
from workbench.providers.stability import Stability
from workbench.testing.emulators.server import Emulator, Fault, Seen

SECONDS = 15.0  # within which everything ends, on a busy machine
GRANTED = 1_000
DIALECTS = {one.name: one for one in all_dialects()}
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
        "slow drip": Fault(drip_s=0.05),
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


@dataclass
class Outcome:
    """What became of one picture."""

    name: str
    generation: wb.Generation

    @property
    def is_unknown(self) -> bool:
        return self.generation.record.detail_key == OUTCOME_UNKNOWN

    @property
    def is_settled(self) -> bool:
        return self.is_unknown or self.generation.status.is_terminal

    @property
    def is_booked(self) -> bool:
        """Whether it is shown as charged, with a picture or without."""
        error = self.generation.error
        return self.generation.status == "completed" or (error is not None and error.charged)

    @property
    def word(self) -> str:
        error = self.generation.error
        if self.is_unknown:
            return "unknown"
        return str(self.generation.status.value if error is None else error.kind.value)


class Sweep:
    """A workspace and an emulator, with requests that meet a fault each."""

    def __init__(self, ws: Any, dialect: Dialect, server: Emulator, group: str) -> None:
        self.ws, self.dialect, self.server = ws, dialect, server
        self._place = NAMELESS.get((dialect.name, group))
        module, _, name = dialect.provider.partition(":")
        self._kind = getattr(importlib.import_module(module), name)
        self._lock = threading.Lock()
        self._aimed: dict[bytes, Fault] = {}
        self._next: Fault | None = None
        self.met: list[Outcome] = []
        self.siblings: list[Outcome] = []
        self.is_free = False
        server.fault_of = self._fault_of
        ws.grant(GRANTED)

    def _fault_of(self, seen: Seen) -> Fault | None:
        """The fault for the request that would cost something, once."""
        with self._lock:
            if self._place is not None:
                if not seen.path.partition("?")[0].endswith(self._place):
                    return None
                fault, self._next = self._next, None
                return fault
            for prompt in [one for one in self._aimed if one in seen.body]:
                return self._aimed.pop(prompt)
            return None

    def provider(self, name: str, *, total_s: float = 20.0) -> str:
        """Add a provider that nothing has failed with yet; return its model."""
        takes = inspect.signature(self._kind).parameters
        given: dict[str, Any] = self.dialect.options(self.server)
        if "options" in takes or "pace" in takes:
            given |= {"pace": fast, "patience": Patience(stall_s=total_s, total_s=total_s)}
        provider = self._kind(name, **given)
        self.is_free = provider.idempotency.kind is Idempotency.FREE
        self.ws.add_provider(provider)
        model = f"{name}:{self.dialect.model}"
        self.ws.set_price(model, 1)
        return model

    def request_of(self, model: str) -> dict[str, Any]:
        """What a request has besides prompt and model: an image where nothing is begun without."""
        request = dict(self.dialect.request)
        (found,) = [one for one in self.ws.models() if one.id == model]
        if "references" in request and "generate" not in found.operations:
            (source,) = request.pop("references")
            request |= {"source": source, "operation": found.operations[0].value}
        return request

    def meet(self, what: str, fault: Fault) -> None:
        """Have one request meet a fault; beside every other one a sibling is made."""
        at = len(self.met)
        total_s = 0.6 if fault.drip_s else 20.0
        model = self.provider(f"{self.dialect.name}{at}", total_s=total_s)
        prompt, other = f"the fox {at:02}", f"the owl {at:02}"
        if self._place is not None:
            self._next = fault
        else:
            self._aimed[prompt.encode()] = fault
        asked = [(prompt, what, self.met), (other, "sibling", self.siblings)]
        for text, name, found in asked if at % 2 == 0 else asked[:1]:
            batch = self.ws.generate(text, model=model, **self.request_of(model))
            found.append(Outcome(name, batch.generations[0]))
            if self._place is not None:
                self.settle()

    def settle(self) -> None:
        limit = time.monotonic() + SECONDS
        while not all(one.is_settled for one in (*self.met, *self.siblings)):
            assert time.monotonic() < limit, self.told()
            time.sleep(0.02)

    def told(self) -> list[tuple[str, str, Any]]:
        return [(one.name, one.word, one.generation.error) for one in self.met]

    # -- what must be true at the end --------------------------------------------------------------

    def verify(self, *, text_only: int = 0) -> None:
        """Compare what is shown with what was charged, the ledger and the doctor's opinion.

        `text_only`: how many were charged for the text alone.
        """
        everything = [*self.met, *self.siblings]
        assert not any(self._aimed), "a fault met nobody"
        assert self._next is None, "a fault met nobody"
        assert [one.word for one in self.siblings] == ["completed"] * len(self.siblings)
        assert all(one.generation.asset for one in everything if one.word == "completed")
        booked = sum(one.is_booked for one in everything)
        unknown = sum(one.is_unknown for one in everything)
        if not self.is_free:
            charged = self.server.images_charged + text_only
            assert booked <= charged <= booked + unknown, (charged, booked, unknown, self.told())
        assert not (self.is_free and unknown), "what is free leaves no doubt"
        left = Decimal(GRANTED - booked - unknown)
        assert self.ws.balances()["token"] == left, self.told()
        assert self.ws.doctor().problems == []
        wrong = [one.text for one in self.ws.debug.entries() if "unexpected" in one.text]
        assert wrong == []


@contextmanager
def sweeping(home: Path, name: str, group: str = "") -> Iterator[Sweep]:
    dialect = DIALECTS[name]
    with dialect.make_emulator() as server, wb.open(home / "ws", user="ada") as ws:
        yield Sweep(ws, dialect, server, group)


@pytest.fixture
def quick_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stability, "penalty_s", 0.05)


@pytest.mark.usefixtures("quick_retries", "quick_penalties")
@pytest.mark.req("PRV-4", "PRV-7", "TOK-2", "TOK-5", "FEED-2")
@pytest.mark.parametrize(("name", "group"), GROUPS, ids=[f"{n}-{g}" for n, g in GROUPS])
def test_what_is_shown_is_what_was_charged(workspace_home: Path, name: str, group: str) -> None:
    with sweeping(workspace_home, name, group) as sweep:
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
        sweep.server.fault_of = lambda _: faults[what]
        for what in faults:
            model = sweep.provider(f"{name}{len(sweep.met)}")
            batch = sweep.ws.generate("a fox", model=model, **AT_ONCE[name])
            sweep.met.append(Outcome(what, batch.generations[0]))
            sweep.settle()
        assert [one.word for one in sweep.met] == ["completed", "blocked", "unknown"], sweep.told()
        sweep.verify()
