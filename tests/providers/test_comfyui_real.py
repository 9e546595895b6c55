"""ComfyUI itself, where there is one: ``COMFYUI_URL=http://127.0.0.1:8188 pytest --real``.

It needs no checkpoint: pictures are plain tiles. Steps, previews and interrupts need one node that
reports them: put `SLOW_STEPS` into the folder custom_nodes of the server, or they are skipped.
"""

from __future__ import annotations

import copy
import io
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from workbench.domain.jobs import JobRequest, Slot
from workbench.domain.status import Operation
from workbench.providers.comfyui import ComfyUI
from workbench.testing.emulators.comfyui import ComfyUIEmulator
from workbench.testing.pictures import png

URL = os.environ.get("COMFYUI_URL", "")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not URL,
        reason="Needs a ComfyUI: COMFYUI_URL is the address of one (CONTRIBUTING, Real servers).",
    ),
]

SLOW_STEPS = """
import time, torch, comfy.utils
from PIL import Image

class SlowSteps:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",),
                             "seed": ("INT", {"default": 0, "min": 0, "max": 0xffffffffffffffff}),
                             "steps": ("INT", {"default": 6, "min": 1, "max": 100}),
                             "pause": ("FLOAT", {"default": 0.1, "min": 0, "max": 5.0}),
                             "text": ("STRING", {"multiline": True})}}
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "test"

    def run(self, image, seed, steps, pause, text):
        if "explode" in text:
            raise ValueError("it exploded")
        bar = comfy.utils.ProgressBar(steps)
        for step in range(steps):
            time.sleep(pause)
            sketch = Image.new("RGB", (64, 64), (step * 20 % 255, 80, 80))
            bar.update_absolute(step + 1, steps, ("JPEG", sketch, 512))
        return (torch.rand(image.shape, generator=torch.Generator().manual_seed(seed)),)

NODE_CLASS_MAPPINGS = {"SlowSteps": SlowSteps}
"""

TILE = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "wb"}},
}
PLAIN = {
    "workflow": TILE,
    "inputs": {"prompt": "2.filename_prefix", "seed": "1.color"},
}
SLOW = copy.deepcopy(TILE)
SLOW["3"] = {
    "class_type": "SlowSteps",
    "inputs": {"image": ["1", 0], "seed": 0, "steps": 5, "pause": 0.3, "text": ""},
}
SLOW["2"]["inputs"]["images"] = ["3", 0]
SLOWLY = {"workflow": SLOW, "inputs": {"prompt": "3.text", "pause": {"at": "3.pause"}}}
COPY = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "wb"}},
}
COPIES = {"workflow": COPY, "inputs": {"prompt": None}}


@pytest.fixture
def server(ws):
    workflows = {"tile": PLAIN, "slow": SLOWLY, "copy": COPIES}
    provider = ComfyUI("comfy", base_url=URL, workflows=workflows)
    ws.add_provider(provider)
    return provider


@pytest.fixture
def slow(server):
    if not _asked("/object_info/SlowSteps")[1]:
        pytest.skip(
            "Needs the node SlowSteps in that server: put SLOW_STEPS of this file into its "
            "folder custom_nodes."
        )


def _asked(path: str, body: object = None, url: str = URL) -> tuple[int, object]:
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, content, headers)) as reply:
            text, status = reply.read(), reply.status
    except urllib.error.HTTPError as error:
        text, status = error.read(), error.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, None


def _seed() -> int:
    return uuid.uuid4().int % 0xFFFFFF


def test_it_answers_a_test(server):
    import asyncio

    assert asyncio.run(server.test()).startswith("ComfyUI ")


def test_a_picture_comes_home_and_again_from_the_cache(ws, server):
    seed = _seed()
    for _ in range(2):
        batch = ws.generate("wb", model="comfy:tile", seed=seed).wait(60)
        assert batch.status == "completed", batch.generations[0].error
        with Image.open(io.BytesIO(batch.generations[0].asset.path.read_bytes())) as image:
            assert image.size == (64, 48)
            assert image.convert("RGB").getpixel((0, 0)) == tuple(seed.to_bytes(3, "big"))


def test_a_reference_goes_in_and_comes_out(ws, server):
    content = png("a reference")
    batch = ws.generate("wb", model="comfy:copy", references=[content]).wait(60)
    assert batch.status == "completed", batch.generations[0].error
    with (
        Image.open(io.BytesIO(batch.generations[0].asset.path.read_bytes())) as made,
        Image.open(io.BytesIO(content)) as given,
    ):
        assert made.convert("RGB").tobytes() == given.convert("RGB").tobytes()


def test_what_it_refuses_is_said_of_our_own_parameter(ws, server):
    batch = ws.generate("wb", model="comfy:tile", seed=2**40).wait(60)
    assert "seed: ComfyUI refused it." in batch.generations[0].error.message
    batch = ws.generate("wb", model="comfy:text-to-image", checkpoint="of nobody").wait(60)
    assert "checkpoint: ComfyUI refused it." in batch.generations[0].error.message


async def test_the_workflows_of_the_data_file_are_accepted(server):
    """With a checkpoint put in that it has not, nothing else is wrong with them."""
    for name in ("text-to-image", "image-to-image"):
        request = JobRequest(
            str(uuid.uuid4()), name, Operation.GENERATE, "x", None, 512, 512, {"checkpoint": "x"},
            (Slot("g", 0, 1),),
        )  # fmt: skip
        graph = server._workflow(request).filled(request, images={}, found={})
        if "picture" in graph:
            graph["picture"] = {"class_type": "EmptyImage", "inputs": TILE["1"]["inputs"]}
        status, told = _asked("/prompt", {"prompt": graph})
        assert status == 400
        errors = told["node_errors"]
        assert {id: [e["extra_info"]["input_name"] for e in node["errors"]]
                for id, node in errors.items()} == {"checkpoint": ["ckpt_name"]}  # fmt: skip


def test_steps_and_previews_are_shown(ws, server, slow):
    batch = ws.generate("x", model="comfy:slow", steps=5, seed=_seed())
    (generation,) = batch.generations
    steps, shown = set(), set()
    while not generation.status.is_terminal:
        steps.add((generation.record.step, generation.record.total_steps))
        shown.add(ws._engine.media.read_preview(generation.id))
        time.sleep(0.02)
    assert generation.status == "completed", generation.error
    assert {(step, 5) for step in range(1, 5)} <= steps
    assert len(shown) > 2


def test_a_cancel_interrupts_and_leaves_others_alone(ws, server, slow):
    theirs = str(uuid.uuid4())
    ours = ws.generate("x", model="comfy:slow", steps=100, seed=_seed())
    _until(lambda: (ours.generations[0].record.step or 0) >= 1)
    graph = copy.deepcopy(TILE)
    graph["1"]["inputs"]["color"] = _seed()
    _asked("/prompt", {"prompt": graph, "prompt_id": theirs})
    ours.cancel()
    _until(lambda: _asked(f"/history/{theirs}")[1], within_s=10)
    assert _asked(f"/history/{theirs}")[1][theirs]["status"]["status_str"] == "success"
    assert ours.wait(10).status == "cancelled"


def test_a_node_that_breaks_is_a_sentence(ws, server, slow):
    batch = ws.generate("explode", model="comfy:slow", seed=_seed()).wait(60)
    assert "node 3 (SlowSteps). It says: it exploded" in batch.generations[0].error.message


def test_a_job_is_found_again(workspace_home: Path, slow):
    def opened():
        workspace = wb.open(workspace_home / "other", user="ada")
        workspace.add_provider(ComfyUI("comfy", base_url=URL, workflows={"slow": SLOWLY}))
        return workspace

    with opened() as ws:
        batch = ws.generate("x", model="comfy:slow", steps=8, seed=_seed())
        _until(lambda: (batch.generations[0].record.step or 0) >= 1)
    with opened() as again:
        assert again.batch(batch.id).wait(60).status == "completed"


def test_the_emulator_refuses_what_comfyui_refuses():
    """Graphs that are wrong in the same way are refused by both with the same words."""

    def changed(**inputs) -> dict:
        graph = copy.deepcopy(TILE)
        graph["1"]["inputs"] |= inputs
        return {"prompt": graph}

    unsaved = {"prompt": {"1": TILE["1"]}}
    missing = copy.deepcopy(TILE)
    del missing["1"]["inputs"]["color"]
    asked = [
        changed(width="abc"),
        changed(width=99_999),
        changed(width=0),
        {"prompt": missing},
        unsaved,
        {"prompt": {**TILE, "9": {"class_type": "SomebodysNode", "inputs": {}}}},
        {"prompt": COPY},
        {},
    ]
    with ComfyUIEmulator() as emulator:
        for body in asked:
            real, emulated = _asked("/prompt", body), _asked("/prompt", body, emulator.url)
            assert _said(*real) == _said(*emulated), body


def _said(status: int, told: object) -> object:
    assert isinstance(told, dict)
    nodes = {
        id: [(e["type"], e["extra_info"].get("input_name")) for e in node["errors"]]
        for id, node in told["node_errors"].items()
    }
    return status, told["error"]["type"], told["error"]["message"], nodes


def _until(true, *, within_s: float = 30.0) -> None:
    stop = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < stop, "it did not come about in time"
        time.sleep(0.05)
