"""Fake providers: one that plays a script, and a paid service whose charges survive crashes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.domain.ids import new_id
from workbench.domain.jobs import (
    FREE,
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Running,
)
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.records import Price
from workbench.domain.status import ErrorKind, Operation
from workbench.errors import ProviderError, WorkbenchError
from workbench.ports import ProviderState
from workbench.testing.pictures import png

_GATE_S = 30.0


class Gate:
    """A place in a script where the provider waits until the test lets it go on.

    Examples
    --------
    >>> gate = Gate()
    >>> gate.open()
    >>> gate.is_open
    True
    """

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def is_open(self) -> bool:
        """True once `open` was called."""
        return self._opened.is_set()

    def open(self) -> None:
        """Let everybody pass, now and later. Any thread may call it."""
        with self._lock:
            self._opened.set()
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)
            self._waiting.clear()

    def wait_reached(self, timeout_s: float = _GATE_S) -> None:
        """Block the test until a provider waits here.

        Raises
        ------
        TimeoutError
            Nobody came.
        """
        if not self._reached.wait(timeout_s):
            raise TimeoutError(f"no provider reached the gate within {timeout_s:g} s")

    async def passed(self) -> None:
        """Wait, in the provider, until the gate is open."""
        event = asyncio.Event()
        with self._lock:
            if not self._opened.is_set():
                self._waiting.append((asyncio.get_running_loop(), event))
            else:
                event.set()
        self._reached.set()
        await event.wait()


@dataclass(frozen=True, slots=True)
class Picture:
    """In a script: the finished image of the slot at `index` (None: of every slot in turn)."""

    index: int | None = None
    data: bytes | None = None


# What a script consists of: an event is sent, an exception is raised, a number is a pause in
# seconds, a gate is waited at, a picture is sent for the slots it is meant for.
Move = JobEvent | BaseException | float | Gate | Picture


class FakeProvider:
    """A provider in this process that does what a script says.

    Parameters
    ----------
    name:
        Its name; its one model is ``<name>:picture``.
    idempotency:
        What may be done with a call whose end is not known. Other than FREE it gives resumable
        references.
    script:
        Returns the moves for a request; called for each run of `events`. By default two steps,
        then every picture.
    on_submit:
        Returns the reference for a request, or raises; called for each `submit`.
    on_lookup:
        Returns what `lookup` finds.
    concurrency, deadline_s:
        As in `workbench.ports.Provider`.
    batchable:
        Whether one call makes all images of a batch.
    price:
        Per image.

    Attributes
    ----------
    requests:
        What was submitted, in order; likewise `followed` (reference of each `events`), `cancelled`
        and `looked_up`.

    Examples
    --------
    >>> provider = FakeProvider("fake", script=lambda request: [Running(1, 2), Picture()])
    >>> provider.models()[0].id
    'fake:picture'
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        idempotency: IdempotencyPolicy = FREE,
        script: Callable[[JobRequest], Iterable[Move]] | None = None,
        on_submit: Callable[[JobRequest], JobRef] | None = None,
        on_lookup: Callable[[JobRequest], JobRef | None] | None = None,
        concurrency: int = 4,
        deadline_s: float = 60.0,
        batchable: bool = False,
        price: Price | None = None,
    ) -> None:
        self.name = name
        self.title = name.capitalize()
        self.help = "A provider for tests; it plays a script."
        self.idempotency = idempotency
        self.concurrency = concurrency
        self.deadline_s = deadline_s
        self.available = ProviderState(ready=True)
        self.requests: list[JobRequest] = []
        self.followed: list[JobRef] = []
        self.cancelled: list[JobRef] = []
        self.looked_up: list[str] = []
        self.closed = False
        self.script = script or _two_steps_and_all_pictures
        self.on_submit = on_submit
        self.on_lookup = on_lookup
        self._model = _model(name, batchable=batchable, price=Price() if price is None else price)

    def state(self) -> ProviderState:
        """Return `available`, which tests may set."""
        return self.available

    def models(self) -> Sequence[Model]:
        """Return the one model."""
        return [self._model]

    async def submit(self, request: JobRequest) -> JobRef:
        """Note the request and give a reference."""
        self.requests.append(request)
        if self.on_submit is not None:
            return self.on_submit(request)
        if self.idempotency.kind is Idempotency.FREE:
            return JobRef()
        return JobRef(f"remote-{request.key}", resumable=True)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Play the script."""
        self.followed.append(ref)
        for move in self.script(request):
            if isinstance(move, BaseException):
                raise move
            if isinstance(move, Gate):
                await move.passed()
            elif isinstance(move, int | float):
                await asyncio.sleep(move)
            elif isinstance(move, Picture):
                for event in _pictures(request, move):
                    yield event
            else:
                yield move

    async def cancel(self, ref: JobRef) -> None:
        """Note the cancel; the script goes on."""
        self.cancelled.append(ref)

    async def lookup(self, request: JobRequest) -> JobRef | None:
        """Note the question and answer it with `on_lookup`."""
        self.looked_up.append(request.key)
        return None if self.on_lookup is None else self.on_lookup(request)

    async def close(self) -> None:
        """Note the end."""
        self.closed = True


def _two_steps_and_all_pictures(_request: JobRequest) -> Iterable[Move]:
    return [Running(1, 2), Running(2, 2), Picture()]


def _pictures(request: JobRequest, move: Picture) -> Iterator[ImageReady]:
    for slot in request.slots:
        if move.index is None or move.index == slot.index:
            data = move.data
            if data is None:
                data = picture_of(request.prompt, slot.index, slot.seed)
            yield ImageReady(data, slot.index, seed=slot.seed)


def picture_of(prompt: str, index: int, seed: int | None) -> bytes:
    """Return the image that the fakes make for a prompt, an index and a seed."""
    return png(f"{prompt}|{index}|{seed}")


def _model(name: str, *, batchable: bool, price: Price) -> Model:
    size = Parameter(ParameterKind.INTEGER, default=64, minimum=16, maximum=2048, unit="px")
    steps = Parameter(ParameterKind.INTEGER, default=2, minimum=1, maximum=1000)
    return Model(
        id=f"{name}:picture",
        provider=name,
        name="picture",
        title=f"{name.capitalize()} picture",
        help="Makes small coloured tiles for tests.",
        parameters={"width": size, "height": size, "steps": steps},
        operations=(Operation.GENERATE, Operation.EDIT),
        max_images=16,
        max_references=4,
        batchable=batchable,
        price=price,
    )


@dataclass(frozen=True, slots=True)
class Charge:
    """One submission that a paid service accepted (and will want money for)."""

    remote_id: str
    key: str
    generations: tuple[str, ...]
    visible_at: float  # monotonic seconds of this machine: when a look-up begins to find it


class ChargeBook:
    """What a paid service charged: a file of lines, so that it survives any kill of its client.

    Parameters
    ----------
    path:
        The file. Several processes may use it at once.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def charges(self) -> list[Charge]:
        """Return every charge so far, oldest first."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [_charge(json.loads(line)) for line in lines]

    def accept(self, request: JobRequest, *, honour_key: bool, visible_in_s: float = 0.0) -> Charge:
        """Charge for a request and return the charge; with `honour_key` each key only once."""
        with self._locked():
            if honour_key:
                for charge in self.charges():
                    if charge.key == request.key:
                        return charge
            entry = {
                "remote_id": new_id(),
                "key": request.key,
                "generations": [slot.generation_id for slot in request.slots],
                "visible_at": _boot_clock() + visible_in_s,
            }
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            return _charge(entry)

    def find(self, key: str) -> Charge | None:
        """Return the newest charge with this key that a look-up sees already."""
        now = _boot_clock()
        found = [one for one in self.charges() if one.key == key and one.visible_at <= now]
        return found[-1] if found else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl  # POSIX only, like the kills that this is for

        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _charge(entry: dict[str, Any]) -> Charge:
    return Charge(
        str(entry["remote_id"]),
        str(entry["key"]),
        tuple(entry["generations"]),
        float(entry["visible_at"]),
    )


def _boot_clock() -> float:
    import time

    return time.monotonic()  # the same for all processes of a machine


class EmulatedPaidProvider:
    """A paid service with the manners of real ones, for kills and double charges.

    It charges when a submission arrives, in the middle of `latency_s`; so a client may die before
    it was charged, after it, or after it read the answer. The charges lie in a `ChargeBook`, and
    what is charged can be followed by any process until it is made.

    Parameters
    ----------
    book:
        Path of the charge book.
    kind:
        KEYED: a key is charged once. LOOKUP: every submission is charged and can be looked up
        `lag_s` after it arrived. NONE: every submission is charged. FREE: nothing is.
    name:
        Its name; its one model is ``<name>:picture``.
    resumable:
        True: a submission gives an id that can be followed. False: one long call, made in
        `events`, that gives the pictures at once and cannot be followed by anybody else.
    steps, step_s:
        How long a picture takes.
    latency_s:
        How long a submission takes.
    quiet_s, lag_s:
        How long an absent submission may still turn up, as declared and as it is.
    concurrency, deadline_s, batchable, price:
        As in `FakeProvider`.
    """

    def __init__(
        self,
        book: str | os.PathLike[str],
        *,
        kind: Idempotency,
        name: str = "emulated",
        resumable: bool = True,
        steps: int = 3,
        step_s: float = 0.01,
        latency_s: float = 0.01,
        quiet_s: float = 0.3,
        lag_s: float = 0.0,
        concurrency: int = 4,
        deadline_s: float = 60.0,
        batchable: bool = False,
        price: Price | None = None,
    ) -> None:
        self.name = name
        self.title = name.capitalize()
        self.help = "An emulated paid service for tests."
        self.idempotency = IdempotencyPolicy(kind, retention_s=86_400.0, quiet_s=quiet_s)
        self.concurrency = concurrency
        self.deadline_s = deadline_s
        self.book = ChargeBook(book)
        self._resumable = resumable
        self._steps = steps
        self._step_s = step_s
        self._latency_s = latency_s
        self._lag_s = lag_s
        self._model = _model(name, batchable=batchable, price=Price() if price is None else price)

    def state(self) -> ProviderState:
        """Always ready."""
        return ProviderState(ready=True)

    def models(self) -> Sequence[Model]:
        """Return the one model."""
        return [self._model]

    async def submit(self, request: JobRequest) -> JobRef:
        """Accept and charge a request (a long call is made in `events` instead)."""
        if not self._resumable:
            return JobRef()
        charge = await self._accept(request)
        return JobRef(charge.remote_id, resumable=True)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the pictures of a charge."""
        free = self.idempotency.kind is Idempotency.FREE
        if ref.remote_id is not None and not free and not await self._knows(ref):
            raise ProviderError(ErrorKind.BAD_REQUEST, "There is no such job.")
        if not self._resumable and ref.remote_id is None:
            await self._accept(request)
        for step in range(1, self._steps + 1):
            await asyncio.sleep(self._step_s)
            yield Running(step, self._steps)
        for slot in request.slots:
            yield ImageReady(picture_of(request.prompt, slot.index, slot.seed), slot.index)
        yield Done()

    async def cancel(self, ref: JobRef) -> None:
        """Come too late, as most cancels do: the picture is made and delivered."""

    async def lookup(self, request: JobRequest) -> JobRef | None:
        """Find a charge by its key, once it can be seen."""
        charge = await asyncio.to_thread(self.book.find, request.key)
        if charge is None:
            return None
        return JobRef(charge.remote_id, resumable=self._resumable)

    async def close(self) -> None:
        """Nothing is open."""

    async def _accept(self, request: JobRequest) -> Charge:
        for given in request.inputs:
            try:
                await asyncio.to_thread(given.read)
            except WorkbenchError:
                raise ProviderError(
                    ErrorKind.BAD_REQUEST, "An image that goes in cannot be read. Choose it anew."
                ) from None
        await asyncio.sleep(self._latency_s / 2)
        if self.idempotency.kind is Idempotency.FREE:
            charge = Charge(new_id(), request.key, (), 0.0)
        else:
            charge = await asyncio.to_thread(
                lambda: self.book.accept(
                    request,
                    honour_key=self.idempotency.kind is Idempotency.KEYED,
                    visible_in_s=self._lag_s,
                )
            )
        await asyncio.sleep(self._latency_s / 2)
        return charge

    async def _knows(self, ref: JobRef) -> bool:
        charges = await asyncio.to_thread(self.book.charges)
        return any(charge.remote_id == ref.remote_id for charge in charges)
