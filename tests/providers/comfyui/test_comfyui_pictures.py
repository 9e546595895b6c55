"""ComfyUI through the real engine, against an emulator with queue, history and websocket."""

from __future__ import annotations

import copy
import threading
import uuid

import pytest

from tests.providers.comfyui.world import GRAPH, MODEL, _request, added, graphs, sent
from tests.providers.world import ended, error_of, fast, shown_one_by_one
from tests.waiting import until
from workbench.domain.jobs import JobInput
from workbench.domain.status import Operation
from workbench.errors import ErrorKind, InvalidRequest, ProviderError
from workbench.providers import comfyui_socket
from workbench.providers.comfyui import ComfyUI
from workbench.providers.http import Patience
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what users see --------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_an_address_it_is_listed_and_says_how_to_set_one(ws, monkeypatch):
    monkeypatch.delenv("COMFYUI_URL", raising=False)
    ws.add_provider(ComfyUI())
    (info,) = [info for info in ws.providers() if info.name == "comfyui"]
    assert (info.state.ready, info.state.code) == (False, "unreachable")
    assert "COMFYUI_URL" in info.state.message
    assert "http://127.0.0.1:8188" in info.state.message
    with pytest.raises(InvalidRequest, match="COMFYUI_URL"):
        ws.generate("a fox", model="comfyui:text-to-image")


@pytest.mark.req("PRV-2")
def test_the_address_comes_from_the_environment_and_may_be_set_later(ws, server, monkeypatch):
    ws.add_provider(ComfyUI(pace=fast))
    monkeypatch.setenv("COMFYUI_URL", "nonsense")
    (info,) = [info for info in ws.providers() if info.name == "comfyui"]
    assert (info.state.ready, info.state.code) == (False, "error")
    monkeypatch.setenv("COMFYUI_URL", f" {server.base_url}/\n")
    made = ended(ws.generate("a fox", model="comfyui:text-to-image", steps=2))
    assert made.status == "completed"


async def test_a_test_names_version_and_checkpoints(server, monkeypatch):
    provider = ComfyUI(base_url=server.base_url)
    assert await provider.test() == "ComfyUI 0.3.64 answered; it has 1 checkpoint."
    monkeypatch.setattr(comfyui_socket, "library", lambda: None)
    assert "image-workbench[comfyui]" in await provider.test()
    server.fault_of = lambda seen: Fault(status=200, body=b"{}")
    with pytest.raises(ProviderError, match="no ComfyUI"):
        await provider.test()
    await provider.close()


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_and_cost_nothing(ws, server):
    added(ws, server)
    done = ended(
        ws.generate(
            "a red fox", model=MODEL, n=2, seed=7, width=640, height=384, steps=3,
            guidance=5.5, negative_prompt="fog", sampler="ddim", scheduler="karras",
        )
    )  # fmt: skip
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png("a red fox|7|0"),
        png("a red fox|8|0"),
    ]
    assert [(g.seed, g.cost) for g in done.generations] == [(7, 0), (8, 0)]
    both = [one.json() for one in sent(server, "/prompt")]
    (asked,) = [one for one in both if one["prompt"]["sampler"]["inputs"]["seed"] == 7]
    assert set(asked) == {"prompt", "client_id", "prompt_id"}
    assert asked["prompt_id"] == asked["client_id"] == str(uuid.UUID(asked["prompt_id"]))
    graph = asked["prompt"]
    assert graph["sampler"]["inputs"] == {
        "model": ["checkpoint", 0],
        "positive": ["prompt", 0],
        "negative": ["negative", 0],
        "latent_image": ["canvas", 0],
        "seed": 7,
        "steps": 3,
        "cfg": 5.5,
        "sampler_name": "ddim",
        "scheduler": "karras",
        "denoise": 1.0,
    }
    assert graph["canvas"]["inputs"] == {"width": 640, "height": 384, "batch_size": 1}
    assert (graph["prompt"]["inputs"]["text"], graph["negative"]["inputs"]["text"]) == (
        "a red fox",
        "fog",
    )
    # None was named: it is the first that the server has.
    assert graph["checkpoint"]["inputs"] == {"ckpt_name": "tiny.safetensors"}
    assert all("origin" not in seen.headers for seen in server.requests)
    assert server.images_charged == 2
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4")
def test_steps_and_previews_are_shown_on_the_way(ws, server):
    server.hold()
    added(ws, server)
    (generation,) = ws.generate("a fox", model=MODEL, steps=5).generations
    until(lambda: server.running and server._clients)  # what is said before is heard by nobody
    server.let(1)
    sketches = {step: png(f"step {step}", width=8, height=8) for step in range(1, 5)}
    looks = [((step, 5), sketch) for step, sketch in sketches.items()]
    shown_one_by_one(ws, generation, looks, lambda: server.let(1))


@pytest.mark.req("PRV-4")
def test_the_place_in_the_queue_is_told_as_it_changes(ws, server):
    server.hold()
    others = [server.put(_with_seed(seed)) for seed in (1, 2)]
    until(lambda: server.running == others[0])
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=2)
    (generation,) = batch.generations
    until(lambda: "#2" in generation.detail)
    assert generation.status == "queued"
    server._delete(others[1])
    until(lambda: "#1" in generation.detail)
    server.go_on()
    assert ended(batch).status == "completed"


def _with_seed(seed: int) -> dict:
    graph = copy.deepcopy(GRAPH)
    graph["3"]["inputs"]["seed"] = seed
    return graph


@pytest.mark.req("PRV-2")
def test_what_is_in_the_servers_cache_comes_at_once(ws, server):
    added(ws, server)
    first = ended(ws.generate("a fox", model=MODEL, seed=5, steps=2))
    again = ended(ws.generate("a fox", model=MODEL, seed=5, steps=2))
    paths = [batch.generations[0].asset.path.read_bytes() for batch in (first, again)]
    assert paths[0] == paths[1]
    assert len(server.files) == 1


@pytest.mark.req("PRV-8")
def test_a_reference_is_uploaded_and_painted_anew(ws, server):
    added(ws, server)
    picture = png("a house")
    for _ in range(2):
        done = ended(
            ws.generate(
                "a castle",
                model="comfy:image-to-image",
                references=[picture],
                strength=0.4,
                steps=2,
            )
        )
        assert done.status == "completed"
    (name,) = [name for folder, name in server.files if folder == "input"]
    assert server.files["input", name] == picture
    upload = sent(server, "/upload/image")[0]
    assert [(part.name, part.content_type) for part in upload.parts()] == [
        ("type", "text/plain"),
        ("image", "image/png"),
    ]
    graph = graphs(server)[0]
    assert graph["picture"]["inputs"]["image"] == name
    assert graph["sampler"]["inputs"]["denoise"] == 0.4
    assert done.generations[0].operation == "edit"


@pytest.mark.req("PRV-8")
def test_a_source_counts_as_the_first_picture(ws, server):
    added(ws, server)
    done = ended(ws.generate("x", model="comfy:image-to-image", source=png("a house"), steps=2))
    assert done.status == "completed"
    both = ws.generate(
        "x", model="comfy:image-to-image", source=png("a house"), references=[png("b")]
    )
    assert "takes 1; 2 came in" in error_of(both).message


# -- masks, sources, models ------------------------------------------------------------------------


async def test_source_references_and_mask_go_where_they_were_declared(server):
    graph = copy.deepcopy(GRAPH)
    for id, kind in (("10", "LoadImage"), ("11", "LoadImage"), ("12", "LoadImageMask")):
        graph[id] = {"class_type": kind, "inputs": {"image": "x.png", "channel": "alpha"}}
        graph[f"{id}0"] = {"class_type": "PreviewImage", "inputs": {"images": [id, 0]}}
    graph["120"]["inputs"]["images"] = ["10", 0]
    told = {
        "workflow": graph,
        "inputs": {"references": "11.image", "source": "10.image", "mask": "12.image"},
        "output": "9",
    }
    provider = ComfyUI("comfy", base_url=server.base_url, pace=fast, workflows={"mine": told})

    def given(role: str) -> JobInput:
        return JobInput(role, role, 0, "image/png", lambda: png(role))

    request = _request(
        model="mine",
        operation=Operation.INPAINT,
        inputs=(given("mask"), given("reference"), given("source")),
    )
    ref = await provider.submit(request)
    (graph,) = graphs(server)
    names = {role: server.files["input", graph[id]["inputs"]["image"]]
             for role, id in (("source", "10"), ("reference", "11"), ("mask", "12"))}  # fmt: skip
    assert names == {role: png(role) for role in names}
    events = [event async for event in provider.events(request, ref)]
    assert type(events[-1]).__name__ == "Done"
    with pytest.raises(InvalidRequest, match="mask: mine takes 1; 2 came in"):
        await provider.submit(_request(model="mine", inputs=(given("mask"), given("mask"))))
    await provider.close()


async def test_a_workflow_that_is_gone_is_a_sentence():
    provider = ComfyUI(base_url="http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="no model mine any more") as caught:
        await provider.submit(_request(model="mine"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


# -- many at once ----------------------------------------------------------------------------------


def test_jobs_of_one_batch_do_not_hear_each_other(ws, server):
    server.step_s = 0.02
    added(ws, server, concurrency=4)
    done = ended(ws.generate("a fox", model=MODEL, seed=10, n=4, steps=5))
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png(f"a fox|{seed}|0") for seed in range(10, 14)
    ]
    assert threading.active_count() < 100


@pytest.mark.req("PRV-7")
def test_a_job_that_takes_too_long_ends_and_is_taken_out(ws, server):
    server.hold()
    added(ws, server, deadline_s=0.5, patience=Patience(total_s=5))
    error = error_of(ws.generate("a fox", model=MODEL))
    assert error.kind == "transient"
    until(lambda: sent(server, "/interrupt") or not server.waiting)
    server.go_on()
