"""PF-17: what a dialect costs over a bare httpx call for the same picture."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx

from benchmarks.children import Child
from benchmarks.measure import Plan, now_ms, pauses, timed_line
from benchmarks.pictures import photo_like
from benchmarks.report import Figure, Goal, Line
from workbench.domain.jobs import ImageReady, JobRequest, Slot
from workbench.domain.status import Operation
from workbench.providers.openai_images import OpenAIImages

ID = "PF-17"
TITLE = "a picture through a dialect, of a bare httpx call"
_GOAL_MS = 5.0
_MODEL = "gpt-image-2.5-flare"

_NOTES = """\
One picture of 1.5 MB in base64, from an emulator in another process; both clients keep their
  connections, read the JSON and decode the picture.
extra: median of the dialect less median of the bare call; the goal is 5 ms."""


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    image = plan.folder / "picture.png"
    image.write_bytes(photo_like())
    with Child("benchmarks.emulated", 0, image) as server:
        base_url, key = server.line().split()
        ours, bare = asyncio.run(_measure(plan, base_url, key))
    line = timed_line("dialect", ours, "ms", against="bare httpx", reference=bare)
    figure.add(line)
    assert line.against_value is not None
    extra = line.value - line.against_value
    figure.add(Line("extra per picture", extra, "ms", goals=(Goal(_GOAL_MS),)))
    figure.notes += _NOTES.splitlines()
    return figure


async def _measure(
    plan: Plan, base_url: str, key: str
) -> tuple[list[list[float]], list[list[float]]]:
    provider = OpenAIImages("bench", base_url=base_url, key=key)
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    pause = pauses(2, 9)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await _dialect(provider)
        await _bare(client, base_url, key)
        for _ in range(plan.rounds):
            ours.append([])
            bare.append([])
            for _ in range(plan.some(15, 40)):
                pause()
                ours[-1].append(await _dialect(provider))
                pause()
                bare[-1].append(await _bare(client, base_url, key))
    await provider.close()
    return ours, bare


async def _dialect(provider: OpenAIImages) -> float:
    request = JobRequest(
        key="k",
        model=_MODEL,
        operation=Operation.GENERATE,
        prompt="a red fox",
        negative_prompt=None,
        width=1024,
        height=1024,
        params={"partial_images": 0},
        slots=(Slot("g", 0, None),),
    )
    begin = now_ms()
    ref = await provider.submit(request)
    sizes = [
        len(event.data)
        async for event in provider.events(request, ref)
        if isinstance(event, ImageReady)
    ]
    took = now_ms() - begin
    if len(sizes) != 1 or sizes[0] < 100_000:
        raise RuntimeError(f"pictures of {sizes} bytes came")
    return took


async def _bare(client: httpx.AsyncClient, base_url: str, key: str) -> float:
    body: dict[str, Any] = {"model": _MODEL, "prompt": "a red fox", "n": 1, "size": "1024x1024"}
    begin = now_ms()
    answer = await client.post(
        f"{base_url}/images/generations", json=body, headers={"Authorization": f"Bearer {key}"}
    )
    picture = base64.b64decode(json.loads(answer.content)["data"][0]["b64_json"])
    took = now_ms() - begin
    if len(picture) < 100_000:
        raise RuntimeError(f"a picture of {len(picture)} bytes came")
    return took
