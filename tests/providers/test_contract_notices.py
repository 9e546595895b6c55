"""What the contract of providers notices: one fault at a time, in a provider that has no other."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from workbench.domain.jobs import (
    FREE,
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobRef,
    JobRequest,
    Log,
    Partial,
    Queued,
    Running,
)
from workbench.domain.parameters import Model, Parameter, ParameterKind
from workbench.domain.records import BY_PROVIDER, Price
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, ProviderError, WorkbenchError
from workbench.ports import Provider, ProviderState
from workbench.testing.pictures import png
from workbench.testing.provider_contract import ProviderContract, check

pytestmark = pytest.mark.req("PRV-3")


@dataclass
class Service:
    """A remote service in this process: what it took, by id and by key, and what it charged."""

    jobs: dict[str, JobRequest] = field(default_factory=dict)
    charged: int = 0

    def take(self, request: JobRequest, *, honour_key: bool = True) -> str:
        if honour_key:
            for id, known in self.jobs.items():
                if known.key == request.key:
                    return id
        self.charged += len(request.slots)
        id = f"job-{len(self.jobs)}"
        self.jobs[id] = request
        return id

    def find(self, key: str) -> str | None:
        return next((id for id, job in self.jobs.items() if job.key == key), None)


class Tidy:
    """A provider without a fault. Those below are like it, but for one thing."""

    name = "tidy"
    title = "Tidy"
    help = "Makes tiles for tests."
    idempotency = IdempotencyPolicy(Idempotency.KEYED, retention_s=60.0)
    concurrency = 4
    deadline_s = 30.0
    honours_key = True
    key = "tidy-key-0123456789"

    def __init__(self, service: Service) -> None:
        self.service = service

    def state(self) -> ProviderState:
        return ProviderState(True)

    def models(self) -> list[Model]:
        size = Parameter(ParameterKind.INTEGER, default=24, minimum=8, maximum=64)
        model = Model(
            id="tidy:tile",
            provider="tidy",
            name="tile",
            title="Tile",
            help="One tile.",
            parameters={"width": size, "height": size},
            operations=(Operation.GENERATE, Operation.EDIT),
            max_references=1,
            batchable=True,
        )
        return [model]

    async def submit(self, request: JobRequest) -> JobRef:
        for given in request.inputs:
            try:
                given.read()
            except WorkbenchError:
                raise ProviderError(ErrorKind.BAD_REQUEST, "A reference is gone.") from None
        if request.prompt == "something rude":
            raise ProviderError(ErrorKind.BLOCKED, "Tidy refused this. Change the prompt.")
        id = self.service.take(request, honour_key=self.honours_key)
        return JobRef(id, resumable=True, data={"poll": f"/jobs/{id}"})

    async def events(self, request: JobRequest, ref: JobRef) -> Any:
        yield Queued(1)
        for slot in request.slots:
            yield Running(0, 2, slot.index)
            await asyncio.sleep(0.01)
            yield Partial(png("sketch"), slot.index)
            yield self.ready(f"{request.prompt}{slot.seed}", slot.index, slot.seed)
        yield Done(cost=Decimal("0.01"), unit="USD", usage={"id": ref.remote_id})

    def ready(self, text: str, index: int, seed: int | None) -> ImageReady:
        return ImageReady(png(text), index, seed=seed)

    async def cancel(self, ref: JobRef) -> None:
        pass

    async def lookup(self, request: JobRequest) -> JobRef | None:
        return None

    async def close(self) -> None:
        pass


class Asked(Tidy):
    """It can be asked whether it has a job."""

    idempotency = IdempotencyPolicy(Idempotency.LOOKUP, quiet_s=0.1)
    honours_key = False

    async def lookup(self, request: JobRequest) -> JobRef | None:
        id = self.service.find(request.key)
        return None if id is None else JobRef(id, resumable=True)


class OfTidy(ProviderContract):
    kind: type[Tidy] = Tidy
    deterministic = True
    secrets = (Tidy.key,)
    patience_s = 3.0
    close_s = 1.0

    def setup_method(self) -> None:
        self.service = Service()

    def make_provider(self) -> Provider:
        return self.kind(self.service)

    def charged(self) -> int:
        return self.service.charged

    def refusals(self, request: JobRequest) -> list[tuple[JobRequest, ErrorKind]]:
        return [(replace(request, prompt="something rude"), ErrorKind.BLOCKED)]


@pytest.mark.parametrize("kind", [Tidy, Asked])
def test_a_provider_without_a_fault_keeps_all_of_it(kind: type[Tidy]) -> None:
    patient = {"patience_s": ProviderContract.patience_s, "close_s": ProviderContract.close_s}
    report = check(type("Of", (OfTidy,), {"kind": kind, **patient}))
    assert report.ok, report
    names = {name for name, _ in report.skipped}
    assert names == {
        "test_its_entry_point_finds_it",
        "test_what_is_missing_is_said",
        "test_its_own_test_costs_nothing_and_says_a_sentence",
        "test_a_wrong_key_is_named_and_not_shown",
    }
    assert "kept" in repr(report)


def collected(contract: type[ProviderContract]) -> set[str]:
    """What pytest, and unittest, take for tests of a class."""
    return {
        name
        for name in dir(contract)
        if name.startswith("test_") and callable(getattr(contract, name))
    }


def test_tests_that_do_not_apply_are_left_out_and_come_back_where_they_do() -> None:
    named = type("Named", (OfTidy,), {"entry_point": "tidy"})
    assert collected(named) - collected(OfTidy) == {"test_its_entry_point_finds_it"}
    assert collected(type("Again", (named,), {"entry_point": None})) == collected(OfTidy)
    free = type("Free", (OfTidy,), {"charged": ProviderContract.charged})
    assert collected(OfTidy) - collected(free) == {"test_each_picture_is_charged_once"}
    own = type("Own", (OfTidy,), {"test_its_entry_point_finds_it": lambda self: None})
    assert "test_its_entry_point_finds_it" in collected(own)


def test_a_slip_in_what_is_left_out_is_told() -> None:
    slip = {"leaves_out": classmethod(lambda cls: {"test_of_nothing": "a slip"})}
    with pytest.raises(TypeError, match="names no tests of the contract: test_of_nothing"):
        type("Slip", (OfTidy,), slip)


def raising(error: Exception) -> Any:
    async def submit(self: Tidy, request: JobRequest) -> JobRef:
        raise error

    return submit


def giving(*events: object) -> Any:
    async def stream(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
        for event in events:
            yield event

    return stream


def changed(**changes: Any) -> Any:
    return lambda self: [replace(model, **changes) for model in Tidy.models(self)]


def with_parameter(name: str, parameter: object) -> Any:
    def models(self: Tidy) -> list[Model]:
        return [replace(one, parameters={name: parameter}) for one in Tidy.models(self)]

    return models


def then(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    return Tidy.events(self, request, ref)


def mute(self: Tidy) -> ProviderState:
    raise LookupError("mute")


def connects(self: Tidy) -> ProviderState:
    with socket.socket() as line:
        line.connect_ex(("127.0.0.1", 9))
    return ProviderState(True)


def sleeps(self: Tidy) -> ProviderState:
    time.sleep(0.06)
    return ProviderState(True)


async def blocking(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    begun = time.thread_time()  # so long that the watcher has its turns on a busy machine, too
    while time.thread_time() < begun + 0.25:
        sum(range(1_000))
    async for event in then(self, request, ref):
        yield event


async def from_nought(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    for place, slot in enumerate(request.slots):
        yield self.ready(request.prompt, place, slot.seed)
    yield Done()


async def deaf(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    async for event in then(self, request, ref):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            raise OSError("cut") from None
        yield event


async def endless_end(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    try:
        async for event in then(self, request, ref):
            yield event
    except GeneratorExit:
        await asyncio.sleep(30)
        raise


async def only_mine(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    if not hasattr(self, "mine"):
        raise ProviderError(ErrorKind.BAD_REQUEST, "There is no such job.")
    async for event in then(self, request, ref):
        yield event


async def marks(self: Tidy, request: JobRequest) -> JobRef:
    self.mine = True
    return await Tidy.submit(self, request)


async def one_at_a_time(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    self.now = request
    await asyncio.sleep(0.02)
    async for event in then(self, self.now, ref):
        yield event


async def starts_a_task(self: Tidy, request: JobRequest) -> JobRef:
    self.task = asyncio.create_task(asyncio.sleep(60))
    return await Tidy.submit(self, request)


async def forgets_a_task(self: Tidy, request: JobRequest) -> JobRef:
    async def fails() -> None:
        raise OSError("nobody looks")

    asyncio.create_task(fails())  # noqa: RUF006 - nobody looks at it
    return await Tidy.submit(self, request)


async def logs_its_key(self: Tidy, request: JobRequest) -> JobRef:
    logging.getLogger("tidy").debug("sending with %s", self.key)
    return await Tidy.submit(self, request)


async def always_one(self: Tidy, request: JobRequest) -> JobRef:
    return JobRef("1", resumable=True)


async def makes_one(self: Tidy) -> str:
    self.service.charged += 1
    return "It works."


async def hangs(self: Tidy, ref: JobRef) -> None:
    await asyncio.sleep(60)


async def finds_anything(self: Tidy, request: JobRequest) -> JobRef:
    return JobRef("job-0", resumable=True)


async def finds_nothing(self: Tidy, request: JobRequest) -> None:
    return None


async def sends_again(self: Tidy, request: JobRequest, ref: JobRef) -> Any:
    self.service.take(request, honour_key=False)
    async for event in then(self, request, ref):
        yield event


async def reads_late(self: Tidy, request: JobRequest) -> JobRef:
    return JobRef(self.service.take(request), resumable=True)


def seed_blind(self: Tidy, text: str, index: int, seed: int | None) -> ImageReady:
    return ImageReady(png(str(index)), index)


PICTURE = ImageReady(png("x"), 0)
SIZE = Parameter(ParameterKind.INTEGER, default=24, minimum=8, maximum=64)
LOOKUP = IdempotencyPolicy(Idempotency.LOOKUP, quiet_s=0.1)
SETTLED = "its_idempotency_is_as_it_says"
JOB = "a_job_gives_one_picture_for_each_slot"
MODELS = "its_models_are_told_at_once_and_ask_nobody"
STATE = "its_state_is_told_at_once_and_asks_nobody"
REFUSED = "what_the_service_refuses_is_a_typed_sentence"
# What is different, which test notices it, and what it says.
RUDE: list[tuple[dict[str, Any], str, str]] = [
    ({"lookup": None, "close": None}, "it_has_the_protocol", ""),
    ({"cancel": lambda self, ref: None}, "it_has_the_protocol", "async def cancel"),
    ({"name": "Tidy Tiles"}, "its_name_title_and_help_can_be_shown", "a-z"),
    ({"title": ""}, "its_name_title_and_help_can_be_shown", "short one"),
    ({"help": "tiles"}, "its_name_title_and_help_can_be_shown", "full stop"),
    ({"idempotency": "none"}, "its_limits_make_sense", "domain.jobs.FREE"),
    ({"idempotency": IdempotencyPolicy(Idempotency.KEYED)}, "its_limits_make_sense", "remembers"),
    ({"concurrency": 0}, "its_limits_make_sense", "from 1 on"),
    ({"deadline_s": float("inf")}, "its_limits_make_sense", "finite"),
    ({"state": connects}, STATE, "went to the network"),
    ({"state": sleeps}, STATE, "ms"),
    ({"state": lambda self: ProviderState(False)}, STATE, "'ready' belongs to"),
    ({"state": lambda self: True}, STATE, "ports.ProviderState"),
    ({"models": lambda self: []}, MODELS, "offers something"),
    ({"models": lambda self: 2 * Tidy.models(self)}, MODELS, "unique"),
    ({"models": changed(provider="other")}, MODELS, "'<provider>:<name>'"),
    ({"models": changed(help="")}, MODELS, "Write a sentence"),
    ({"models": changed(operations=())}, MODELS, "generate, edit"),
    ({"models": with_parameter("width", SIZE)}, MODELS, "only one of width and height"),
    ({"models": with_parameter("seed", SIZE)}, MODELS, "keyword of generate"),
    ({"models": with_parameter("two words", SIZE)}, MODELS, "typed in Python"),
    ({"models": with_parameter("big", replace(SIZE, default=99))}, MODELS, "99 is too large"),
    ({"models": with_parameter("big", replace(SIZE, minimum=99))}, MODELS, "above its maximum"),
    ({"models": with_parameter("one", Parameter(ParameterKind.CHOICE))}, MODELS, "once in"),
    (
        {"models": changed(price=Price(unit="USD", version=BY_PROVIDER)), "idempotency": FREE},
        MODELS,
        "made again after a crash",
    ),
    ({"submit": raising(KeyError("url"))}, JOB, "url"),
    ({"events": giving()}, JOB, "No picture came"),
    ({"events": giving(Done())}, JOB, "No picture came"),
    ({"events": giving(Done(), Log("late"))}, JOB, "the last event"),
    ({"events": giving(PICTURE, PICTURE)}, JOB, "two pictures"),
    ({"events": giving({"image": 1})}, JOB, "Events are Queued"),
    ({"events": giving(Running(3, 2))}, JOB, "from 0 to the total"),
    ({"events": giving(Queued(0))}, JOB, "1 is who is next"),
    ({"events": giving(Partial(b"x" * 9, 0))}, JOB, "Decode base64"),
    ({"events": giving(Partial(png("x") + bytes(300_000), 0))}, JOB, "Make it smaller"),
    ({"events": giving(ImageReady("iVBORw0KGgo", 0))}, JOB, "as bytes"),
    ({"events": giving(replace(PICTURE, cost=0.04, unit="USD"))}, JOB, "never from a float"),
    ({"events": giving(replace(PICTURE, cost=Decimal(1)))}, JOB, "unit='USD'"),
    ({"events": giving(replace(PICTURE, seed="7"))}, JOB, "No picture came"),
    ({"events": giving(Done(usage={"at": object()}))}, JOB, "plain JSON"),
    ({"events": from_nought}, "slots_keep_their_own_index", "slot.index"),
    ({"events": one_at_a_time}, "jobs_at_the_same_time_do_not_mix", "slot"),
    ({"ready": seed_blind}, "the_same_seed_makes_the_same_picture", "seeds=False"),
    (
        {"events": only_mine, "submit": marks},
        "a_reference_is_followed_by_another_process",
        "no such",
    ),
    ({"events": sends_again}, "a_reference_is_followed_by_another_process", "paid twice"),
    ({"events": sends_again}, "each_picture_is_charged_once", "paid twice"),
    ({"submit": always_one}, "every_job_has_an_id_of_its_own", "after a restart"),
    ({"test": makes_one}, "its_own_test_costs_nothing_and_says_a_sentence", "were charged"),
    ({"events": deaf}, "a_job_can_be_left_in_the_middle", "CancelledError"),
    ({"events": endless_end}, "a_job_can_be_left_in_the_middle", "within 1 s"),
    ({"cancel": hangs}, "a_cancel_returns_and_the_job_ends", "within 3 s"),
    ({"idempotency": FREE}, "each_picture_is_charged_once", "Declare KEYED"),
    ({"honours_key": False}, SETTLED, "idempotency key"),
    ({"idempotency": LOOKUP, "lookup": finds_anything}, SETTLED, "never sent"),
    ({"idempotency": LOOKUP, "lookup": finds_nothing}, SETTLED, "quiet_s longer"),
    ({"lookup": finds_anything}, SETTLED, "LOOKUP"),
    ({"submit": raising(OSError("rude"))}, REFUSED, "taken for a bug"),
    ({"submit": raising(ProviderError(ErrorKind.TRANSIENT, "It is busy."))}, REFUSED, "should be"),
    ({"submit": raising(ProviderError(ErrorKind.POISON, "It is bad."))}, REFUSED, "Yours are"),
    ({"submit": raising(ProviderError(ErrorKind.BLOCKED, "E_BLOCK"))}, REFUSED, "sentence"),
    ({"submit": raising(ProviderError(ErrorKind.BLOCKED, "No \x1b[31m.\n"))}, REFUSED, "plain()"),
    ({"submit": reads_late}, "every_model_works_with_its_defaults", "not read"),
    ({"submit": reads_late}, "an_input_that_cannot_be_read_is_a_typed_sentence", "should fail"),
    ({"submit": logs_its_key}, "no_key_is_in_any_text", "headers only"),
    ({"__repr__": lambda self: f"Tidy({self.key})"}, "no_key_is_in_any_text", "<the key>"),
    ({"events": blocking}, "events_do_not_hold_up_the_loop", "to_thread"),
    ({"submit": starts_a_task}, "closing_is_quick_and_can_be_done_twice", "still run"),
    ({"submit": forgets_a_task}, JOB, "nobody looked"),
    ({"submit": raising(OSError("rude"))}, JOB, "OSError: rude"),
    ({"submit": raising(OSError("rude")), "state": mute}, JOB, "models() raised LookupError"),
    ({"close": lambda self: hangs(self, JobRef())}, JOB, "close() did not come"),
]


@pytest.mark.blocking_allowed("some of them do, and that is noticed")
@pytest.mark.parametrize(
    ("differs", "name", "said"), RUDE, ids=[f"{name}: {said}" for _, name, said in RUDE]
)
def test_a_fault_is_noticed_and_the_message_says_what_to_do(
    differs: dict[str, Any], name: str, said: str
) -> None:
    contract = type("Of", (OfTidy,), {"kind": type("Rude", (Tidy,), differs)})
    failed = dict(check(contract, only=f"test_{name}").failed)
    assert set(failed) == {f"test_{name}"}
    assert said in failed[f"test_{name}"]
