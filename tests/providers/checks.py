"""What several dialects are checked for in the same words, and the faults that they meet for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.providers.world import ended, only, shown_by, shown_of
from tests.waiting import until
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.http import Patience
from workbench.testing.emulators.server import Fault, Reply, Seen

_LONGEST_HOLD_S = 90.0

# -- faults ----------------------------------------------------------------------------------------

REDIRECTED = (
    Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "bad_request",
    "redirects",
)
# The answer to a call that costs something is lost: whether it was made nobody here can know.
LOST = (
    Fault(reset_after=0),
    Fault(status=200, body=b"<html>Sign in first</html>", content_type="text/html"),
    Fault(status=200, body=b"[]", content_type="application/json"),
    Fault(status=502),
)
TOO_LATE = Fault(pause_s=600.0)  # its end is never waited for
DRIPPING = Fault(drip_s=1.0)  # no answer is so short that it comes in time

# What is to come in time comes within it also where a process stands still for two seconds.
_SHORT_S = 6.0

no_pictures = pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
failed_downloads = pytest.mark.parametrize(
    "fault", [Fault(reset_after=30), Fault(status=503), Fault(status=403)], ids=repr
)


def patience_with(fault: Fault) -> Patience:
    """Patience that a fault uses up where it is one of time; all else comes in time, and slowly."""
    return Patience(total_s=_SHORT_S if fault.pause_s or fault.drip_s else 25.0)


def only_for(prompt: str, fault: Fault) -> Callable[[Any], Fault | None]:
    """A fault for the requests of one prompt."""
    return lambda seen: fault if prompt.encode() in seen.body else None


def told_in(text: str, *words: str) -> bool:
    """Whether a text that changes has all of these words at once."""
    return all(one in text for one in words)


def _posted(server: Any) -> list[Any]:
    return [seen for seen in server.requests if seen.method == "POST"]


def assert_put_off(
    batch: wb.Batch, server: Any, seconds: float, calls: Callable[[Any], list[Any]] = _posted
) -> None:
    """Check that a call which failed in passing is to be sent again after so long.

    That this time is kept is proved by tests/unit/test_runner_jobs.py.
    """
    (waiting,) = batch.generations
    until(lambda: waiting.record.detail_key == "retrying", "another try is planned")
    told = waiting.record.detail_args["seconds"]
    assert seconds <= told <= seconds + 2, told  # rounded up, and spread by a bit
    assert len(calls(server)) == 1
    batch.cancel()
    assert only(batch).status == "cancelled"


# -- what an error says ----------------------------------------------------------------------------


def assert_refused(server: Any, error: Any, kind: str, said: str) -> None:
    """Check a refusal: typed, not charged, a sentence, and without the key."""
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert server.key not in error.message


def assert_sentence(error: Any) -> None:
    assert error.message.endswith((".", "…"))


def assert_unknown(ws: Any, made: wb.Generation) -> None:
    """Check that a person is asked what became of it."""
    assert (made.status, made.detail) == ("processing", "outcome_unknown")
    assert ws.doctor().problems == []


# -- requests --------------------------------------------------------------------------------------


def met_by_one(
    ws: Any, server: Any, model: str, fault: Fault, *, n: int = 2, **more: Any
) -> wb.Generation:
    """Have one request meet a fault beside ``n`` good pictures; return what became of it.

    The others are made, and it is sent once.
    """
    server.fault_of = only_for("the bad one", fault)
    good = ws.generate("a good one", model=model, n=n, **more)
    bad = only(ws.generate("the bad one", model=model, **more))
    assert ended(good).status == "completed"
    assert sum(b"the bad one" in seen.body for seen in server.requests) == 1
    assert ws.doctor().problems == []
    return bad


def came_late(batch: wb.Batch) -> wb.Generation:
    """The picture that came home beside the only one of a batch, which was cancelled."""
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status, late.retry_of) == ("cancelled", "completed", first.id)
    return late


@contextmanager
def held_back(server: Any, path: str = "") -> Iterator[None]:
    """Hold back the answers to requests whose path has this in it, until the block has ended."""
    answered, gate = server.reply, threading.Event()

    def held(seen: Seen, fault: Fault) -> Reply:
        reply: Reply = answered(seen, fault)
        if path in seen.path:
            gate.wait(_LONGEST_HOLD_S)
        return reply

    server.reply = held
    try:
        yield
    finally:
        gate.set()
        server.reply = answered


def cancelled_on_the_way(ws: Any, server: Any, model: str) -> wb.Generation:
    """The picture of a call that was cancelled while its answer was on its way."""
    with held_back(server):
        batch = ws.generate("a fox", model=model)
        until(lambda: server.requests)
        batch.cancel()
    return came_late(batch)


def closed_on_the_way(home: Path, server: Any, add: Callable[[Any, Any], Any], model: str) -> None:
    """Close a process while its call is under way: the next one leaves it to a person."""
    server.faults = [TOO_LATE]  # a process gives its calls two seconds when it closes
    with wb.open(home / "ws", user="ada") as ws:
        add(ws, server)
        batch = ws.generate("a fox", model=model)
        until(lambda: server.requests)
    with wb.open(home / "ws", user="ada") as again:
        add(again, server)
        assert_unknown(again, only(again.batch(batch.id)))
    assert server.images_charged == 1


def met(ws: Any, server: Any, fault: Fault | None, model: str, **more: Any) -> wb.Batch:
    """A batch whose first request meets a fault."""
    server.faults = [fault]
    batch: wb.Batch = ws.generate("a fox", model=model, **more)
    return batch


def shown_after(
    ws: Any,
    provider: Any,
    faults: Iterable[Fault | None],
    meet: Callable[[Fault | None], wb.Batch],
) -> list[str]:
    """Everything that is shown after requests which met these faults, one each."""
    shown = []
    for fault in faults:
        shown += shown_of(ended(meet(fault)))
    return shown + shown_by(ws, provider)


async def assert_account(
    make: Callable[..., Any], server: Any, said: str, *, wrong_key: str
) -> None:
    """Check what a test of the connection says, and that a wrong key is told."""
    provider, wrong = make(server), make(server, key=wrong_key)
    assert await provider.test() == said
    with pytest.raises(ProviderError) as caught:
        await wrong.test()
    assert caught.value.kind is ErrorKind.AUTH
    await provider.close()
    await wrong.close()


async def assert_asks_nothing_away_from_home(made: Callable[..., Any], server: Any) -> None:
    """There is nothing to ask: a wrong key is neither praised nor sent anywhere."""
    before = len(server.requests)
    for changes in ({}, {"key": "wrong"}):
        away = made(server, **changes)
        with pytest.raises(ProviderError, match="nothing to ask for") as caught:
            await away.test()
        assert caught.value.kind is ErrorKind.UNAVAILABLE
        await away.close()
    assert len(server.requests) == before
