"""The Stable Diffusion web UI through the real engine, against an emulator of its API."""

from __future__ import annotations

import base64
import io
import json
import os
import threading

import pytest
from PIL import Image

from tests.providers.checks import TOO_LATE
from tests.providers.sdwebui.world import CANARY, MODEL, _request, added, calls, sent
from tests.providers.world import ended, error_of, fast, shown_one_by_one
from tests.waiting import until
from workbench.domain.jobs import JobInput, JobRequest, Partial, Queued, Running
from workbench.domain.status import Operation
from workbench.errors import InvalidRequest
from workbench.providers import sdwebui
from workbench.providers.sdwebui import SDWebUI
from workbench.testing.emulators.sdwebui import INTERNAL, PROGRESS, TXT2IMG, SDWebUIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- what users see --------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "PRV-7")
def test_without_an_address_it_is_listed_and_says_how_to_set_one(ws):
    ws.add_provider(SDWebUI())
    (info,) = [info for info in ws.providers() if info.name == "sdwebui"]
    assert (info.state.ready, info.state.code) == (False, "unreachable")
    assert "SDWEBUI_URL" in info.state.message
    assert "--api" in info.state.message
    with pytest.raises(InvalidRequest, match="SDWEBUI_URL"):
        ws.generate("a fox", model="sdwebui:current")


@pytest.mark.req("PRV-2", "PRV-7")
def test_address_and_password_come_from_the_environment(ws, monkeypatch):
    with SDWebUIEmulator(key=CANARY) as server:
        ws.add_provider(SDWebUI(pace=fast))
        monkeypatch.setenv("SDWEBUI_URL", f"{server.base_url}/")
        error = error_of(ws.generate("a fox", model="sdwebui:current"))
        assert error.kind == "auth"
        assert "SDWEBUI_AUTH" in error.message
        monkeypatch.setenv("SDWEBUI_AUTH", "nonsense")
        (info,) = [info for info in ws.providers() if info.name == "sdwebui"]
        assert (info.state.ready, info.state.code) == (False, "error")
        assert "password" in info.state.message
        monkeypatch.setenv("SDWEBUI_AUTH", CANARY)
        assert ended(ws.generate("a fox", model="sdwebui:current")).status == "completed"
        basic = base64.b64encode(CANARY.encode()).decode()
        assert calls(server)[-1].headers["authorization"] == f"Basic {basic}"


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_and_cost_nothing(ws, server):
    added(ws, server)
    done = ended(
        ws.generate(
            "a red fox", model=MODEL, n=2, seed=7, width=640, height=384, steps=3, guidance=5.5,
            negative_prompt="fog", sampler="Euler a", scheduler="Karras",
        )
    )  # fmt: skip
    assert done.status == "completed"
    assert [g.asset.path.read_bytes() for g in done.generations] == [
        png("a red fox|7"),
        png("a red fox|8"),
    ]
    assert [(g.seed, g.cost) for g in done.generations] == [(7, 0), (8, 0)]
    asked = calls(server)[0].json()
    id = asked.pop("force_task_id")
    assert id.startswith("task(workbench-")
    assert asked == {
        "prompt": "a red fox",
        "negative_prompt": "fog",
        "width": 640,
        "height": 384,
        "steps": 3,
        "cfg_scale": 5.5,
        "seed": 7,
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
        "sampler_name": "Euler a",
        "scheduler": "Karras",
    }
    assert len({seen.json()["force_task_id"] for seen in calls(server)}) == 2
    assert server.images_charged == 2
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-2")
def test_a_large_seed_is_sent_as_the_server_takes_it_and_kept_as_it_says(ws, server):
    added(ws, server)
    done = ended(ws.generate("a fox", model=MODEL, seed=2**40 + 5, steps=2))
    assert calls(server)[0].json()["seed"] == 5
    assert done.generations[0].seed == 5


@pytest.mark.req("PRV-2")
@pytest.mark.parametrize("how", [{"grid": True}, {"maps": 2}, {"grid": True, "maps": 1}])
def test_grids_and_maps_are_no_pictures(ws, how):
    with SDWebUIEmulator(**how) as server:
        added(ws, server)
        done = ended(ws.generate("a fox", model=MODEL, seed=3, steps=2))
        assert [g.asset.path.read_bytes() for g in done.all_generations()] == [png("a fox|3")]


def test_pictures_may_come_as_data_addresses_and_with_another_prompt(ws, server):
    added(ws, server)
    info = {"all_seeds": [11], "all_prompts": ["a fox, masterpiece"], "index_of_first_image": 0}
    picture = f"data:image/png;base64,{base64.b64encode(png('x')).decode()}"
    body = json.dumps({"images": [picture], "parameters": {}, "info": json.dumps(info)}).encode()
    server.fault_of = lambda seen: Fault(status=200, body=body) if seen.path == TXT2IMG else None
    (made,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert made.asset.path.read_bytes() == png("x")
    assert (made.seed, made.record.prompt_sent) == (11, "a fox, masterpiece")


@pytest.mark.req("PRV-8")
def test_a_reference_is_painted_anew(ws, server):
    added(ws, server)
    picture = png("a house")
    done = ended(
        ws.generate("a castle", model=MODEL, source=picture, strength=0.4, steps=2, hires_scale=2)
    )
    assert (done.status, done.generations[0].operation) == ("completed", "edit")
    (seen,) = calls(server)
    assert seen.path == "/sdapi/v1/img2img"
    asked = seen.json()
    assert base64.b64decode(asked["init_images"][0]) == picture
    assert (asked["denoising_strength"], asked["resize_mode"]) == (0.4, 1)
    assert "enable_hr" not in asked
    two = ws.generate("x", model=MODEL, source=picture, references=[picture])
    assert "takes one picture; 2" in error_of(two).message


@pytest.mark.req("PRV-8")
async def test_what_is_transparent_in_a_mask_is_painted_anew(server):
    mask = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    mask.putpixel((2, 3), (0, 0, 0, 0))
    out = io.BytesIO()
    mask.save(out, "PNG")
    provider = SDWebUI("webui", base_url=server.base_url, pace=fast)
    inputs = (
        JobInput("a", "source", 0, "image/png", lambda: png("photo")),
        JobInput("m", "mask", 0, "image/png", out.getvalue),
    )
    params = {"steps": 2, "masked_content": "noise", "only_masked": True}
    request = _request(operation=Operation.INPAINT, inputs=inputs, params=params)
    await _events(provider, request)
    asked = calls(server)[0].json()
    with Image.open(io.BytesIO(base64.b64decode(asked["mask"]))) as image:
        white = image.convert("L")
        assert (white.getpixel((2, 3)), white.getpixel((0, 0))) == (255, 0)
    assert (asked["inpainting_fill"], asked["inpaint_full_res"], asked["mask_blur"]) == (2, True, 4)
    with pytest.raises(InvalidRequest, match="a mask needs a picture"):
        await provider.submit(_request(inputs=inputs[1:]))
    await provider.close()


async def _events(provider: SDWebUI, request: JobRequest) -> list:
    ref = await provider.submit(request)
    return [event async for event in provider.events(request, ref)]


def test_hires_fix_is_asked_for_where_it_is_wanted(ws, server):
    added(ws, server)
    ended(ws.generate("x", model=MODEL, steps=2, hires_scale=1.5, hires_strength=0.3))
    asked = calls(server)[0].json()
    assert (asked["enable_hr"], asked["hr_scale"], asked["denoising_strength"]) == (True, 1.5, 0.3)


@pytest.mark.req("PRV-2")
def test_checkpoints_are_models_once_they_were_asked_for(ws, server):
    import asyncio

    provider = added(ws, server)
    assert asyncio.run(provider.discover()) == ["v1-5-pruned", "sd_xl_base_1"]
    names = [model.id for model in ws.models() if model.provider == "webui"]
    assert names == ["webui:current", "webui:v1-5-pruned", "webui:sd_xl_base_1"]
    ended(ws.generate("a fox", model="webui:v1-5-pruned", steps=2))
    ended(ws.generate("a fox", model=MODEL, checkpoint="sd_xl_base_1.0.safetensors", steps=2))
    asked = [seen.json() for seen in calls(server)]
    assert [one["override_settings"]["sd_model_checkpoint"] for one in asked] == server.checkpoints
    assert not asked[0]["override_settings_restore_afterwards"]
    assert asyncio.run(provider.test()) == (
        "Stable Diffusion web UI answered; it has 2 checkpoints."
    )


# -- how far it is ---------------------------------------------------------------------------------


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("internal", [True, False])
def test_steps_and_previews_are_shown_on_the_way(ws, internal):
    with SDWebUIEmulator(internal=internal) as server:
        server.hold()
        server.let(1)
        added(ws, server)
        (generation,) = ws.generate("a fox", model=MODEL, steps=5).generations
        sketches = {step: png(f"a fox at {step}", width=8, height=8) for step in range(1, 5)}
        looks = [((step, 5), sketch) for step, sketch in sketches.items()]
        shown_one_by_one(ws, generation, looks, lambda: server.let(1))


@pytest.mark.req("PRV-4")
def test_the_place_in_the_queue_is_told_and_others_previews_are_not_shown(ws, server):
    server.hold()
    theirs = server.occupy()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=2)
    (generation,) = batch.generations
    until(lambda: "#1" in generation.detail)
    assert generation.status == "queued"
    server.go_on()
    theirs.join(45)
    assert ended(batch).status == "completed"


@pytest.mark.req("PRV-4")
async def test_another_users_picture_in_the_page_is_never_ours(server):
    """Where ids are not taken, what the page makes is still told by its name."""
    with SDWebUIEmulator(internal=False) as old:
        old.hold()
        theirs = old.occupy("task(page)")
        old.let(3)  # of 8: there is a preview of theirs
        until(lambda: old._state["sampling_step"] == 3)
        provider = SDWebUI("webui", base_url=old.base_url, pace=fast)
        request = _request()
        ref = await provider.submit(request)
        events = []
        async for event in provider.events(request, ref):
            events.append(event)
            if event == Queued():
                old.let(5)  # the rest of theirs
            if isinstance(event, Running) and event.total is not None:
                old.let(1)  # ours goes on when a step of it was seen
        theirs.join(45)
        sketches = [event.data for event in events if isinstance(event, Partial)]
        assert not [
            one for one in sketches if one == png("somebody else's at 3", width=8, height=8)
        ]
        assert any(isinstance(event, Running) and event.step > 1 for event in events)
        await provider.close()


@pytest.mark.req("PRV-4")
def test_a_server_without_progress_makes_pictures_all_the_same(ws):
    with SDWebUIEmulator(progress=False) as server:
        server.hold()
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, steps=4)
        until(lambda: sent(server, PROGRESS))
        server.go_on()
        done = ended(batch)
        assert done.status == "completed"
        assert len(sent(server, INTERNAL)) == 1
        assert len(sent(server, PROGRESS)) == 2  # once on the way, and once at the end


@pytest.mark.req("PRV-4")
def test_an_older_server_that_takes_no_ids_is_asked_what_it_makes(ws):
    with SDWebUIEmulator(ids=False) as server:
        server.hold()
        server.let(3)
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, steps=8)
        (generation,) = batch.generations
        until(lambda: (generation.record.step or 0) > 2)
        server.go_on()
        assert ended(batch).status == "completed"
        assert 1 <= len(sent(server, INTERNAL)) <= 4


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(reset_before=True),
        Fault(status=200, body=b"<html>"),
        Fault(status=200, body=b"[]"),
        Fault(status=200, body=b'{"active": true, "progress": "half", "live_preview": "%%"}'),
        Fault(status=200, body=b'{"active": true, "progress": 1e999, "id_live_preview": []}'),
        Fault(status=200, body=b'{"state": {"job": 7, "sampling_step": 9, "sampling_steps": 3}}'),
        TOO_LATE,
    ],
    ids=repr,
)
def test_progress_that_goes_wrong_does_not_hurt_the_picture(ws, server, fault, monkeypatch):
    monkeypatch.setattr(sdwebui, "_LAST_LOOK_S", 2.0)
    server.hold()
    server.fault_of = lambda seen: fault if "progress" in seen.path else None
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=6)
    until(lambda: any("progress" in seen.path for seen in server.requests))
    server.go_on()
    assert ended(batch).status == "completed"
    assert len(server.made) == 1
    if fault is TOO_LATE:
        # What was asked on the way is not waited for: only the question at the end has its time.
        assert len([seen for seen in server.requests if "progress" in seen.path]) == 2


async def test_large_previews_are_made_small(server):
    out = io.BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(480_000)).save(out, "PNG")
    real = server._sample

    shown = threading.Event()

    def sample(steps, what):
        server._sketch = out.getvalue()
        shown.wait(45)  # it is made when a preview was seen
        return real(1, what)

    server._sample = sample
    provider = SDWebUI("webui", base_url=server.base_url, pace=fast)
    request = _request()
    sizes = []
    async for event in provider.events(request, await provider.submit(request)):
        if isinstance(event, Partial):
            sizes.append(len(event.data))
            shown.set()
    assert sizes
    assert max(sizes) <= 256_000
    await provider.close()
