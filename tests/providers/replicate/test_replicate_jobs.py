"""Replicate's dialect through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.providers.checks import held_back
from tests.providers.replicate.world import (
    COST,
    SCHNELL,
    added,
    creates,
    faults_at,
    request_for,
)
from tests.providers.world import ended, error_of
from tests.waiting import until
from workbench.domain.jobs import (
    JobRef,
    Log,
    Queued,
    Running,
    Slot,
)
from workbench.providers.http import Patience
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- states ----------------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
async def test_states_and_the_last_bar_of_the_log_are_told_once(emulator, opened):
    bar = "Loading 7/7\n 25%|##5   | 1/4 [00:01<00:03]\r 75%|####  | 3/4 [00:02<00:01]"
    server = emulator(
        states=[
            {"status": "starting"},
            {"status": "starting"},
            {"status": "processing"},
            {"status": "processing", "logs": bar},
            {"status": "processing", "logs": bar},
            {"status": "stretching", "logs": f"{bar}\r100%|#####| 4/4 [00:03<00:00]"},
        ]
    )
    provider = opened(server)
    request = request_for(slots=(Slot("g", 2, None),))
    ref = await provider.submit(request)
    assert ref.resumable
    events = [event async for event in provider.events(request, ref)]
    assert events[:-2] == [Queued(), Running(0, None, 2), Running(3, 4, 2), Running(4, 4, 2)]
    assert events[-1].usage == {
        "prediction": ref.remote_id,
        "predict_time": 0.25,
        "total_time": 0.5,
        "image_count": 1,
    }


@pytest.mark.req("PRV-4")
def test_progress_reaches_the_generation(ws, emulator):
    states = [{"status": "starting"}, *[{"status": "processing", "logs": " 50%|##| 2/4 ["}] * 30]
    server = emulator(states=states)
    added(ws, server)
    (generation,) = ws.generate("a fox", model=SCHNELL).generations
    until(lambda: generation.record.step == 2)
    assert generation.record.total_steps == 4
    until(lambda: generation.status.is_terminal)
    assert generation.status == "completed"


@pytest.mark.parametrize("code", ["unheard_of", None])
def test_an_unknown_state_with_a_picture_and_an_end_is_a_success(ws, server, code):
    added(ws, server)
    server.faults = [Fault(code=code)]
    assert ended(ws.generate("a fox", model=SCHNELL)).status == "completed"


ENDS = [
    ("nsfw", "blocked", "content policy"),
    ("sensitive", "blocked", "content policy"),
    ("model_error", "bad_request", "Cannot identify the image file."),
    ("interrupted", "transient", "please retry"),
    ("canceled", "bad_request", "cancelled at Replicate"),
    ("aborted", "transient", "could not begin in time and charged nothing"),
    ("exploded", "bad_request", "A state that nobody knows yet."),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("code", "kind", "said"), ENDS)
def test_a_prediction_that_fails_is_typed_and_costs_nothing(ws, server, code, kind, said):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert "bills" not in error.message
    assert len(creates(server)) == 1
    assert (ws.balance, server.images_charged) == (10, 0)
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-2")
@pytest.mark.parametrize("code", ["model_error", "canceled", "nsfw"])
def test_a_failure_of_what_is_billed_by_the_second_says_so(ws, server, code):
    added(ws, server)
    ws.grant(10)
    ws.set_price("rep:stability-ai/sdxl", 1)
    server.faults = [Fault(code=code)]
    error = error_of(ws.generate("a fox", model="rep:stability-ai/sdxl"))
    if code != "nsfw":
        assert error.message.endswith(". Replicate bills the seconds that it ran.")
    assert error.charged
    assert ws.balance == 9  # how many they were is not told: what was reserved counts


@pytest.mark.req("TOK-2")
def test_no_picture_of_what_is_billed_by_the_second_is_billed(ws, server):
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model="rep:stability-ai/sdxl"))
    assert (error.kind, error.charged) == ("blocked", True)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("output", ["list", "url"])
def test_no_picture_and_no_error_is_a_block(ws, emulator, output):
    server = emulator(output=output)
    added(ws, server)
    server.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("blocked", False)


@pytest.mark.req("PRV-7", "TOK-2")
def test_an_output_in_which_no_picture_can_be_found_is_no_refusal(ws, server):
    added(ws, server)
    states = [{"status": "succeeded", "output": {"a_name_of_2027": "x"}}]
    server.states = states
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("bad_image", True)
    assert "no picture can be found in it" in error.message


def test_more_pictures_than_asked_for_are_one(ws, server):
    added(ws, server)
    server.faults = [Fault(images=3)]
    done = ended(ws.generate("a fox", model=SCHNELL))
    assert (done.status, len(done.all_generations())) == ("completed", 1)
    texts = [entry.text for entry in ws.debug.entries()]
    assert "Replicate sent 3 pictures instead of one." in texts


@pytest.mark.req("PRV-7", "TOK-2")
def test_a_result_that_was_removed_is_charged(ws, server):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code="removed")]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert (error.kind, error.charged) == ("bad_image", True)
    assert "has removed it" in error.message
    assert len(creates(server)) == server.images_charged == 1
    assert ws.balance == 9
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7", "TOK-5")
def test_a_result_that_is_not_where_it_should_be_is_never_called_not_charged(ws, server):
    added(ws, server)
    ws.grant(10)
    ws.set_price(SCHNELL, 1)
    server.faults = [Fault(code="expired")]
    (lost,) = ended(ws.generate("a fox", model=SCHNELL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert "not where Replicate said" in lost.record.detail_args["reason"]
    assert len(creates(server)) == server.images_charged == 1
    assert ws.balance == 9
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "fault",
    [Fault(image=b"<html>no picture</html>"), Fault(cut=0.5), Fault(image=b"")],
    ids=["text", "half", "nothing"],
)
def test_bytes_that_are_no_picture_are_refused(ws, server, fault):
    added(ws, server)
    server.faults = [fault]
    error = error_of(ws.generate("a fox", model=SCHNELL))
    assert error.kind == "bad_image"
    assert ended(ws.generate("another", model=SCHNELL)).status == "completed"


# -- cancel and resume -----------------------------------------------------------------------------


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancel_reaches_replicate_despite_trouble_on_the_way(ws, emulator):
    server = emulator(states=[{"status": "processing"}] * 1000)
    added(ws, server)
    faults_at(server, "POST", "/cancel", Fault(status=500), Fault(reset_before=True))
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: len([one for one in server.requests if one.method == "GET"]) > 2)
    batch.cancel()
    until(lambda: server.cancelled)
    (generation,) = ended(batch).generations
    assert generation.status == "cancelled"
    assert server.cancelled == list(server.predictions)
    assert server.images_charged == 0
    assert ws.balances().get("USD", 0) == 0
    assert ws.doctor().problems == []


async def test_a_cancel_of_what_is_gone_is_no_error(server, opened):
    provider = opened(server)
    await provider.cancel(JobRef("nobody", resumable=True))


@pytest.mark.req("PRV-6", "TOK-5")
def test_what_was_made_before_the_cancel_came_is_kept(ws, server):
    added(ws, server)
    with held_back(server, "/delivery/"):
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: any("/delivery/" in one.path for one in server.requests))
        batch.cancel()
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status) == ("cancelled", "completed")
    assert server.images_charged == 1


@pytest.mark.req("PRV-5", "TOK-5")
def test_another_process_takes_a_prediction_over_by_its_id(workspace_home, emulator):
    server = emulator(states=[{"status": "processing"}] * 1000)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: any(one.method == "GET" for one in server.requests))
    for prediction in server.predictions.values():
        prediction.states.clear()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (generation,) = again.batch(batch.id).wait(20).generations
        assert generation.status == "completed"
        assert again.balances()["USD"] == -COST
        assert again.doctor().problems == []
    assert len(creates(server)) == server.images_charged == 1


@pytest.mark.req("PRV-5")
async def test_a_reference_is_all_that_is_needed(server, opened):
    first = opened(server)
    request = request_for()
    ref = await first.submit(request)
    stored = JobRef(ref.remote_id, ref.resumable, json.loads(json.dumps(ref.data)))
    other = opened(server)
    events = [event async for event in other.events(request, stored)]
    assert events[-2].data == png("a fox|0")
    assert not any(isinstance(event, Log) for event in events)


async def test_the_deadline_is_the_providers_own_and_a_minute(server, opened):
    provider = opened(server, patience=Patience(total_s=100.2))
    await provider.submit(request_for())
    assert creates(server)[0].headers["cancel-after"] == "191s"
