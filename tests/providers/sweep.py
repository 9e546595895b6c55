"""Requests of any dialect that meet a fault each, and what must be true of them at the end."""

from __future__ import annotations

import importlib
import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import workbench as wb
from tests.providers.dialects import Dialect, all_dialects
from tests.providers.world import fast
from workbench.domain.jobs import Idempotency
from workbench.domain.status import OUTCOME_UNKNOWN
from workbench.providers.http import Patience
from workbench.testing.emulators.cog import CogEmulator
from workbench.testing.emulators.server import Emulator, Fault, Seen

SECONDS = 45.0  # within which everything ends, on a busy machine
GRANTED = 1_000
DIALECTS = {one.name: one for one in all_dialects()}


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
    """A workspace and an emulator, with requests that meet a fault each.

    `place` is the end of the paths by which requests are known that do not name their prompt.
    """

    def __init__(self, ws: Any, dialect: Dialect, server: Emulator, place: str | None) -> None:
        self.ws, self.dialect, self.server = ws, dialect, server
        self._place = place
        # A server with one place for everybody sends a second request away, and the fault with it.
        self._in_turn = place is not None or isinstance(server, CogEmulator)
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
        # Long enough for all that does not drip, where a process stands still for a while.
        total_s = 3.0 if fault.drip_s else 20.0
        model = self.provider(f"{self.dialect.name}{at}", total_s=total_s)
        prompt, other = f"the fox {at:02}", f"the owl {at:02}"
        self.aim(prompt, fault)
        asked = [(prompt, what, self.met), (other, "sibling", self.siblings)]
        for text, name, found in asked if at % 2 == 0 else asked[:1]:
            batch = self.ws.generate(text, model=model, **self.request_of(model))
            found.append(Outcome(name, batch.generations[0]))
            if self._in_turn:
                self.settle()

    def aim(self, prompt: str, fault: Fault) -> None:
        """Have the next request of this prompt meet a fault."""
        if self._place is not None:
            self._next = fault
        else:
            self._aimed[prompt.encode()] = fault

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
def sweeping(home: Path, name: str, place: str | None = None) -> Iterator[Sweep]:
    """Open a workspace beside the emulator of a dialect."""
    dialect = DIALECTS[name]
    with dialect.make_emulator() as server, wb.open(home / "ws", user="ada") as ws:
        yield Sweep(ws, dialect, server, place)
