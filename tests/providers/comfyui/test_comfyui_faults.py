"""ComfyUI through the real engine, against an emulator with queue, history and websocket."""

from __future__ import annotations

import copy
import json
import sys
import uuid

import pytest

from tests.providers.checks import told_in
from tests.providers.comfyui.world import GRAPH, MODEL, added, graphs, lines, sent
from tests.providers.world import PUT_OFF, ended, error_of, fast, noise, preview_of
from tests.waiting import until
from workbench.providers.comfyui import ComfyUI
from workbench.providers.comfyui_socket import (
    Begun,
    Over,
    Preview,
    QueueMoved,
    Step,
    read_binary,
    read_text,
)
from workbench.providers.pictures import LARGEST_PREVIEW
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_what_the_server_refuses_is_said_of_our_own_parameter(ws, server):
    added(ws, server, workflows={"mine": GRAPH})
    error = error_of(ws.generate("x", model=MODEL, checkpoint="other.safetensors"))
    assert error.kind == "bad_request"
    assert error.message.startswith("checkpoint: ComfyUI refused it.")
    assert "not in ['tiny.safetensors']" in error.message
    server.checkpoints = []
    error = error_of(ws.generate("x", model=MODEL))
    assert "models/checkpoints" in error.message
    assert server.made == []


@pytest.mark.req("PRV-7")
def test_what_is_wrong_with_the_graph_itself_names_the_node(ws, server):
    wrong = copy.deepcopy(GRAPH)
    del wrong["9"]["inputs"]["filename_prefix"]
    gone = {**GRAPH, "20": {"class_type": "SomebodysNode", "inputs": {}}}
    added(ws, server, workflows={"wrong": wrong, "gone": gone})
    error = error_of(ws.generate("x", model="comfy:wrong"))
    assert "Node 9 (SaveImage): Required input is missing: filename_prefix." in error.message
    error = error_of(ws.generate("x", model="comfy:gone"))
    assert "node SomebodysNode does not exist" in error.message


@pytest.mark.req("PRV-7")
def test_a_part_of_a_workflow_that_is_left_out_is_told(ws, server):
    graph = {**GRAPH, "20": {"class_type": "PreviewImage", "inputs": {}}}
    added(ws, server, workflows={"mine": graph})
    assert ended(ws.generate("x", model="comfy:mine", steps=2)).status == "completed"
    assert "leaves out a part of the workflow. Node 20 (PreviewImage)" in lines(ws)


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (("ValueError", "it \x1b[31mexploded"), "stopped at node sampler (KSampler). It says: it"),
        (("torch.OutOfMemoryError", "Allocation on device"), "not enough memory"),
    ],
)
def test_a_node_that_breaks_is_a_sentence_and_is_not_tried_again(ws, server, broken, said):
    added(ws, server)
    server.breaks["KSampler"] = broken
    error = error_of(ws.generate("x", model=MODEL))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert said in error.message
    assert "\x1b" not in error.message
    assert len(graphs(server)) == 1


@pytest.mark.req("PRV-7")
def test_no_picture_is_no_success(ws, server):
    server.images = 0
    added(ws, server)
    error = error_of(ws.generate("x", model=MODEL, steps=2))
    assert (error.kind, error.charged) == ("blocked", False)
    assert "SaveImage" in error.message


def test_more_pictures_than_one_are_one(ws, server):
    server.images = 3
    added(ws, server)
    done = ended(ws.generate("x", model=MODEL, seed=1, steps=2))
    assert [g.asset.path.read_bytes() for g in done.all_generations()] == [png("x|1|0")]
    assert "made 3 pictures" in lines(ws)


def test_temporary_pictures_count_where_none_is_kept(ws, server):
    graph = copy.deepcopy(GRAPH)
    graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    added(ws, server, workflows={"mine": graph})
    assert ended(ws.generate("x", model="comfy:mine", steps=2)).status == "completed"
    assert "type=temp" in sent(server, "/view")[0].path


@pytest.mark.req("PRV-7")
def test_an_interruption_in_comfyui_itself_is_said_and_not_undone(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("x", model=MODEL, steps=2)
    until(lambda: server.running)
    server._interrupt.set()
    server.go_on()
    error = error_of(batch)
    assert "interrupted in ComfyUI" in error.message
    assert len(graphs(server)) == 1


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        *PUT_OFF,
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=20),
    ],
    ids=repr,
)
def test_a_passing_failure_of_the_submission_is_made_good(ws, server, fault):
    added(ws, server)
    faults = [fault]
    server.fault_of = lambda seen: faults.pop() if faults and seen.path == "/prompt" else None
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    # Where it had arrived, it is found by its id and not sent again.
    arrived = fault.reset_after is not None
    assert len(graphs(server)) == (1 if arrived else 2)
    assert len(server.made) == server.images_charged == 1


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("path", ["/queue", "/history", "/view", "/models/checkpoints"])
@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(reset_before=True), Fault(reset_after=3), Fault(drip_s=0.001)],
    ids=repr,
)
def test_a_passing_failure_of_a_question_is_asked_again(ws, server, path, fault):
    added(ws, server)
    faults = [fault, fault]
    server.fault_of = lambda seen: faults.pop() if faults and seen.path.startswith(path) else None
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    assert len(server.made) == 1


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/prompt", Fault(status=200, body=b"<html>Sign in"), "not whole JSON"),
        ("/queue", Fault(content_type="text/html", status=200, body=b"<html>"), "not whole JSON"),
        ("/prompt", Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "redirects"),
        ("/prompt", Fault(status=413), "too large"),
        ("/view", Fault(status=404), "file is not there any more"),
    ],
    ids=repr,
)
def test_an_answer_that_cannot_be_used_is_a_sentence(ws, server, path, fault, said):
    added(ws, server)
    server.fault_of = lambda seen: fault if seen.path.startswith(path) else None
    error = error_of(ws.generate("a fox", model=MODEL, steps=2))
    assert said in error.message
    assert error.message.endswith((".", "…"))
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "fault", [Fault(image=b"<svg onload=alert(1)>"), Fault(cut=0.5), Fault(image=b"")], ids=repr
)
def test_bytes_that_are_no_picture_are_refused(ws, server, fault):
    added(ws, server)
    server.fault_of = lambda seen: fault if seen.path.startswith("/view") else None
    error = error_of(ws.generate("a fox", model=MODEL, steps=2))
    assert error.kind == "bad_image"


@pytest.mark.req("PRV-7")
def test_a_server_that_is_not_there_is_named_and_tried_again(ws):
    ws.add_provider(ComfyUI("comfy", base_url="http://127.0.0.1:9", pace=fast))
    batch = ws.generate("a fox", model=MODEL)
    (waiting,) = batch.generations
    # In one look: a moment later it is tried again.
    until(lambda: told_in(waiting.detail, "retrying", "cannot be reached"))
    batch.cancel()


# -- the websocket ---------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
def test_without_the_package_it_is_asked_and_says_what_is_missing(ws, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    added(ws, server)
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    assert sent(server, "/ws") == []
    assert "pip install image-workbench[comfyui]" in lines(ws)


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize(
    "fault", [Fault(status=404), Fault(reset_before=True), Fault(status=302)], ids=repr
)
def test_a_websocket_that_is_refused_is_let_be_after_a_while(ws, server, fault):
    server.hold()
    server.fault_of = lambda seen: fault if seen.path.startswith("/ws") else None
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=10)
    until(lambda: "websocket of ComfyUI does not open" in lines(ws))
    server.go_on()
    assert ended(batch).status == "completed"
    assert len(sent(server, "/ws")) == 3


@pytest.mark.req("PRV-4", "PRV-5")
def test_a_websocket_that_breaks_off_is_opened_again(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    until(lambda: server.running and server._clients)
    for _ in range(3):
        count = len(sent(server, "/ws"))
        server.drop_sockets()
        until(lambda count=count: len(sent(server, "/ws")) > count and server._clients)
    server.let(1)
    (generation,) = batch.generations
    until(lambda: generation.record.total_steps == 4)
    server.go_on()
    assert ended(batch).status == "completed"
    assert len(graphs(server)) == 1
    clients = {seen.path for seen in sent(server, "/ws")}
    assert clients == {f"/ws?clientId={server.made[0]}"}


@pytest.mark.req("PRV-4")
def test_the_end_is_found_though_the_websocket_never_says_it(ws, server):
    server.hold()
    added(ws, server, quiet_s=0.2)
    batch = ws.generate("a fox", model=MODEL, steps=2)
    until(lambda: server.running and server._clients)
    server._clients = {}  # the client stays connected and hears nothing any more
    server.go_on()
    assert ended(batch).status == "completed"


@pytest.mark.req("PRV-4")
def test_strange_messages_hurt_nobody(ws, server):
    other = str(uuid.uuid4())
    about = json.dumps({"prompt_id": other}).encode()
    server.strange = [
        "not json",
        "[1]",
        '{"type": "progress"}',
        '{"type": "progress", "data": {"value": "x", "max": null}}',
        '{"type": "progress", "data": {"value": 9, "max": 3}}',
        '{"type": "progress", "data": {"value": 1, "max": 1e400}}',
        json.dumps({"type": "executing", "data": {"node": None, "prompt_id": other}}),
        json.dumps({"type": "execution_error", "data": {"prompt_id": other}}),
        '{"type": "of tomorrow", "data": {}}',
        '{"type": "progress_state", "data": {"nodes": [1]}}',
        "[" * 100_000,
        b"",
        b"\0\0\0\x01",
        b"\0\0\0\x04\xff\xff\xff\xffjunk",
        b"\0\0\0\x04\0\0\0\x02[1junk",
        b"\0\0\0\x04" + len(about).to_bytes(4, "big") + about + png("of somebody else"),
        b"\0\0\0\x03\0\0\0\x01text",
    ]
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    assert ended(batch).status == "completed"
    assert len(graphs(server)) == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "true", '"5"', "-1", "null", "[]"])
def test_numbers_that_are_none_are_no_steps(value):
    text = f'{{"type": "progress", "data": {{"value": {value}, "max": 8}}}}'
    assert read_text(text, "p") in (None, Step(1, 8))
    text = f'{{"type": "progress", "data": {{"value": 1, "max": {value}}}}}'
    assert read_text(text, "p") is None


def test_messages_are_read():
    def read(kind: str, **data):
        return read_text(json.dumps({"type": kind, "data": data}), "p")

    assert read("status", status={}) == QueueMoved()
    assert read("execution_start", prompt_id="p") == Begun()
    assert read("executing", node="3") == Begun()  # without an id: right after a reconnect
    assert read("executing", node=None, prompt_id="p") == Over()
    assert read("executing", node=None, prompt_id="q") is None
    assert read("execution_success", prompt_id="p") == Over()
    nodes = {"1": {"state": "finished", "value": 4, "max": 4},
             "2": {"state": "running", "value": 1.0, "max": 9.0}}  # fmt: skip
    assert read("progress_state", prompt_id="p", nodes=nodes) == Step(1, 9)
    assert read_binary(b"\0\0\0\x01\0\0\0\x02png", "p") == Preview(b"png")
    assert read_binary(b"\0\0\0\x04\0\0\0\x02{}jpeg", "p") == Preview(b"jpeg")


def test_large_previews_are_stored_small(ws, server):
    large = noise(400)
    server._preview = lambda step: large
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=4)
    (generation,) = batch.generations
    until(lambda: server.running and server._clients)
    server.let(1)
    seen = until(lambda: preview_of(ws, generation), "a preview")
    assert 0 < len(seen) <= LARGEST_PREVIEW < len(large)
    server.go_on()
    assert ended(batch).status == "completed"
