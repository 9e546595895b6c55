"""Dialects that are killed: workers, forked from one that has everything imported, and a world.

Each kill meets several generations in different states; `World.verify` compares what the user sees
in the end with what was sent, what was charged and the ledger.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.dialect_worker import make_provider
from tests.providers.dialects import Dialect
from tests.runner_world import OPERATOR, Process
from workbench.domain.jobs import Idempotency
from workbench.domain.parameters import Model
from workbench.domain.records import BatchRecord, GenerationRecord, Price
from workbench.domain.status import OUTCOME_UNKNOWN, Status
from workbench.ports import Provider
from workbench.testing.emulators.server import Emulator, Fault, Seen

NURSERY = Path(__file__).with_name("dialect_worker.py")
PATIENCE_S = 80.0
PRICE = Price(amount_micro=1_000_000)
GRANTED = 100_000_000

# -- workers --------------------------------------------------------------------------------------


@dataclass
class Worker:
    """A forked worker process."""

    id: int
    nursery: Nursery
    ready: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    pid: int = 0
    status: int | None = None

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL

    def kill(self) -> None:
        """End it at whatever it does, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.ended.wait(PATIENCE_S), "a worker survives"

    def close(self) -> None:
        if not self.ended.is_set():
            self.nursery.order(id=self.id, end=True)
            assert self.ended.wait(PATIENCE_S), "a worker does not end"
        assert self.was_killed or self.status == 0, f"a worker ended with {self.status}"


class Nursery:
    """The process that workers are forked from, with these modules imported."""

    def __init__(self, *modules: str, imports_s: float = PATIENCE_S) -> None:
        self.workers: dict[int, Worker] = {}
        self._process = subprocess.Popen(
            [sys.executable, str(NURSERY), *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()
        assert self._ready.wait(imports_s)

    def begin(self, folder: Path, dialect: Dialect, server: Any, failpoint: str = "") -> Worker:
        worker = Worker(len(self.workers) + 1, self)
        self.workers[worker.id] = worker
        self.order(
            id=worker.id,
            folder=str(folder),
            name=dialect.name,
            provider=dialect.provider,
            options=dialect.options(server),
            failpoint=failpoint,
        )
        return worker

    def order(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            worker = self.workers.get(told["id"])
            if worker is None:
                self._ready.set()
                continue
            worker.pid = told.get("pid", worker.pid)
            if "status" in told:
                worker.status = told["status"]
                worker.ended.set()
                worker.ready.set()
            elif told.get("ready"):
                worker.ready.set()

    def close(self) -> None:
        self._process.communicate(timeout=PATIENCE_S)
        self._reader.join(PATIENCE_S)


class Held:
    """An answer that waits at a gate while it is on its way."""

    def __init__(self) -> None:
        self.arrived, self.gate = threading.Event(), threading.Event()


# -- the world ------------------------------------------------------------------------------------


class World:
    """A workspace, an emulator, and what a user asked for."""

    def __init__(self, here: Process, server: Emulator, dialect: Dialect, nursery: Nursery) -> None:
        self.here = here
        self.server: Any = server
        self.dialect = dialect
        self.nursery = nursery
        self.workers: list[Worker] = []
        self.batches: list[BatchRecord] = []
        self.provider: Provider = make_provider(
            dialect.name, dialect.provider, dialect.options(server)
        )
        self.kind = self.provider.idempotency.kind
        self.patience_s = PATIENCE_S
        self._stumbled = False
        server.fault_of = self._fault_of
        here.store.grant(OPERATOR, "ann", "token", GRANTED, "test").result()

    def _fault_of(self, seen: Seen) -> Fault | None:
        if b"the refused one" in seen.body:
            return Fault(status=400)
        if b"the hiccup" in seen.body and not self._stumbled:
            self._stumbled = True
            return Fault(status=429, headers={"Retry-After": "0"})
        return None

    def model(self) -> Model:
        return next(one for one in self.provider.models() if one.name == self.dialect.model)

    def submit(self, prompt: str) -> BatchRecord:
        model = self.model()
        asked = self.dialect.request
        values = model.check({name: asked[name] for name in asked if name in model.parameters})
        size = {name: values.pop(name, None) for name in ("width", "height")}
        n = min(2, model.max_images) if model.batchable else 1
        batch = self.here.submit(
            n,
            provider=self.dialect.name,
            model=model.id,
            prompt=prompt,
            params=values,
            batchable=model.batchable,
            price=PRICE,
            **size,
            **({} if model.seeds else {"seed": None, "seeds": (None,) * n}),
            **(self.here.with_input(asked["references"][0]) if "references" in asked else {}),
        )
        self.batches.append(batch)
        return batch

    def submit_all(self) -> None:
        for prompt in ("the fox", "the owl", "the hiccup", "the refused one"):
            self.submit(prompt)

    def begin(self, failpoint: str = "") -> Worker:
        worker = self.nursery.begin(self.here.folder, self.dialect, self.server, failpoint)
        self.workers.append(worker)
        return worker

    def generations(self) -> list[tuple[BatchRecord, GenerationRecord]]:
        return [(batch, one) for batch in self.batches for one in self.here.generations(batch)]

    def settled(self) -> bool:
        return all(
            one.status.is_terminal or one.detail_key == OUTCOME_UNKNOWN
            for _, one in self.generations()
        )

    def hold_an_answer(self) -> Held:
        """Hold the answer to the next request that names a prompt; what it costs is charged."""
        held, answered = Held(), self.server.reply

        def reply(seen: Seen, fault: Fault) -> Any:
            answer = answered(seen, fault)
            if b"the fox" in seen.body and not held.arrived.is_set():
                held.arrived.set()
                assert held.gate.wait(PATIENCE_S)
            return answer

        self.server.reply = reply
        return held

    @contextmanager
    def answers_held(self) -> Iterator[None]:
        """Hold all answers since the submission until the block ends; costs are charged."""
        gate, answered = threading.Event(), self.server.reply

        def reply(seen: Seen, fault: Fault) -> Any:
            answer = answered(seen, fault)
            if self.names_prompts or self.server.images_charged:
                assert gate.wait(PATIENCE_S)
            return answer

        self.server.reply = reply
        try:
            yield
        finally:
            gate.set()

    def left(self) -> int:
        """How many jobs go on by themselves."""
        rows = self.here.store.sql(
            "SELECT count(*) FROM job WHERE state NOT IN ('ended', 'unknown')"
        )
        return int(rows[1][0][0])

    def until(self, condition: Callable[[], Any], what: str) -> None:
        self.here.until(condition, what, self.patience_s)

    def run_to_the_end(self) -> None:
        try:
            self.until(self.settled, f"the end of {self.told()}")
        finally:
            for worker in self.workers:
                worker.close()

    def told(self) -> list[tuple[str, str, str | None]]:
        return [(batch.prompt, one.status.value, one.detail) for batch, one in self.generations()]

    # -- what was sent and charged ----------------------------------------------------------------

    def sends(self, prompt: str) -> int:
        """How many submissions of this prompt arrived and were not refused on purpose."""
        count = sum(prompt.encode() in seen.body for seen in list(self.server.requests))
        return count - (prompt == "the hiccup" and self._stumbled)

    def charges(self) -> Counter[str]:
        """Pictures charged by prompt; "" where the request that was charged names none."""
        found: Counter[str] = Counter()
        for charge in list(self.server.charges):
            body = self.server.requests[charge.request].body
            named = [one.prompt for one in self.batches if one.prompt.encode() in body]
            found[named[0] if named else ""] += charge.images
        return found

    @property
    def names_prompts(self) -> bool:
        """Whether prompts are in what is sent; else nothing could be refused, and only sums count.

        A template is filled with images only, for example.
        """
        return any(self.sends(batch.prompt) for batch in self.batches)

    def noted(self) -> dict[str, int]:
        """Prompts whose reference anybody can follow is in the store, with what was sent so far."""
        found = {}
        for batch, one in self.generations():
            attempts = self.here.store.attempts(one.id)
            if attempts and attempts[-1].state == "submitted" and self._resumable(one):
                found[batch.prompt] = self.sends(batch.prompt)
        return found

    def _resumable(self, one: GenerationRecord) -> bool:
        rows = self.here.store.sql(
            "SELECT resumable FROM attempt WHERE state = 'submitted' AND job_id = "
            f"(SELECT job_id FROM generation WHERE id = '{one.id}')"
        )[1]
        return any(resumable for (resumable,) in rows)

    def verify(self, *, followed: dict[str, int] | None = None) -> None:
        """Compare what the user sees with what was sent, what was charged and the ledger."""
        delivered: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        for batch, one in self.generations():
            if one.detail_key == OUTCOME_UNKNOWN:
                assert self.kind is Idempotency.NONE, "only then may there be a doubt"
                unknown[batch.prompt] += 1
            elif batch.prompt == "the refused one" and self.names_prompts:
                assert one.status is Status.FAILED, self.told()
            else:
                assert one.status is Status.COMPLETED, self.told()
                assert self.here.media.read(one.asset_id or "")
                delivered[batch.prompt] += 1
        if self.kind is not Idempotency.FREE:
            self._verify_charges(delivered, unknown)
        for prompt, sent in (followed or {}).items():
            assert self.sends(prompt) == sent, f"{prompt} had a reference and was sent again"
            assert not unknown[prompt], f"{prompt} had a reference"
        held = PRICE.amount_micro * (delivered.total() + unknown.total())
        assert self.here.store.balances("ann") == {"token": GRANTED - held}
        self.until(lambda: self.here.problems() == [], "a sound store")
        lost = "SELECT count(*) FROM attempt WHERE remote_id IS NOT NULL AND NOT resumable"
        assert self.here.store.sql(lost)[1] == [(0,)], "who has an id lets others follow it"
        states = {state for (state,) in self.here.store.sql("SELECT state FROM job")[1]}
        assert states <= {"ended", "unknown"}

    def _verify_charges(self, delivered: Counter[str], unknown: Counter[str]) -> None:
        charges = self.charges()
        assert delivered.total() <= charges.total() <= delivered.total() + unknown.total(), charges
        for batch in self.batches:
            prompt = batch.prompt
            if prompt == "the refused one":
                continue
            if self.kind is not Idempotency.KEYED:
                assert self.sends(prompt) <= 1, f"{prompt} was sent {self.sends(prompt)} times"
            if not charges[""]:
                assert delivered[prompt] <= charges[prompt] <= delivered[prompt] + unknown[prompt]


@contextmanager
def world(folder: Path, dialect: Dialect, nursery: Nursery) -> Iterator[World]:
    with dialect.make_emulator() as server:
        here = Process(folder / "ws")
        try:
            yield World(here, server, dialect, nursery)
        finally:
            here.close()
