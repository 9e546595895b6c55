"""What comes after its cancel, for every dialect that costs something.

An answer is held back until its picture is cancelled. What was made then all the same is kept, or
shown as charged where it cannot be used, or as unknown where the answer was lost: the ledger says
what the emulator charged.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.providers.sweep import DIALECTS, SECONDS, Outcome, Sweep, sweeping
from tests.waiting import until
from workbench.testing.emulators.server import Fault, Reply, Seen

FREE = {"cog", "comfy", "localai", "webui"}
# They hear of the cancel: what they have not made by then is not made, and not charged.
HEARING = {"fal", "gemini_background", "hf_fal", "rep"}
NAMELESS = {"pixverse": "/image/template/generate"}
PAID = [name for name in DIALECTS if name not in FREE]
FAULTS = {
    "good": Fault(headers={}),
    "broken": Fault(image=b"no picture"),
    "lost": Fault(reset_after=0),
}
WORDS = {"good": "completed", "broken": "bad_image", "lost": "unknown"}


def cancelled_on_the_way(sweep: Sweep, fault: Fault) -> Any:
    """A batch that was cancelled while its answer was on its way, at the end of its job."""
    reached, gate = threading.Event(), threading.Event()
    answered = sweep.server.reply

    def held(seen: Seen, met: Fault) -> Reply:
        reply = answered(seen, met)
        if met is fault:
            reached.set()
            assert gate.wait(SECONDS)
        return reply

    sweep.server.reply = held  # type: ignore[method-assign] # the same, later
    model = sweep.provider(sweep.dialect.name)
    sweep.aim("the fox", fault)
    batch = sweep.ws.generate("the fox", model=model, **sweep.request_of(model))
    assert reached.wait(SECONDS)
    batch.cancel()
    gate.set()
    until(lambda: not sweep.ws._engine.runner.running, within_s=SECONDS)
    return batch


@pytest.mark.req("TOK-2", "TOK-5", "PRV-6", "FEED-2")
@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("name", PAID)
def test_what_comes_after_its_cancel_is_kept_or_shown_as_charged_or_unknown(
    workspace_home: Path, name: str, what: str
) -> None:
    with sweeping(workspace_home, name, NAMELESS.get(name)) as sweep:
        batch = cancelled_on_the_way(sweep, FAULTS[what])
        first, *late = batch.all_generations()
        assert first.status == "cancelled"
        assert not first.cost
        sweep.met = [Outcome("late", one) for one in late]
        words = [one.word for one in sweep.met]
        assert words in ([WORDS[what]], []), sweep.told()
        assert words or (name in HEARING and what != "lost")
        # The jobs of those that hear go on without a charge: nobody told us what to cancel.
        assert len(words) == sweep.server.images_charged or (name in HEARING and what == "lost")
        sweep.verify()
