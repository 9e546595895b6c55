"""What becomes of jobs: pictures, progress, cancels, failures, retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runner_world import OPERATOR, QUICK, Process, processes
from workbench.domain.jobs import Done, ImageReady, JobRef, Log, Partial, Queued, Running
from workbench.domain.status import ErrorKind
from workbench.errors import DiskFull, InvalidRequest, ProviderError, StoreError
from workbench.media import Media
from workbench.ports import ProviderState
from workbench.runner.runner import RunnerSettings
from workbench.testing.pictures import png
from workbench.testing.providers import FakeProvider, Gate, Picture

Open = Callable[..., Process]


class Speechless(Exception):
    def __str__(self) -> str:
        return self.reason  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    with processes(tmp_path / "ws") as open_one:
        yield open_one


@pytest.mark.req("FEED-2", "PRV-1")
def test_each_picture_lands_by_itself(opening: Open) -> None:
    gate = Gate()

    def script(request):
        return [gate, Picture()] if request.slots[0].index == 1 else [Picture()]

    here = opening(FakeProvider(script=script))
    batch = here.submit(3)
    gate.wait_reached()
    here.until(lambda: here.statuses(batch).count("completed") == 2)
    assert here.statuses(batch) == ["completed", "processing", "completed"]
    gate.open()
    assert [g.status.value for g in here.ended(batch)] == ["completed"] * 3
    for generation in here.generations(batch):
        assert here.media.read(generation.asset_id or "")


def test_the_request_has_everything_that_was_asked_for(opening: Open) -> None:
    provider = FakeProvider()
    here = opening(provider)
    reference = png("a reference")
    batch = here.submit(negative_prompt="no owls", **here.with_input(reference))
    here.ended(batch)
    (request,) = provider.requests
    assert (request.model, request.prompt, request.negative_prompt) == (
        "picture",
        "a red fox in the snow",
        "no owls",
    )
    assert (request.width, request.height, request.params) == (64, 64, {"steps": 2})
    assert [slot.seed for slot in request.slots] == [7]
    assert [one.read() for one in request.inputs] == [reference]


@pytest.mark.req("LIVE-4", "DAT-5")
def test_progress_grows_and_the_attempt_is_on_record(opening: Open) -> None:
    script = [Queued(3), *[Running(step, 4) for step in range(5)], Log("hm"), Picture(), Done()]
    here = opening(FakeProvider(script=lambda request: script))
    batch = here.submit()
    here.ended(batch)
    changes = here.store.changes(OPERATOR, "v1." + here.store.database.feed_id + ".0")
    fractions = [
        change.data["progress"]
        for change in changes.items
        if change.entity == "generation" and "progress" in change.data
    ]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    (attempt,) = here.attempts(batch)
    assert (attempt.state, attempt.provider, attempt.error_kind) == ("done", "fake", None)


def test_progress_is_coalesced_and_the_stream_does_not_wait_for_it(opening: Open) -> None:
    script = [Running(step, 500) for step in range(500)]
    provider = FakeProvider(script=lambda request: [*script, Picture()])
    # A row in ten seconds: how many there are does not tell how fast this machine is.
    here = opening(provider, settings=replace(QUICK, progress_hz=0.1))
    batch = here.submit()
    here.ended(batch)
    page = here.store.changes(OPERATOR, "v1." + here.store.database.feed_id + ".0")
    steps = [c.data["step"] for c in page.items if c.entity == "generation" and c.data.get("step")]
    assert len(steps) < 20
    assert 499 in steps


@pytest.mark.req("FEED-2")
def test_previews_are_numbered_and_go_with_the_job(opening: Open) -> None:
    first, gate = Gate(), Gate()
    pictures = [Partial(png(f"preview {n}"), 0) for n in range(3)]
    script = [pictures[0], first, *pictures[1:], gate, Picture()]
    here = opening(FakeProvider(script=lambda request: script))
    batch = here.submit()
    here.until(lambda: here.one(batch).preview == 1, "the first preview")
    first.open()
    here.until(lambda: here.one(batch).preview == 2, "the last preview, but not the one before")
    id = here.one(batch).id
    assert here.media.read_preview(id) == png("preview 2")
    gate.open()
    here.ended(batch)
    here.idle()
    assert here.media.read_preview(id) is None


@pytest.mark.req("FEED-10")
def test_a_cancel_stops_its_target_and_no_neighbour(opening: Open) -> None:
    gates = [Gate(), Gate()]
    here = opening(FakeProvider(script=lambda r: [gates[r.slots[0].index], Picture()]))
    batch = here.submit(2)
    for gate in gates:
        gate.wait_reached()
    here.cancel(here.generations(batch)[0].id)
    here.until(lambda: len(here.runner.running) == 1, "the end of the cancelled job")
    gates[1].open()
    here.ended(batch)
    assert here.statuses(batch) == ["cancelled", "completed"]
    assert here.attempts(batch)[0].state == "cancelled"
    gates[0].open()


def test_a_provider_that_fails_at_the_cancel_and_at_the_close_is_told_of_in_the_log(
    opening: Open,
) -> None:
    class Stream:
        def __init__(self, events: Any) -> None:
            self.events = events

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            return await anext(self.events)

        async def aclose(self) -> None:
            await self.events.aclose()
            raise LookupError("nothing to close")

    class Clumsy(FakeProvider):
        def events(self, request: Any, ref: Any) -> Any:
            return Stream(super().events(request, ref))

        async def cancel(self, ref: Any) -> None:
            raise TimeoutError

    gate = Gate()
    remote = JobRef("remote")
    provider = Clumsy(script=lambda r: [gate, Picture()], on_submit=lambda r: remote)
    here = opening(provider)
    batch = here.submit()
    gate.wait_reached()
    here.cancel(here.one(batch).id)
    here.ended(batch)
    here.until(lambda: "close cleanly" in here.notes() and "cancel" in here.notes())
    assert here.statuses(batch) == ["cancelled"]
    assert sorted(here.notes().splitlines()) == [
        "Fake did not close cleanly: nothing to close",
        "The cancel did not reach Fake: TimeoutError",
    ]
    gate.open()


def test_a_cancel_within_a_job_of_several_keeps_the_others(opening: Open) -> None:
    gate = Gate()
    here = opening(FakeProvider(script=lambda request: [gate, Picture()], batchable=True))
    batch = here.submit(3, batchable=True)
    gate.wait_reached()
    here.cancel(here.generations(batch)[1].id)
    gate.open()
    here.ended(batch)
    assert here.statuses(batch) == ["completed", "cancelled", "completed"]


def test_what_was_cancelled_while_queued_is_never_submitted(opening: Open) -> None:
    provider = FakeProvider()
    here = opening(provider, start=False)
    first, second = here.submit(), here.submit()
    here.cancel(here.one(first).id)
    here.start()
    here.ended(second)
    assert len(provider.requests) == 1


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "kind", [ErrorKind.AUTH, ErrorKind.QUOTA, ErrorKind.BLOCKED, ErrorKind.BAD_REQUEST]
)
def test_a_refusal_fails_at_once_with_its_sentence(opening: Open, kind: ErrorKind) -> None:
    here = opening(FakeProvider(script=lambda request: [ProviderError(kind, "It says no.")]))
    batch = here.submit()
    (generation,) = here.ended(batch)
    assert generation.error is not None
    assert (generation.error.kind, generation.error.message) == (kind, "It says no.")
    assert not generation.error.charged
    (attempt,) = here.attempts(batch)
    assert (attempt.state, attempt.error_kind) == ("failed", kind.value)
    assert attempt.error_message == "It says no."


def test_a_passing_failure_is_tried_again_and_then_works(opening: Open) -> None:
    outcomes = [ProviderError(ErrorKind.TRANSIENT, "Too busy."), Picture()]
    here = opening(FakeProvider(script=lambda request: [outcomes.pop(0)]))
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    assert [attempt.state for attempt in here.attempts(batch)] == ["failed", "done"]


def test_a_failure_that_never_passes_fails_after_five_tries(opening: Open) -> None:
    provider = FakeProvider(
        script=lambda request: [ProviderError(ErrorKind.RATE_LIMIT, "Slow down.")], concurrency=1
    )
    here = opening(provider, uniform=lambda low, high: low)
    batch = here.submit()
    (generation,) = here.ended(batch)
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.RATE_LIMIT
    assert len(provider.requests) == QUICK.max_tries


def test_retry_after_is_a_floor_and_shown(opening: Open) -> None:
    error = ProviderError(ErrorKind.RATE_LIMIT, "Slow down.", retry_after_s=300)
    here = opening(FakeProvider(script=lambda request: [error]))
    batch = here.submit()
    generation = here.wait_detail(batch, "retrying")
    assert generation.status.value == "pending"
    assert 300 <= int(str(generation.detail_args["seconds"])) <= 301
    assert generation.detail_args["reason"] == "Slow down."
    here.cancel(generation.id)


def test_a_retry_comes_when_its_time_has_come_by_the_clock(opening: Open) -> None:
    outcomes = [ProviderError(ErrorKind.TRANSIENT, "Busy.", retry_after_s=500), Picture()]
    here = opening(FakeProvider(script=lambda request: [outcomes.pop(0)]))
    batch = here.submit()
    here.wait_detail(batch, "retrying")
    here.clock.ahead_ms = 600_000
    here.submit(provider="nobody")  # any change of the feed has the runner look at the time
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]


@pytest.mark.req("FEED-2")
def test_a_broken_picture_fails_and_never_hides_its_siblings(opening: Open) -> None:
    def script(request):
        return [Picture(0), Picture(1, b"no picture"), Picture(2), Done()]

    here = opening(FakeProvider(script=script, batchable=True))
    batch = here.submit(3, batchable=True)
    generations = here.ended(batch)
    assert here.statuses(batch) == ["completed", "failed", "completed"]
    error = generations[1].error
    assert error is not None
    assert error.kind is ErrorKind.BAD_IMAGE
    assert not error.charged


def test_a_picture_less_is_a_failure_and_a_picture_more_is_dropped(opening: Open) -> None:
    def script(request):
        return [Picture(0), ImageReady(png("extra"), 7), ImageReady(png("again"), 0)]

    here = opening(FakeProvider(script=script, batchable=True))
    batch = here.submit(2, batchable=True)
    generations = here.ended(batch)
    assert here.statuses(batch) == ["completed", "failed"]
    assert generations[1].error_key == "no_image"
    here.until(lambda: "not asked for" in here.notes())


def test_a_provider_that_breaks_fails_the_job_with_its_traceback_in_the_log(opening: Open) -> None:
    here = opening(FakeProvider(script=lambda request: [KeyError("surprise")]))
    batch = here.submit()
    (generation,) = here.ended(batch)
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.INTERNAL
    assert "KeyError" in generation.error.message
    here.until(lambda: "failed unexpectedly" in here.notes())


def test_a_request_that_the_provider_finds_wrong_is_a_bad_request(opening: Open) -> None:
    def refuse(request):
        raise InvalidRequest("width", "must be a multiple of 8.")

    here = opening(FakeProvider(on_submit=refuse))
    (generation,) = here.ended(here.submit())
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.BAD_REQUEST


def test_an_unready_provider_says_what_is_missing(opening: Open) -> None:
    provider = FakeProvider()
    provider.available = ProviderState(False, "key_missing", "FAKE_KEY is not set; set it.")
    here = opening(provider)
    (generation,) = here.ended(here.submit())
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.UNAVAILABLE
    assert generation.error.message == "FAKE_KEY is not set; set it."
    assert provider.requests == []


def test_an_unknown_model_is_unavailable(opening: Open) -> None:
    here = opening(FakeProvider())
    (generation,) = here.ended(here.submit(model="fake:gone"))
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.UNAVAILABLE
    assert "fake:gone" in generation.error.message


def test_a_free_job_that_takes_too_long_fails_and_is_told_to_stop(opening: Open) -> None:
    provider = FakeProvider(
        script=lambda request: [60.0],
        on_submit=lambda request: JobRef("remote"),
        deadline_s=0.05,
    )
    here = opening(provider)
    (generation,) = here.ended(here.submit())
    assert generation.error is not None
    assert "did not finish within 0.05 s" in generation.error.message
    here.until(lambda: provider.cancelled)


@pytest.mark.req("PRV-4")
def test_a_free_provider_may_be_silent_as_long_as_it_says_itself(opening: Open) -> None:
    quick, slow = (FakeProvider(name, script=lambda r: [0.3, Picture()]) for name in "ab")
    quick.stall_s = 0.05  # type: ignore[attr-defined] # providers may have it
    here = opening(quick, slow, settings=replace(QUICK, stall_s=0.05))
    (stalled,) = here.ended(here.submit(provider="a"))
    assert stalled.error is not None
    assert stalled.error.kind is ErrorKind.TRANSIENT
    assert stalled.error.message == "Nothing was heard of A for 0.05 s. Retry it."
    assert not stalled.error.charged
    (made,) = here.ended(here.submit(provider="b"))
    assert made.status.value == "completed", "what is free takes as long as its machine needs"


def test_jobs_of_providers_that_are_not_here_are_left_to_others(opening: Open) -> None:
    here = opening(FakeProvider())
    foreign, own = here.submit(provider="elsewhere"), here.submit()
    here.ended(own)
    assert here.statuses(foreign) == ["queued"]
    here.runner.add_provider(FakeProvider("elsewhere"))
    here.ended(foreign)


@pytest.mark.req("PRM-5")
def test_a_lane_runs_no_more_than_its_provider_allows(opening: Open) -> None:
    gates = [Gate() for _ in range(4)]
    provider = FakeProvider(script=lambda r: [gates[r.slots[0].index], Picture()], concurrency=2)
    here = opening(provider)
    batch = here.submit(4)
    gates[0].wait_reached()
    gates[1].wait_reached()
    here.store.grant(OPERATOR, "ann", "token", 1, "wake").result()
    assert len(provider.requests) == 2
    for gate in gates:
        gate.open()
    here.ended(batch)


def test_a_free_job_waits_for_disk_space_and_then_works(opening: Open, tmp_path: Path) -> None:
    class FullOnce(Media):
        refusals = 2

        def admit(self, data, *, source):
            if self.refusals:
                self.refusals -= 1
                raise DiskFull("The disk is full.")
            return super().admit(data, source=source)

    here = opening(FakeProvider(), media=FullOnce(tmp_path / "ws"))
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    (job,) = here.store.sql("SELECT tries FROM job")[1]
    assert job == (0,)


def test_a_store_that_refuses_a_write_costs_no_picture_and_no_runner(opening: Open) -> None:
    failures = [StoreError("Input/output error"), StoreError("Input/output error")]

    class Moody:
        def __init__(self, store):
            self._store = store

        def __getattr__(self, name):
            return getattr(self._store, name)

        def complete(self, fence, outcome):
            if failures:
                raise failures.pop()
            return self._store.complete(fence, outcome)

    here = opening(FakeProvider(), store_wrapper=Moody)
    batch = here.submit()
    here.ended(batch)
    assert here.statuses(batch) == ["completed"]
    here.until(lambda: "Input/output error" in here.notes())


def test_a_job_that_takes_its_workers_down_is_stopped_as_poison(opening: Open) -> None:
    here = opening(FakeProvider(), start=False)
    batch = here.submit()
    for death in range(3):
        (job,) = here.store.claim(f"dead{death}", lanes={"fake": 1}, limit=1).result()
        assert job.deaths == death
        here.store.requeue_dead(f"dead{death}").result()
    (generation,) = here.generations(batch)
    assert generation.error is not None
    assert generation.error.kind is ErrorKind.POISON


def test_settings_bound_how_many_jobs_run_here(opening: Open) -> None:
    gate = Gate()
    provider = FakeProvider(script=lambda request: [gate, Picture()], concurrency=50)
    here = opening(provider, settings=RunnerSettings(max_jobs=3))
    batch = here.submit(6)
    here.until(lambda: len(here.runner.running) == 3)
    here.store.grant(OPERATOR, "ann", "token", 1, "wake").result()
    assert len(here.runner.running) == 3
    gate.open()
    here.ended(batch)


@pytest.mark.parametrize("where", ["submit", "events", "aclose"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncio.CancelledError, "it cancelled itself"),
        (SystemExit, "it wanted to end the program"),
        (Speechless, "Speechless (no text: AttributeError)"),
    ],
)
def test_whatever_a_provider_raises_ends_its_job_and_is_told(
    opening: Open, where: str, error: type[BaseException], said: str
) -> None:
    class Odd(FakeProvider):
        async def submit(self, request: Any) -> JobRef:
            if where == "submit":
                raise error
            return await super().submit(request)

        async def events(self, request: Any, ref: Any) -> Any:
            if where == "events":
                raise error
            try:
                async for event in super().events(request, ref):
                    yield event
            finally:
                if where == "aclose":
                    raise error

    here = opening(Odd())
    batch = here.submit()
    here.ended(batch)
    here.until(lambda: said in here.notes())
    assert here.statuses(batch) == ["completed" if where == "aclose" else "failed"]
    # And the loop is there for the next one.
    here.ended(here.submit())
