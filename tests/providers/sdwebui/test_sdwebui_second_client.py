"""A client of the web UI that is not ours: it speaks to the emulator as it does to the real one.

`webuiapi` was written for the server itself, long before this; what it sends and what it reads out
of answers is what the emulator has to know.
"""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from PIL import Image

from tests.providers.sdwebui.world import CANARY, MODEL, added, calls
from tests.providers.world import ended
from tests.waiting import until
from workbench.testing.emulators.sdwebui import SDWebUIEmulator
from workbench.testing.pictures import png

webuiapi = pytest.importorskip(
    "webuiapi", reason="webuiapi is missing: install the test extra to compare with it."
)

SAID = {"prompt": "a red fox", "negative_prompt": "fog", "seed": 7, "steps": 3}
SIZE = {"width": 640, "height": 384}


def client_of(server: SDWebUIEmulator, **how: Any) -> Any:
    return webuiapi.WebUIApi(baseurl=f"{server.base_url}/sdapi/v1", **how)


def pixels_of(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


@pytest.mark.req("PRV-2")
def test_it_makes_pictures_and_reads_what_was_made(server: SDWebUIEmulator) -> None:
    client = client_of(server, scheduler="Karras")
    made = client.txt2img(**SAID, **SIZE, cfg_scale=5.5, sampler_name="Euler a")
    assert made.image.tobytes() == pixels_of(png("a red fox|7"))
    assert (made.info["seed"], made.info["all_seeds"]) == (7, [7])
    assert made.parameters["cfg_scale"] == 5.5
    source = Image.open(io.BytesIO(png("a source")))
    mask = Image.open(io.BytesIO(png("a mask")))
    edited = client.img2img(images=[source], mask_image=mask, denoising_strength=0.4, **SAID)
    assert edited.image.tobytes() == pixels_of(png("a red fox|7"))
    assert server.made == ["a red fox"] * 2
    assert [one["title"] for one in client.get_sd_models()] == server.checkpoints
    assert client.get_progress()["state"]["job"] == ""
    with pytest.raises(RuntimeError, match="Sampler not found") as caught:
        client.txt2img(**SAID, sampler_name="of nobody")
    assert caught.value.args[0] == 404


@pytest.mark.req("PRV-2", "PRV-6")
def test_it_sees_the_steps_and_interrupts(server: SDWebUIEmulator) -> None:
    client = client_of(server)
    server.hold()
    made: list[Any] = []
    call = threading.Thread(target=lambda: made.append(client_of(server).txt2img(**SAID)))
    call.start()
    until(lambda: server.job)
    told = client.get_progress()
    assert (told["state"]["job_count"], told["state"]["sampling_steps"]) == (1, 3)
    assert client.interrupt() == {}
    call.join(20)
    assert (len(made), server.interrupts, server.made) == (1, 1, [])


@pytest.mark.req("PRV-2", "PRV-7")
def test_its_password_is_asked_for() -> None:
    user, _, password = CANARY.partition(":")
    with SDWebUIEmulator(key=CANARY) as server:
        known = client_of(server, username=user, password=password)
        assert known.txt2img(**SAID).info["seed"] == 7
        with pytest.raises(RuntimeError) as caught:
            client_of(server).txt2img(**SAID)
        assert caught.value.args[0] == 401


@pytest.mark.req("PRV-2", "PRV-8")
def test_we_ask_for_a_picture_as_it_does(ws: Any, server: SDWebUIEmulator) -> None:
    """What both send means the same; it says more, of which the server has its own defaults."""
    added(ws, server)
    source = png("a source")
    chosen: dict[str, Any] = {"sampler": "Euler a", "scheduler": "Karras", "guidance": 5.5}
    common = {"negative_prompt": "fog", "seed": 7, "steps": 3, **SIZE, **chosen}
    ended(ws.generate("a red fox", model=MODEL, **common))
    ended(ws.generate("a red fox", model=MODEL, source=source, **common, strength=0.4))
    client = client_of(server, scheduler="Karras")
    said = {**SAID, **SIZE, "cfg_scale": 5.5, "sampler_name": "Euler a"}
    client.txt2img(**said)
    given = Image.open(io.BytesIO(source))
    cropped = 1  # ours is never stretched
    client.img2img(images=[given], denoising_strength=0.4, resize_mode=cropped, **said)
    ours, ours_of_image, its, its_of_image = [seen.json() for seen in calls(server)]
    for our, other in ((ours, its), (ours_of_image, its_of_image)):
        assert set(our) - set(other) <= {"force_task_id"}, "newer than it"
        shared = set(our) & set(other) - {"init_images", "override_settings"}
        assert {"prompt", "seed", "steps", "cfg_scale", "sampler_name", "scheduler"} <= shared
        assert {name: our[name] for name in shared} == {name: other[name] for name in shared}
    assert len(ours_of_image["init_images"]) == len(its_of_image["init_images"]) == 1
