"""The Stable Diffusion web UI through the real engine, against an emulator of its API."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

import pytest

import workbench as wb
from tests.providers.checks import DRIPPING, assert_put_off, told_in
from tests.providers.sdwebui.world import CANARY, MODEL, _request, added, calls, sent
from tests.providers.world import PUT_OFF, ended, error_of, fast
from tests.waiting import until
from workbench.domain.jobs import JobInput, JobRef
from workbench.errors import ProviderError
from workbench.providers.http import Patience
from workbench.providers.sdwebui import SDWebUI
from workbench.providers.sdwebui_wire import fields_of
from workbench.testing.emulators.sdwebui import INTERNAL, TXT2IMG, SDWebUIEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

# -- cancelling ------------------------------------------------------------------------------------


@pytest.mark.req("PRV-6")
def test_a_cancel_interrupts_our_own_picture(ws, server):
    server.hold()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=50)
    until(lambda: server.job == "scripts_txt2img")
    batch.cancel()
    until(lambda: server.interrupts == 1)
    until(lambda: not server.job)
    assert ended(batch).status == "cancelled"
    assert server.made == []


@pytest.mark.req("PRV-6")
def test_a_cancel_of_what_waits_interrupts_it_when_its_turn_comes_and_nobody_else(ws, server):
    server.hold()
    theirs = server.occupy()
    added(ws, server)
    batch = ws.generate("a fox", model=MODEL, steps=50)
    until(lambda: server._pending)
    batch.cancel()
    until(lambda: any(not s.json()["live_preview"] for s in sent(server, INTERNAL)))
    assert server.interrupts == 0
    server.let(8)  # theirs has no more; ours waits before its first one until it is interrupted
    theirs.join(45)
    until(lambda: server.interrupts == 1)
    until(lambda: server._finished)
    assert server._state["sampling_step"] < 50


@pytest.mark.req("PRV-6")
@pytest.mark.parametrize("how", [{"internal": False}, {"ids": False}])
def test_where_nobody_can_say_whose_picture_it_is_none_is_interrupted(ws, how):
    with SDWebUIEmulator(**how) as server:
        server.hold()
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, steps=50)
        until(lambda: server.job)
        batch.cancel()
        until(
            lambda: any("does not say whose picture" in repr(entry) for entry in ws.debug.entries())
        )
        assert server.interrupts == 0
        assert ended(batch).status == "cancelled"


async def test_a_cancel_of_what_is_made_already_does_nothing(server):
    provider = SDWebUI("webui", base_url=server.base_url, pace=fast)
    request = _request()
    ref = await provider.submit(request)
    assert [type(e).__name__ async for e in provider.events(request, ref)][-1] == "Done"
    await provider.cancel(JobRef(ref.remote_id))
    assert sent(server, "/sdapi/v1/interrupt") == []
    await provider.close()


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("internal", [True, False])
def test_an_interruption_in_the_page_is_said_and_its_half_picture_is_none(ws, internal):
    with SDWebUIEmulator(internal=internal) as server:
        server.hold()
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, steps=8)
        until(lambda: server.job)
        server._state["interrupted"] = True
        server._interrupt.set()
        error = error_of(batch)
        assert error.kind == "bad_request"
        assert "interrupted in the web UI" in error.message
        assert len(calls(server)) == 1


# -- faults ----------------------------------------------------------------------------------------


def only_calls(*faults: Fault):
    left = list(faults)
    return lambda seen: left.pop(0) if left and seen.path == TXT2IMG else None


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"sampler": "of nobody"}, "Sampler not found"),
        ({"scheduler": "of nobody"}, "Scheduler not found"),
        ({"checkpoint": "of nobody"}, "model 'of nobody' not found"),
    ],
)
def test_what_the_server_refuses_is_a_sentence(ws, server, params, said):
    added(ws, server)
    error = error_of(ws.generate("a fox", model=MODEL, **params))
    assert (error.kind, error.charged) == ("bad_request", False)
    assert said in error.message
    assert len(calls(server)) == 1


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault(status=404, body=b'{"detail": "Not Found"}'), "bad_request", "--api"),
        (Fault(status=401), "auth", "did not accept"),
        (Fault(status=413), "bad_request", "too large"),
        (
            Fault(status=422, body=b'{"detail": [{"loc": ["body", "steps"], "msg": "too many"}]}'),
            "bad_request",
            "steps: too many",
        ),
        (Fault(status=500, code="OutOfMemoryError"), "bad_request", "not enough memory"),
        (Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}), "bad_request", "redirect"),
        (Fault(status=200, body=b"<html>Sign in"), "bad_request", "not whole JSON"),
        (Fault(status=200, body=b"[]"), "bad_request", "JSON of another shape"),
        (Fault(images=0), "blocked", "content policy"),
        (Fault(image=b"<svg>"), "bad_image", ""),
        (Fault(cut=0.5), "bad_image", ""),
        (Fault(image=b""), "blocked", ""),
        (Fault(content_type="text/html", status=400, body=b"<h1>no</h1>"), "bad_request", "accept"),
        (Fault(status=400, body=b'{"error": "text alone"}'), "bad_request", "text alone"),
    ],
    ids=repr,
)
def test_a_failure_is_typed_and_not_tried_again(ws, server, fault, kind, said):
    added(ws, server)
    server.fault_of = only_calls(fault)
    error = error_of(ws.generate("a fox", model=MODEL, steps=2))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert len(calls(server)) == 1
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-4", "PRV-7")
@pytest.mark.parametrize(
    "fault",
    [
        *PUT_OFF,
        Fault(status=504),
        Fault(reset_before=True),
        Fault(reset_after=0),
        Fault(reset_after=40),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again(ws, server, fault):
    """Nothing is paid for, so that a call whose answer was lost is made again."""
    added(ws, server)
    server.fault_of = only_calls(fault)
    assert ended(ws.generate("a fox", model=MODEL, steps=2)).status == "completed"
    assert len(calls(server)) == 2


@pytest.mark.req("PRV-4")
def test_what_retry_after_asks_for_is_waited(ws, server):
    added(ws, server)
    server.fault_of = only_calls(Fault(status=429, headers={"Retry-After": "300"}))
    assert_put_off(ws.generate("a fox", model=MODEL, steps=2), server, 300, calls)


@pytest.mark.req("PRV-7")
def test_an_answer_that_drips_ends_at_the_limit_of_time(ws, server):
    added(ws, server, patience=Patience(total_s=1.0))
    server.fault_of = lambda seen: DRIPPING if seen.path == TXT2IMG else None
    batch = ws.generate("a fox", model=MODEL, steps=2)
    (waiting,) = batch.generations
    # In one look: a moment later it is tried again.
    until(lambda: told_in(waiting.detail, "retrying", "did not answer in time"))
    batch.cancel()


def test_more_pictures_than_one_are_one(ws, server):
    added(ws, server)
    server.fault_of = only_calls(Fault(images=3))
    done = ended(ws.generate("a fox", model=MODEL, seed=2, steps=2))
    assert [g.asset.path.read_bytes() for g in done.all_generations()] == [png("a fox|2")]


@pytest.mark.req("PRV-5")
def test_a_picture_that_was_being_made_when_its_process_closed_is_made_again(
    workspace_home, server
):
    server.hold()
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate("a fox", model=MODEL, seed=4, steps=3)
        until(lambda: server.job)
    server.go_on()
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        made = again.batch(batch.id).wait(30)
        assert made.status == "completed"
        assert made.generations[0].asset.path.read_bytes() == png("a fox|4")
        assert again.doctor().problems == []


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
def test_a_password_is_nowhere_after_everything_went_wrong(workspace_home, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    password = CANARY.partition(":")[2]
    basic = base64.b64encode(CANARY.encode()).decode()
    shown = []
    with (
        SDWebUIEmulator(key=CANARY) as server,
        wb.open(workspace_home / "ws", user="ada") as ws,
    ):
        added(ws, server, key=CANARY)
        for fault in (
            None,
            Fault(status=401),
            Fault(status=400, body=json.dumps({"detail": f"Basic {basic} {CANARY}"}).encode()),
            Fault(status=400, body=json.dumps({"detail": f"password {password}!"}).encode()),
            Fault(image=password.encode()),
        ):
            server.fault_of = only_calls(*([fault] if fault else []))
            batch = ended(ws.generate("a fox", model=MODEL, steps=2))
            shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
        provider = ws._engine.registry.providers["webui"]
        shown += [repr(vars(provider)), repr(vars(provider._line)), ws.frame().to_csv()]
        shown += [repr(entry) for entry in ws.debug.entries()]
        assert ws.doctor().problems == []
    shown += [caplog.text, *capfd.readouterr()]
    for secret in (password, basic):
        assert not [text for text in shown if secret in text]
        for path in Path(workspace_home).rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path


def test_a_short_password_does_not_spoil_sentences():
    provider = SDWebUI("webui", base_url="http://127.0.0.1:9", key="ann:a")
    assert provider._line.clean("a fox and a hat") == "a fox and a hat"


async def test_a_model_that_is_gone_is_a_sentence():
    provider = SDWebUI("webui", base_url="http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="no model of-nobody any more"):
        await provider.submit(_request(model="of-nobody"))


def test_what_is_sent_is_what_the_web_ui_knows():
    """Names of modules/api/models.py and modules/processing.py, as far as they are used here."""
    known = {
        "prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "seed", "batch_size",
        "n_iter", "send_images", "save_images", "sampler_name", "scheduler", "override_settings",
        "override_settings_restore_afterwards", "enable_hr", "hr_scale", "denoising_strength",
        "resize_mode", "mask_blur", "inpainting_fill", "inpaint_full_res", "inpainting_mask_invert",
    }  # fmt: skip
    params = {
        "steps": 1, "guidance": 1, "sampler": "x", "scheduler": "x", "checkpoint": "x",
        "hires_scale": 2,
    }  # fmt: skip
    entry = SDWebUI()._entries()["current"]
    one = JobInput("a", "source", 0, "image/png", bytes)
    mask = JobInput("m", "mask", 0, "image/png", bytes)
    with_pictures = _request(params=params, inputs=(one, mask))
    fields = fields_of(_request(params=params), entry) | fields_of(with_pictures, entry)
    assert set(fields) == known
