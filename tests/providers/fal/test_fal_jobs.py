"""fal's queue through the real engine, against an emulator that counts what it charges."""

from __future__ import annotations

import json
import logging

import pytest

import workbench as wb
from tests.providers.fal.world import (
    CANARY,
    COST,
    MAKING,
    SCHNELL,
    WAITING,
    added,
    made,
    request_for,
)
from tests.providers.world import (
    FAST,
    assert_nowhere,
    ended,
    requests_of,
    shown_by,
    shown_of,
)
from tests.waiting import until
from workbench.domain.jobs import JobRef, Slot
from workbench.errors import ProviderError
from workbench.providers import fal_wire
from workbench.providers.catalogue import load
from workbench.providers.fal import Fal
from workbench.testing.emulators.server import Fault

# -- cancel and resume -----------------------------------------------------------------------------


@pytest.mark.req("PRV-6")
def test_a_cancel_takes_a_job_out_of_the_queue(ws, emulator):
    server = emulator(streams=False, states=[WAITING] * 10_000)
    added(ws, server)
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: requests_of(server, "GET", "/status"))
    batch.cancel()
    until(lambda: server.cancelled == ["job-0"])
    assert batch.generations[0].status == "cancelled"
    until(lambda: requests_of(server, "GET", "/requests/job-0"))
    assert server.images_charged == 0
    (put,) = requests_of(server, "PUT", "/cancel")
    assert put.headers["authorization"] == f"Key {server.key}"
    assert len(batch.all_generations()) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-5")
async def test_a_job_that_nobody_asks_for_is_made_and_billed_all_the_same(fal):
    provider = made(fal)
    request = request_for()
    ref = await provider.submit(request)
    assert fal.images_charged == 1
    for _ in range(2):  # whoever comes for it later, and again, is not billed once more
        events = [event async for event in provider.events(request, ref)]
        assert (type(events[-2]).__name__, fal.images_charged) == ("ImageReady", 1)
    await provider.close()


@pytest.mark.req("PRV-6", "PRV-4")
def test_a_picture_that_was_made_in_spite_of_a_cancel_comes_home(ws, emulator):
    server = emulator(streams=False, states=[MAKING] * 10_000)
    added(ws, server)
    batch = ws.generate("a fox", model=SCHNELL)
    until(lambda: len(requests_of(server, "GET", "/status")) > 2)
    batch.cancel()
    server.jobs["job-0"].states = []  # now, and not before, it ends
    until(lambda: len(batch.all_generations()) == 2)
    first, late = batch.all_generations()
    assert (first.status, late.status) == ("cancelled", "completed")
    assert late.cost == COST
    assert server.images_charged == 1


@pytest.mark.parametrize(
    ("fault", "raises"),
    [
        (None, False),
        (Fault(status=400), False),
        (Fault(status=404), False),
        (Fault(status=500), True),
    ],
)
async def test_a_cancel_that_comes_too_late_is_no_error(fal, fault, raises):
    provider = made(fal)
    ref = await provider.submit(request_for())
    fal.faults = [fault]
    if raises:
        with pytest.raises(ProviderError):
            await provider.cancel(ref)
    else:
        await provider.cancel(ref)
    await provider.cancel(JobRef())  # nothing that could be cancelled
    await provider.close()


@pytest.mark.req("PRV-5", "TOK-5")
@pytest.mark.parametrize("streams", [True, False], ids=["pushed", "asked"])
def test_restarting_resumes_the_job_by_its_reference(workspace_home, emulator, streams):
    server = emulator(streams=streams, states=[WAITING, *[MAKING] * 10_000])
    if streams:
        server.fault_of = lambda seen: Fault(gap_s=0.02)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=SCHNELL)
        until(lambda: server.jobs and len(server.jobs["job-0"].states) < 9_998)
    server.jobs["job-0"].states = [MAKING]
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (done,) = ended(again.batch(batch.id)).generations
        assert (done.status, done.cost) == ("completed", COST)
        assert again.doctor().problems == []
    assert len(requests_of(server, "POST", "/schnell")) == server.images_charged == 1


@pytest.mark.req("PRV-5")
async def test_a_reference_is_all_that_another_process_needs(fal):
    first = made(fal)
    ref = await first.submit(request_for())
    await first.close()
    kept = JobRef(ref.remote_id, ref.resumable, json.loads(json.dumps(ref.data)))
    second = made(fal)
    events = [event async for event in second.events(request_for(), kept)]
    await second.close()
    assert events[-1].usage == {
        "request_id": "job-0",
        "billable_units": "1",
        "inference_time_s": 0.25,
    }
    assert (events[-1].cost, events[-1].unit) == (COST, "USD")
    assert "secret" not in repr(events[-1])


@pytest.mark.parametrize("units", ["", "many", "NaN", "-1", "1e30"])
def test_units_that_are_no_count_are_no_cost(units):
    entry = load("fal", "fal").entries["fal-ai/flux/schnell"]
    assert fal_wire.bill_of({"x-fal-billable-units": units}, entry) == fal_wire.Bill()


async def test_a_job_has_one_picture_and_a_model_that_is_there(fal):
    provider = made(fal)
    two = request_for(slots=(Slot("a", 0, 1), Slot("b", 1, 2)))
    with pytest.raises(ProviderError, match="one picture at a time"):
        await provider.submit(two)
    with pytest.raises(ProviderError, match=r"no model fal-ai/gone any more\."):
        await provider.submit(request_for("fal-ai/gone"))
    assert fal.requests == []


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(
    workspace_home, emulator, monkeypatch, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    states = [{"status": "IN_PROGRESS", "logs": [{"message": f"key is {CANARY}"}]}]
    server = emulator(key=CANARY, states=states)
    monkeypatch.setenv("FAL_KEY", CANARY)
    monkeypatch.setenv("FAL_BASE_URL", server.base_url)
    body = json.dumps({"detail": f"key {CANARY}"}).encode()
    faults = [
        [],
        [Fault(status=401, code="not_authorized")],  # its message repeats the key
        [Fault(status=400, body=body)],
        [Fault(in_stream=CANARY)],
        [Fault(code=f"x {CANARY}")],
        [None, None, Fault(status=422, body=body)],
        [Fault(image=CANARY.encode())],
        [Fault(status=200, body=b"{", content_type="text/html")],
    ]
    shown = []
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Fal(pace=FAST))
        for given in faults:
            server.faults = list(given)
            batch = ended(ws.generate("a fox", model=SCHNELL))
            shown += shown_of(batch)
        provider = ws._engine.registry.providers["fal"]
        shown += shown_by(ws, provider)
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)
    assert_nowhere("very-secret", [], workspace_home)  # nor an address that is signed
