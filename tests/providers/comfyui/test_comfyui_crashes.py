"""ComfyUI through the real engine, against an emulator with queue, history and websocket."""

from __future__ import annotations

import json
import logging

import pytest

import workbench as wb
from tests.providers.comfyui.world import CANARY, GRAPH, MODEL, _request, added, graphs, lines, sent
from tests.providers.world import assert_nowhere, ended, error_of, fast
from tests.waiting import until
from workbench.domain.jobs import JobRef
from workbench.providers.comfyui import ComfyUI
from workbench.testing.emulators.comfyui import ComfyUIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- cancelling ------------------------------------------------------------------------------------


@pytest.mark.req("PRV-6")
@pytest.mark.parametrize("jobs_api", [True, False])
def test_a_cancel_interrupts_what_runs_and_nothing_else(ws, jobs_api):
    with ComfyUIEmulator(jobs_api=jobs_api) as server:
        added(ws, server)
        server.hold()
        batch = ws.generate("a fox", model=MODEL, steps=50)
        until(lambda: server.running)
        theirs = server.put(GRAPH)
        batch.cancel()
        path = "/api/jobs/" if jobs_api else "/interrupt"
        until(lambda: any(seen.path.startswith(path) for seen in server.requests))
        until(server._interrupt.is_set)
        server.go_on()
        until(lambda: theirs in server.made)
        assert server.made == [theirs]
        assert ended(batch).status == "cancelled"
        # An interrupt without an id would stop whatever runs.
        assert all(seen.json().get("prompt_id") for seen in sent(server, "/interrupt"))


@pytest.mark.req("PRV-6")
@pytest.mark.parametrize("jobs_api", [True, False])
def test_a_cancel_takes_what_waits_out_of_the_queue(ws, jobs_api):
    with ComfyUIEmulator(jobs_api=jobs_api) as server:
        added(ws, server)
        server.hold()
        theirs = server.put(GRAPH)
        until(lambda: server.running == theirs)
        batch = ws.generate("a fox", model=MODEL)
        until(lambda: len(server.waiting) == 1)
        batch.cancel()
        until(lambda: server.waiting == [])
        server.go_on()
        until(lambda: theirs in server.made)
        assert sent(server, "/interrupt") == []
        assert ended(batch).status == "cancelled"


# -- crashes ---------------------------------------------------------------------------------------


@pytest.mark.req("PRV-5")
@pytest.mark.parametrize("how", ["running", "made", "waiting"])
def test_a_job_is_found_again_by_whoever_opens_the_workspace_next(workspace_home, server, how):
    server.hold()
    if how == "waiting":
        theirs = server.put(GRAPH)
        until(lambda: server.running == theirs)
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, seed=4, steps=3)
        (generation,) = batch.generations
        until(lambda: sent(server, "/queue") and "/history" not in generation.detail)
        until(lambda: sent(server, "/ws"))
    if how == "made":
        server.go_on()
        until(lambda: server.made)
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        server.go_on()
        made = again.batch(batch.id).wait(30)
        assert made.status == "completed"
        assert made.generations[0].asset.path.read_bytes() == png("a fox|4|0")
        assert again.doctor().problems == []
    assert sum("a fox" in json.dumps(graph) for graph in graphs(server)) == 1


@pytest.mark.req("PRV-5")
async def test_the_reference_alone_is_enough_to_follow_a_job(server):
    first = ComfyUI("comfy", base_url=server.base_url, pace=fast)
    request = _request(seed=6)
    ref = await first.submit(request)
    await first.close()
    assert ref.resumable
    stored = JobRef(ref.remote_id, resumable=True, data=json.loads(json.dumps(ref.data)))
    second = ComfyUI("comfy", base_url=server.base_url, pace=fast)
    events = [event async for event in second.events(request, stored)]
    await second.close()
    assert [type(event).__name__ for event in events][-2:] == ["ImageReady", "Done"]
    assert events[-1].usage == {"prompt_id": ref.remote_id}
    assert [event.cost for event in events[-2:]] == [None, None]


@pytest.mark.req("PRV-5")
def test_a_job_that_a_restart_swallowed_is_made_again(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, seed=4, steps=2)
    until(lambda: server.running and server._clients)
    server.forget()
    server.go_on()
    assert ended(batch).status == "completed"
    ids = [seen.json()["prompt_id"] for seen in sent(server, "/prompt")]
    assert len(set(ids)) == len(ids) == 2
    assert server.made == ids[1:]


def test_a_server_that_makes_ids_itself_is_followed_by_its_own(ws):
    with ComfyUIEmulator(own_ids=False) as server:
        added(ws, server)
        assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
        assert server.made[0] != sent(server, "/prompt")[0].json()["prompt_id"]


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_key_goes_with_every_request_and_is_nowhere_else(workspace_home, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with (
        ComfyUIEmulator(key=CANARY) as server,
        wb.open(workspace_home / "ws", user="ada") as ws,
    ):
        added(ws, server, key=CANARY)
        picture = [png("x")]
        batch = ws.generate("a fox", model="comfy:image-to-image", references=picture, steps=2)
        assert ended(batch).status == "completed"
        assert {"/ws", "/view", "/prompt"} <= {s.path.partition("?")[0] for s in server.requests}
        assert all(s.headers["authorization"] == f"Bearer {CANARY}" for s in server.requests)
        for fault in (
            Fault(status=401),
            Fault(status=400, body=f'{{"error": "Bearer {CANARY}"}}'.encode()),
            Fault(content_type=f"text/{CANARY}", status=200, body=b"<"),
        ):
            faults = [fault]
            server.fault_of = lambda seen, faults=faults: (
                faults.pop() if faults and seen.path == "/prompt" else None
            )
            batch = ended(ws.generate("a fox", model=MODEL))
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        server.breaks["KSampler"] = ("ValueError", f"key {CANARY}")
        shown.append(repr(error_of(ws.generate("another", model=MODEL))))
        provider = ws._engine.registry.providers["comfy"]
        shown += [repr(vars(provider)), repr(vars(provider._line)), lines(ws), ws.frame().to_csv()]
        assert ws.doctor().problems == []
    assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


def test_names_of_files_from_the_server_stay_on_the_server(ws, server):
    """Whatever the history names is asked for at our own address, and as a name only."""
    added(ws, server)
    real = ComfyUIEmulator._saved

    def saved(self, prompt, id):
        files = real(self, prompt, id)
        return [{**file, "filename": "http://127.0.0.1:9/x?a=1&b=../../"} for file in files]

    server._saved = saved.__get__(server)
    error = error_of(ws.generate("a fox", model=MODEL, steps=1))
    assert "not there any more" in error.message
    (view,) = sent(server, "/view")
    assert "filename=http%3A%2F%2F127.0.0.1%3A9%2Fx%3Fa%3D1%26b%3D..%2F..%2F" in view.path
