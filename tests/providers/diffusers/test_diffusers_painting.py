"""Diffusers in process. Above: what holds without torch. Below: the real libraries, no fakes.

The lower part runs where torch, diffusers and transformers are installed (`make test-diffusers`),
with tiny pipelines that are made on the spot.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import threading
import time
import weakref
from pathlib import Path

import pytest

import workbench as wb
from tests.providers.diffusers.world import (
    asked,
    events_of,
    free_within,
    needs_torch,
    opened,
    picture_of,
    run,
    source_of,
)
from tests.waiting import until
from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobRef,
    Log,
    Partial,
    Running,
)
from workbench.errors import ErrorKind, ProviderError
from workbench.providers.local_diffusers import Diffusers
from workbench.testing.pictures import png

# -- with the libraries ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def slow(one_thread, tmp_path_factory) -> Path:
    """One with steps that take a while."""
    from workbench.testing.tiny_pipeline import make_tiny_pipeline

    folder = tmp_path_factory.mktemp("pipelines") / "slow"
    return make_tiny_pipeline(folder, seed=1, blocks=(64, 128))


@needs_torch
@pytest.mark.req("PRV-2", "PRV-4")
def test_pictures_come_with_steps_and_what_made_them(ws, tiny):
    ws.add_provider(Diffusers(models={"tiny": tiny}, device="cpu"))
    batch = ws.generate("a red fox", model="diffusers:tiny", n=2, seed=3, steps=4).wait(40)
    assert [(g.status, g.seed, g.record.total_steps) for g in batch.generations] == [
        ("completed", 3, 4),
        ("completed", 4, 4),
    ]
    assert all(opened(g.asset.read()).size == (64, 64) for g in batch.generations)
    assert batch.generations[0].asset.id != batch.generations[1].asset.id
    again = ws.generate("a red fox", model="diffusers:tiny", seed=4, steps=4).wait(40)
    assert again.generations[0].asset.id == batch.generations[1].asset.id
    (info,) = [info for info in ws.providers() if info.name == "diffusers"]
    assert info.state.message == "In memory: tiny: 5 MB on cpu as float32."
    assert info.help.endswith(info.state.message)
    said = [entry.text for entry in ws.debug.entries()]
    assert any(text.startswith("tiny: 5 MB on cpu as float32, loaded in") for text in said)
    assert ws.doctor().problems == []


@needs_torch
async def test_the_events_of_a_picture(provider):
    events = await events_of(provider, asked(steps=5, n=2))
    assert [one.text for one in events[:1] if isinstance(one, Log)] == ["loading tiny"]
    for index in (0, 1):
        steps = [one.step for one in events if isinstance(one, Running) and one.index == index]
        assert steps == [0, 1, 2, 3, 4, 5]
    assert [one.index for one in events if isinstance(one, ImageReady)] == [0, 1]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.cost is None
    assert done.usage["pipeline"] == "StableDiffusionPipeline"
    assert (done.usage["device"], done.usage["dtype"]) == ("cpu", "float32")
    assert done.usage["torch"].startswith("2.")


@needs_torch
async def test_the_same_seed_gives_the_same_bytes_and_another_one_others(provider):
    first = await picture_of(provider, asked(seed=7, steps=3))
    assert await picture_of(provider, asked(seed=7, steps=3)) == first
    assert await picture_of(provider, asked(seed=2**63 - 1, steps=3)) != first
    # Whoever else draws random numbers here is not disturbed, and does not disturb.
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert await picture_of(provider, asked(seed=7, steps=3)) == first
    assert torch.rand(1) == expected


@needs_torch
async def test_what_is_asked_for_changes_the_picture(provider):
    plain = await picture_of(provider, asked(steps=3))
    assert await picture_of(provider, asked(steps=3, negative="fog")) != plain
    assert await picture_of(provider, asked(steps=3, guidance_scale=1.0)) != plain
    assert await picture_of(provider, asked(steps=4)) != plain
    assert opened(await picture_of(provider, asked(steps=2, size=(96, 40)))).size == (96, 40)


@needs_torch
@pytest.mark.req("PRV-4")
async def test_previews_are_small_and_few(made, slow):
    provider = made(slow=slow)
    started = time.monotonic()
    events = await events_of(provider, asked("slow", steps=40, size=(96, 48)))
    took = time.monotonic() - started
    previews = [one for one in events if isinstance(one, Partial)]
    assert 1 <= len(previews) <= 1 + took / 0.5
    for one in previews:
        image = opened(one.data)
        assert image.format == "WEBP"
        assert image.size == (256, 128)
        assert len(one.data) < 256_000
    # None of the finished picture.
    places = [place for place, one in enumerate(events) if isinstance(one, Partial)]
    last = [place for place, one in enumerate(events) if isinstance(one, Running)][-1]
    assert max(places) < last


@needs_torch
async def test_an_autoencoder_without_an_encoder_gives_pictures_without_previews(made, copy):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(copy / "vae")
    vae.encoder.conv_in.weight.data.fill_(float("nan"))
    vae.save_pretrained(copy / "vae")
    provider = made(tiny=copy)
    events = await events_of(provider, asked(steps=6))
    assert [one for one in events if isinstance(one, Partial)] == []
    assert [one for one in events if isinstance(one, ImageReady)]
    assert "No previews of tiny" in "".join(one.text for one in events if isinstance(one, Log))


@needs_torch
@pytest.mark.req("PRV-8")
async def test_an_image_to_begin_with_keeps_its_shape_unless_a_size_is_chosen(provider):
    begin = png("a hat", width=300, height=200)
    given = (source_of(begin),)
    same = await picture_of(provider, asked(steps=4, strength=0.5, inputs=given))
    assert opened(same).size == (80, 56)
    usual = await picture_of(provider, asked(steps=4, strength=0.5, inputs=given, size=(64, 64)))
    assert usual == same
    chosen = asked(steps=4, strength=0.5, inputs=given, size=(128, 64))
    assert opened(await picture_of(provider, chosen)).size == (128, 64)
    with pytest.raises(ProviderError, match="cannot be read"):
        await picture_of(provider, asked(steps=4, inputs=(source_of(b"nothing"),)))
    reference = (source_of(begin, "reference"),)
    assert await picture_of(provider, asked(steps=4, strength=0.5, inputs=reference)) == same


@needs_torch
@pytest.mark.req("PRV-8")
def test_image_to_image_through_the_workspace(ws, tiny):
    ws.add_provider(Diffusers(models={"tiny": tiny}, device="cpu"))
    source = png("a hat", width=64, height=64)
    batch = ws.generate(
        "a hat", model="diffusers:tiny", source=source, steps=10, strength=0.5, seed=1
    ).wait(40)
    (made,) = batch.generations
    assert made.status == "completed", made.error
    assert made.operation == "edit"
    assert made.record.total_steps == 5
    # Where a part of the steps would be none, there is one.
    for strength, steps, made_steps in ((0.05, 4, 1), (0.3, 1, 1), (1.0, 4, 4)):
        batch = ws.generate(
            "a hat", model="diffusers:tiny", source=source, steps=steps, strength=strength
        ).wait(40)
        (made,) = batch.generations
        assert (made.status, made.record.total_steps) == ("completed", made_steps), made.error


# -- stopping --------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.req("PRV-6")
async def test_whoever_stops_listening_stops_the_work_within_a_step(made, slow):
    provider = made(slow=slow)
    await events_of(provider, asked("slow", steps=1, size=(128, 128)))
    stream = provider.events(asked("slow", steps=200, size=(128, 128)), JobRef())
    steps = []
    async for event in stream:
        if isinstance(event, Running):
            steps.append(time.monotonic())
        if len(steps) == 4:
            break
    step_s = max(after - before for before, after in itertools.pairwise(steps))
    await stream.aclose()
    assert await asyncio.to_thread(free_within, provider, 3 * step_s + 0.3)
    # The pipeline is back: the next one paints at once, and as ever.
    assert provider.state().message.startswith("In memory: slow")
    first = await picture_of(provider, asked("slow", steps=2))
    assert await picture_of(provider, asked("slow", steps=2)) == first


@needs_torch
@pytest.mark.req("PRV-6")
def test_a_cancel_in_the_workspace_frees_the_thread_for_the_next(ws, slow):
    provider = Diffusers(models={"slow": slow}, device="cpu")
    ws.add_provider(provider)
    long = ws.generate("a fox", model="diffusers:slow", steps=200, width=128, height=128)
    next_one = ws.generate("an owl", model="diffusers:slow", steps=2)
    (generation,) = long.generations
    until(lambda: generation.record.step)
    long.cancel()
    started = time.monotonic()
    assert next_one.wait(40).status == "completed"
    assert time.monotonic() - started < 5
    assert generation.status == "cancelled"
    assert generation.record.step < 200


@needs_torch
def test_closing_the_workspace_in_mid_picture_hands_it_over(workspace_home, slow):
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
        batch = ws.generate("a fox", model="diffusers:slow", steps=12, width=128, height=128)
        (generation,) = batch.generations
        until(lambda: generation.record.step)
        started = time.monotonic()
    assert time.monotonic() - started < 4
    assert not [one for one in threading.enumerate() if one.name == "workbench-diffusers"]
    with wb.open(workspace_home / "ws", user="ada") as ws:
        ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
        assert ws.batch(batch.id).wait(40).status == "completed"


EXIT = """
    import os, sys, time
    import workbench as wb
    from workbench.providers.local_diffusers import Diffusers

    how, folder = sys.argv[1:]
    ws = wb.open("ws", user="ada")
    # The plugin itself is there, too: a program loads what is installed.
    ws.add_provider(Diffusers("mine", models={"slow": folder}, device="cpu"))
    side = 1024 if how == "long" else 128
    batch = ws.generate("a fox", model="mine:slow", steps=200, width=side, height=side)
    while not batch.generations[0].record.total_steps:
        time.sleep(0.02)
    time.sleep(0.3)
    if how == "fork":
        child = os.fork()
        if child == 0:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        ws.close()
    print(time.time(), flush=True)
    """


@needs_torch
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["short", "long", "fork"])
def test_a_program_that_ends_in_mid_picture_ends(tmp_path, slow, how):
    """Also where a step takes longer than anybody waits, and with a code that says it is well."""
    said = float(run(EXIT, tmp_path, how, slow))
    assert time.time() - said < 10


# -- one at a time ---------------------------------------------------------------------------------


@needs_torch
async def test_another_pipeline_takes_the_place_of_the_first(made, tiny, slow):
    provider = made(tiny=tiny, slow=slow)
    await picture_of(provider, asked(steps=1))
    unet = weakref.ref(provider._painter._loaded.pipeline.unet)
    assert "tiny" in provider.state().message
    events = await events_of(provider, asked("slow", steps=1, inputs=(source_of(png("x")),)))
    assert next(one.text for one in events if isinstance(one, Log)) == "loading slow"
    assert unet() is None
    assert "slow" in provider.state().message
    await provider.close()
    assert provider.state().message == ""


@needs_torch
async def test_a_folder_that_was_saved_anew_is_loaded_anew(made, copy, slow):
    provider = made(mine=copy)
    before = await picture_of(provider, asked("mine", steps=2))
    shutil.rmtree(copy)
    shutil.copytree(slow, copy)
    os.utime(copy / "unet" / "config.json")
    assert await picture_of(provider, asked("mine", steps=2)) != before


@needs_torch
async def test_other_numbers_load_it_anew(made, tiny, monkeypatch):
    provider = made(None, tiny=tiny)
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DEVICE", "cpu")
    await picture_of(provider, asked(steps=1))
    monkeypatch.setenv("WORKBENCH_DIFFUSERS_DTYPE", "bfloat16")
    done = (await events_of(provider, asked(steps=1)))[-1]
    assert done.usage["dtype"] == "bfloat16"
    assert "2 MB on cpu as bfloat16" in provider.state().message


@needs_torch
async def test_it_tells_what_it_would_run_on(provider):
    assert "would run on cpu; 1 of 1 pipelines are on this machine." in await provider.test()


@needs_torch
@pytest.mark.skipif(
    os.environ.get("CUDA_VISIBLE_DEVICES", "") != "",
    reason="Only without a GPU: CUDA_VISIBLE_DEVICES names one here.",
)
async def test_a_device_that_is_not_there_is_a_sentence(made, tiny):
    provider = made("cuda:97", tiny=tiny)
    with pytest.raises(ProviderError, match="no device cuda:97 here") as caught:
        await events_of(provider, asked(steps=1))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


@needs_torch
def test_the_loop_never_waits_for_it(ws, slow):
    """Imports and heavy steps run elsewhere: the engine's loop answers all the while."""
    ws.add_provider(Diffusers(models={"slow": slow}, device="cpu"))
    batch = ws.generate("a fox", model="diffusers:slow", steps=10, width=128, height=128)
    gaps = []
    while not batch.status.is_terminal:
        started = time.monotonic()
        ws._engine.loop.submit(asyncio.sleep(0)).result(10)
        gaps.append(time.monotonic() - started)
        time.sleep(0.005)
    gaps.sort()
    assert batch.status == "completed"
    assert gaps[len(gaps) * 95 // 100] < 0.1
    assert gaps[-1] < 1.0
