"""Hugging Face's router through the real engine, against an emulator that counts its charges."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.providers.checks import cancelled_on_the_way, closed_on_the_way
from tests.providers.huggingface.world import (
    QUEUED,
    ROUTES,
    SCHNELL,
    WAITING,
    added,
    made,
    posts,
    request_for,
)
from tests.providers.world import ended, failure_of
from tests.waiting import until
from workbench.domain.jobs import JobRef
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.catalogue import Entry
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png


@pytest.mark.req("PRV-4", "PRV-5")
def test_a_prediction_that_is_not_done_in_time_is_asked_for_again(ws, emulator):
    hf = emulator(predictions=4)
    added(ws, hf)
    left = [Fault(status=500), Fault(reset_before=True), Fault(status=404)]
    hf.fault_of = lambda seen: left.pop() if "predictions/p" in seen.path and left else None
    (done,) = ended(ws.generate("a fox", model=ROUTES["replicate"])).generations
    assert done.status == "completed"
    assert hf.images_charged == len(posts(hf)) == 1
    paths = [one.path for one in hf.requests if one.method == "GET"]
    assert paths.count("/replicate/v1/predictions/prediction0") == 4 + 3


@pytest.mark.req("TOK-5")
def test_a_prediction_that_the_router_does_not_tell_about_is_left_to_a_person(ws, emulator):
    hf = emulator(predictions=1, tells_predictions=False)
    added(ws, hf)
    (lost,) = ended(ws.generate("a fox", model=ROUTES["replicate"])).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(posts(hf)) == 1


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, {"status": "succeeded", "output": ["https://a.example/1.png"]}),
        ({"output": ["https://a.example/1.png?signature=s"]}, {"status": "processing"}),
        ({"output": ["data:image/png;base64,AAAA"]}, {"status": "processing"}),
        ({"status": "failed", "output": None, "error": "x"}, {"status": "failed", "error": "x"}),
    ],
)
async def test_no_signed_address_and_no_picture_is_kept_in_a_reference(hf, changes, kept):
    answer = {"id": "p", "status": "succeeded", "output": ["https://a.example/1.png"], **changes}
    hf.faults = [Fault(status=201, body=json.dumps(answer).encode())]
    provider = made(hf)
    ref = await provider.submit(request_for(ROUTES["replicate"]))
    await provider.close()
    assert (ref.remote_id, ref.resumable, ref.data) == ("p", True, kept)


@pytest.mark.req("PRV-5", "TOK-5")
@pytest.mark.parametrize("model", [QUEUED, ROUTES["replicate"]], ids=["queue", "prediction"])
def test_restarting_resumes_the_job_by_its_reference(workspace_home, emulator, model):
    hf = emulator(states=[WAITING] * 10_000, predictions=10_000)
    more = {"references": [png("one")]} if model == QUEUED else {}
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, hf)
        batch = ws.generate("a fox", model=model, **more)
        until(lambda: len(hf.requests) > 3)
    for job in hf.jobs.values():
        job.states = []
    for id, (seen, fault, _left) in list(hf._predicted.items()):
        hf._predicted[id] = (seen, fault, 0)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, hf)
        (done,) = ended(again.batch(batch.id)).generations
        assert done.status == "completed"
        assert again.doctor().problems == []
    assert len(posts(hf)) == hf.images_charged == 1


@pytest.mark.req("TOK-5")
def test_a_call_that_was_under_way_when_its_process_closed_is_not_made_again(workspace_home, hf):
    closed_on_the_way(workspace_home, hf, added, ROUTES["hf-inference"])
    assert len(hf.requests) == 1


@pytest.mark.req("PRV-6")
def test_a_cancel_reaches_the_queue(ws, emulator):
    hf = emulator(states=[WAITING] * 10_000)
    added(ws, hf)
    batch = ws.generate("a hat", model=QUEUED, references=[png("one")])
    until(lambda: len(hf.requests) > 2)
    batch.cancel()
    until(lambda: hf.cancelled == ["job-0"])
    assert batch.generations[0].status == "cancelled"
    assert hf.images_charged == 0


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_call_is_followed_to_its_end_because_it_is_paid_for(ws, hf):
    added(ws, hf)
    assert cancelled_on_the_way(ws, hf, ROUTES["hf-inference"])


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"request_id": "j"},
        {"request_id": "j", "response_url": "https://queue.fal.run/../../etc"},
        {"request_id": "../x", "response_url": "https://queue.fal.run/a/b/requests/j"},
        {"request_id": 3, "response_url": 4},
    ],
)
async def test_a_job_without_a_name_is_an_unknown_outcome(hf, value):
    hf.faults = [Fault(status=200, body=json.dumps(value).encode())]
    error = await failure_of(made(hf), request_for(QUEUED))
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)


async def test_a_foreign_address_is_not_asked(hf):
    url = "https://queue.fal.run/a/b/requests/j"  # fal's own does not take this key
    ref = JobRef("j", resumable=True, data={"response_url": url, "status_url": url})
    error = await failure_of(made(hf), request_for(QUEUED), ref)
    assert error.maybe_sent
    assert "not its own" in error.message
    assert hf.requests == []
    await made(hf).cancel(JobRef())


async def test_a_route_that_is_not_known_is_a_sentence(hf):
    provider = made(hf)
    entries = dict(provider._entries())
    known = entries["black-forest-labs/FLUX.1-schnell"]
    provider._loaded = type(provider._loaded)(
        "2026-11-21", {known.model.name: Entry(known.model, {"route": "nobody"})}
    )
    with pytest.raises(ProviderError, match="goes to nobody, which is not known here") as caught:
        await provider.submit(request_for(SCHNELL))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
