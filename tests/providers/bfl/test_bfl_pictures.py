"""Black Forest Labs' dialect through the real engine, against an emulator that counts charges.

The emulator checks each request against the facts of their OpenAPI document (fields, kinds,
ranges), which it has on its own. test_bfl_second_client.py has a client that is not ours speak to
it.
"""

from __future__ import annotations

import base64
import io
from decimal import Decimal

import pytest
from PIL import Image

import workbench as wb
from tests.providers.bfl.world import (
    COST,
    MODEL,
    added,
    asked_for,
    made_with,
    paths,
    polls,
    polls_only,
)
from tests.providers.checks import came_late
from tests.providers.world import drained, fast, only, shown_one_by_one
from tests.waiting import until
from workbench.domain.jobs import Done, ImageReady, Queued
from workbench.domain.status import Operation
from workbench.providers.bfl import BFL
from workbench.providers.catalogue import load
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-4", "TOK-4")
def test_pictures_come_home_with_what_they_cost(ws, server):
    added(ws, server)
    done = ws.generate("a red fox", model=MODEL, n=3, width=1536, height=1024, seed=7).wait(30)
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox")] * 3
    assert [(g.cost, g.record.unit) for g in done.generations] == [(COST, "USD")] * 3
    assert [g.seed for g in done.generations] == [7, 8, 9]
    assert server.images_charged == 3
    assert ws.balances()["USD"] == -3 * COST
    asked = [seen for seen in server.requests if seen.method == "POST"]
    assert {seen.path for seen in asked} == {"/v1/flux-2-pro"}
    assert {seen.headers["x-key"] for seen in asked} == {server.key}
    assert sorted((seen.json() for seen in asked), key=lambda one: one["seed"]) == [
        {
            "prompt": "a red fox",
            "seed": seed,
            "width": 1536,
            "height": 1024,
            "output_format": "png",
            "safety_tolerance": 2,
        }
        for seed in (7, 8, 9)
    ]
    files = [seen for seen in server.requests if "/files/" in seen.path]
    assert len(files) == 3
    assert not any("x-key" in seen.headers for seen in files)
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_key_and_address_come_from_the_environment(ws, server, monkeypatch):
    monkeypatch.setenv("BFL_API_KEY", server.key)
    monkeypatch.setenv("BFL_BASE_URL", f"{server.base_url}/")
    ws.add_provider(BFL(pace=fast))
    assert only(ws.generate("a fox", model="bfl:flux-2-klein-4b")).status == "completed"


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_a_key_it_says_what_is_missing():
    state = BFL().state()
    assert (state.ready, state.code) == (False, "key_missing")
    assert "BFL_API_KEY" in state.message


@pytest.mark.req("TOK-2")
def test_an_estimate_counts_where_no_cost_is_named(ws, server):
    server.costs = None
    added(ws, server)
    done = only(ws.generate("a fox", model=MODEL, width=2048, height=2048))
    assert done.status == "completed"
    assert done.cost == Decimal("0.077915")  # 1.5 cents, and as much for each megapixel


@pytest.mark.req("PRV-2", "PRV-8")
def test_references_go_in_by_number_the_source_first(ws, server):
    added(ws, server)
    references = [png("one"), png("two")]
    made = only(ws.generate("like these", model=MODEL, references=references, source=png("me")))
    assert (made.status, made.operation) == ("completed", "edit")
    asked = server.requests[0].json()
    images = [asked["input_image"], asked["input_image_2"], asked["input_image_3"]]
    assert [base64.b64decode(one) for one in images] == [png("me"), *references]


@pytest.mark.req("PRV-2", "PRV-8")
def test_a_mask_is_sent_white_where_ours_is_transparent(ws, server):
    added(ws, server)
    mask = Image.new("RGBA", (8, 8), (10, 20, 30, 255))
    mask.putpixel((2, 3), (0, 0, 0, 0))
    held = io.BytesIO()
    mask.save(held, "PNG")
    made = only(
        ws.generate("a hat", model="flux:flux-pro-1.0-fill", source=png("me"), mask=held.getvalue())
    )
    assert (made.status, made.operation) == ("completed", "inpaint")
    asked = server.requests[0].json()
    assert base64.b64decode(asked["image"]) == png("me")
    with Image.open(io.BytesIO(base64.b64decode(asked["mask"]))) as sent:
        assert (sent.mode, sent.size) == ("L", (8, 8))
        assert (sent.getpixel((2, 3)), sent.getpixel((3, 2))) == (255, 0)


def test_every_model_is_asked_for_with_fields_that_it_has(ws, server):
    """The emulator refuses what their document does not have."""
    added(ws, server)
    batches = []
    for name, entry in load("bfl", "flux").entries.items():
        given = {}
        if Operation.INPAINT in entry.model.operations:
            given = {"source": png("me"), "mask": png("mask")}
        elif entry.send.get("needs_image"):
            given = {"source": png("me")}
        elif entry.model.max_references:
            given = {"references": [png(str(n)) for n in range(entry.model.max_references)]}
        batches.append(ws.generate("a fox", model=f"flux:{name}", **given))
    assert [(one.model, only(one).status) for one in batches if only(one).error] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("flux-2-pro", {"prompt": "x", "width": 1000, "height": 1024}, 422),
        ("flux-2-pro", {"prompt": "x", "width": 4096, "height": 4096}, 422),
        ("flux-2-pro", {"prompt": "x", "seed": "7"}, 422),
        ("flux-2-pro", {"prompt": "x", "steps": 4}, 422),
        ("flux-2-pro", {"prompt": "x", "input_image": "no base64!"}, 422),
        ("flux-2-klein-4b", {"prompt": "x", "input_image_5": "eHh4"}, 422),
        ("flux-2-flex", {"prompt": "x", "guidance": 11}, 422),
        ("flux-kontext-pro", {"prompt": "x", "aspect_ratio": "9:1"}, 422),
        ("flux-pro-1.0-fill", {"prompt": "x"}, 422),
        ("flux-2-pro", {}, 422),
        ("flux-2-pro", [], 422),
        ("flux-9", {"prompt": "x"}, 404),
        ("flux-2-pro", {"prompt": "x", "width": 1920, "height": 1088, "seed": 1}, 200),
    ],
)
def test_the_emulator_takes_what_their_document_has_and_nothing_else(server, path, body, status):
    import httpx

    answer = httpx.post(f"{server.base_url}/{path}", json=body, headers={"x-key": server.key})
    assert answer.status_code == status
    assert httpx.post(f"{server.base_url}/{path}", json=body).status_code == 401
    assert len(server.charges) == (status == 200)


# -- on the way ------------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
def test_progress_and_previews_reach_the_generation(ws, server):
    sketch = png("sketch", width=8, height=8)
    half = {
        "status": "Pending",
        "progress": 0.5,
        "preview": {"image": base64.b64encode(sketch).decode()},
    }
    server.states = ("Task not found", "Pending", *([half] * 10_000))
    added(ws, server)
    (generation,) = ws.generate("a fox", model=MODEL).generations
    shown_one_by_one(ws, generation, [((50, 100), sketch)], lambda: finish(server))


def finish(server):
    """The jobs of a server are made from now on."""
    for job in server._jobs.values():
        job.states.clear()


async def test_unknown_and_repeated_states_are_waited_out(server):
    odd = {"status": "Pending", "progress": "soon", "preview": {"image": "no base64!"}}
    server.states = ("Pending", "Task not found", "Warming up", "Warming up", odd, "")
    provider = made_with(server)
    request = asked_for()
    ref = await provider.submit(request)
    events = await drained(provider, request, ref)
    await provider.close()
    assert any(isinstance(event, Queued) for event in events)
    *_, ready, done = events
    assert isinstance(ready, ImageReady)
    assert (ready.index, ready.seed, ready.cost, ready.unit) == (4, 7, COST, "USD")
    assert done == Done(COST, "USD", {"id": "job-0", "input_mp": "0.0", "output_mp": "1.05"})


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=20),
        Fault(status=200, body=b"<html>", content_type="text/html"),
        Fault(status=200, body=b"[]"),
    ],
    ids=repr,
)
def test_a_question_that_fails_in_passing_is_asked_again(ws, server, fault):
    added(ws, server)
    server.fault_of = polls_only(fault, fault)
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"
    assert len(paths(server)) == server.images_charged == 1


def test_a_slow_answer_is_waited_for(ws, server):
    added(ws, server)
    server.fault_of = polls_only(Fault(drip_s=0.001))
    assert only(ws.generate("a fox", model=MODEL)).status == "completed"


# -- crashes, cancels ------------------------------------------------------------------------------


@pytest.mark.req("PRV-5", "TOK-5")
def test_a_job_goes_on_in_another_process_by_its_reference_alone(workspace_home, server):
    server.states = ("Pending",) * 500
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL)
        until(lambda: polls(server))
    finish(server)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = only(again.batch(batch.id))
        assert (made.status, made.cost) == ("completed", COST)
        assert again.doctor().problems == []
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-4", "PRV-5", "TOK-5")
def test_what_was_given_up_is_asked_for_once_more_at_the_next_start(workspace_home, server):
    server.states = ("Task not found",) * 5_000
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server).absent_s = 0.2
        batch = ws.generate("a fox", model=MODEL)
        assert only(batch).detail == "outcome_unknown"
    finish(server)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = again.batch(batch.id).generations[0]
        until(lambda: made.status == "completed")
        assert made.cost == COST
        assert again.doctor().problems == []
    assert len(paths(server)) == server.images_charged == 1


@pytest.mark.req("PRV-6", "TOK-5")
def test_a_cancelled_job_is_followed_because_it_is_paid_for(ws, server):
    server.states = ("Pending",) * 10_000
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL)
    until(lambda: polls(server))
    batch.cancel()
    finish(server)
    assert came_late(batch).cost == COST
