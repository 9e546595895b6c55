"""The kills of test_paid_kill_matrix for every dialect, against its emulator in this process.

After each kill another worker goes on. At the end every picture is delivered, or refused, or (only
where nobody can know) shown as unknown; the emulator's charges, what was sent and the workspace's
ledger agree with that.

Every dialect dies at every point that its jobs pass, with one worker and with two, and twice in a
row. Each kill meets several generations in different states. Workers are forked from a process
that has everything imported (see dialect_worker.py), which makes a case cheap enough for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.dialect_world import GRANTED, PRICE, Nursery, world
from tests.providers.dialects import all_dialects
from workbench.domain.jobs import Idempotency
from workbench.domain.records import GenerationRecord
from workbench.domain.status import OUTCOME_UNKNOWN, Status

DIALECTS = {dialect.name: dialect for dialect in all_dialects()}
# In the order in which a job comes by; the last four on the way of a failure.
STRAIGHT = (
    "after_claim",
    "before_intent",
    "after_intent",
    "after_send",
    "after_submitted",
    "after_image",
    "after_file",
    "after_complete",
    "before_finish",
    "after_finish",
    "before_retry",
    "after_retry",
    "before_fail",
    "after_fail",
)
# Where the first worker dies, then where the second one does.
IN_A_ROW = (
    ("after_claim", "after_takeover"),
    ("after_intent", "before_resume"),
    ("after_send", "before_resume"),
    ("after_send", "after_unknown"),
    ("after_submitted", "before_resume"),
    ("after_submitted", "after_image"),
    ("after_file", "after_file"),
)
# One answer, a stream, a queue, a reference that is polled, an interaction that can be asked for.
IN_FLIGHT = ("oai", "openrouter", "gemini", "gemini_background", "bfl", "fal", "rep")
# Points that some dialects never come by.
_MAYBE = {"before_intent", "after_intent", "after_submitted", "after_unknown", "before_resume"}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    one = Nursery(*{dialect.provider.partition(":")[0] for dialect in DIALECTS.values()})
    yield one
    one.close()


# -- the kills ------------------------------------------------------------------------------------


@pytest.mark.req("TOK-5", "DAT-1", "PRV-2", "PRV-5")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("point", STRAIGHT)
@pytest.mark.parametrize("name", DIALECTS)
def test_a_kill_charges_nothing_twice_and_loses_nothing(
    tmp_path: Path, nursery: Nursery, name: str, point: str, workers: int
) -> None:
    with world(tmp_path, DIALECTS[name], nursery) as here:
        here.submit_all()
        first = here.begin(point)
        if workers == 2:
            here.begin()
        on_the_way_of_a_failure = point.endswith(("retry", "fail")) and not here.names_prompts
        # The last picture may be stored an instant before its worker dies of it.
        dies = workers == 1 and point not in _MAYBE and not on_the_way_of_a_failure
        here.until(
            lambda: first.was_killed or (not dies and here.settled()), f"the kill at {point}"
        )
        followed = None
        if workers == 1:
            followed = here.noted()
            here.begin()
        here.run_to_the_end()
        here.verify(followed=followed)


@pytest.mark.req("TOK-5")
@pytest.mark.parametrize("points", IN_A_ROW, ids="-".join)
@pytest.mark.parametrize("name", DIALECTS)
def test_the_one_that_takes_over_may_die_too(
    tmp_path: Path, nursery: Nursery, name: str, points: tuple[str, ...]
) -> None:
    with world(tmp_path, DIALECTS[name], nursery) as here:
        here.submit_all()
        for point in points:
            worker = here.begin(point)
            here.until(lambda worker=worker: worker.was_killed or here.settled(), point)
        here.begin()
        here.run_to_the_end()
        here.verify()


@pytest.mark.req("TOK-5", "PRV-6")
@pytest.mark.parametrize("name", DIALECTS)
def test_a_kill_around_a_picture_that_comes_after_its_cancel(
    tmp_path: Path, nursery: Nursery, name: str
) -> None:
    """What is made although nobody wants it any more is kept, if it was paid for."""
    with world(tmp_path, DIALECTS[name], nursery) as here:
        with here.answers_held():
            batch = here.submit("the fox")
            first = here.begin("after_late")
            here.until(lambda: here.names_prompts or here.server.images_charged, "the submission")
            wanted = [one.id for one in here.here.generations(batch)]
            here.here.cancel(*wanted)
            time.sleep(0.25)  # time to hear of it, which decides nothing: the cancel is stored
        here.until(lambda: first.was_killed or here.left() == 0, "its end")
        here.begin()
        here.until(lambda: here.left() == 0, "the end of the job")
        for worker in here.workers:
            worker.close()
        late = [one for one in here.here.generations(batch) if one.id not in wanted]
        assert all(one.retry_of in wanted for one in late)
        assert here.sends("the fox") == here.names_prompts
        if here.kind is not Idempotency.FREE:
            delivered, unknown = _delivered_and_unknown(late)
            assert delivered + unknown == here.server.images_charged <= len(wanted), late
        paid = PRICE.amount_micro * len(late)
        assert here.here.store.balances("ann") == {"token": GRANTED - paid}
        here.until(lambda: here.here.problems() == [], "a sound store")


def _delivered_and_unknown(shown: list[GenerationRecord]) -> tuple[int, int]:
    delivered = sum(one.status is Status.COMPLETED for one in shown)
    unknown = sum(one.detail_key == OUTCOME_UNKNOWN for one in shown)
    assert delivered + unknown == len(shown), shown
    return delivered, unknown


@pytest.mark.req("TOK-5", "PRV-5", "PRV-6")
@pytest.mark.parametrize("how", ["wanted", "cancelled"])
@pytest.mark.parametrize("name", IN_FLIGHT)
def test_a_kill_while_the_answer_is_on_its_way(
    tmp_path: Path, nursery: Nursery, name: str, how: str
) -> None:
    """The request is at the provider, and no failpoint lies there: its process is killed."""
    with world(tmp_path, DIALECTS[name], nursery) as here:
        answer = here.hold_an_answer()
        batch = here.submit("the fox")
        wanted = [one.id for one in here.here.generations(batch)]
        first = here.begin()
        here.until(answer.arrived.is_set, "the request")
        if how == "cancelled":
            here.here.cancel(*wanted)
        first.kill()
        answer.gate.set()
        here.begin()
        here.until(lambda: here.left() == 0, "the end of the job")
        for worker in here.workers:
            worker.close()
        shown = [one for one in here.here.generations(batch) if one.status is not Status.CANCELLED]
        delivered, unknown = _delivered_and_unknown(shown)
        assert shown or not here.server.images_charged
        assert delivered <= here.server.images_charged <= delivered + unknown
        if here.kind is not Idempotency.KEYED:
            assert here.sends("the fox") == 1
        held = PRICE.amount_micro * len(shown)
        assert here.here.store.balances("ann") == {"token": GRANTED - held}
        here.until(lambda: here.here.problems() == [], "a sound store")
