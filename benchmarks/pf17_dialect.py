"""PF-17: what a dialect costs over a bare httpx call for the same picture."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import httpx

from benchmarks.children import Child
from benchmarks.measure import Plan, cpu_seconds, median, now_ms, pauses, timed_line
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
extra: a call of the dialect less the bare one before or after it, median over all such pairs.
CPU: of this process, all threads. What the time has more than it was spent waiting: for the
  emulator, and on a busy machine for the processor."""

Taken = tuple[float, float]  # milliseconds by the clock, and of CPU time


def run(plan: Plan) -> Figure:
    figure = Figure(ID, TITLE)
    image = plan.folder / "picture.png"
    image.write_bytes(photo_like())
    with Child("benchmarks.emulated", 0, image) as server:
        base_url, key = server.line().split()
        ours, bare = asyncio.run(_measure(plan, base_url, key))
    for place, name, goals in ((0, "", (Goal(_GOAL_MS),)), (1, "CPU, ", ())):
        mine, theirs = ([[one[place] for one in some] for some in kind] for kind in (ours, bare))
        line = timed_line(f"{name}dialect", mine, "ms", against="bare httpx", reference=theirs)
        figure.add(line)
        extra = [
            [a - b for a, b in zip(*pairs, strict=True)] for pairs in zip(mine, theirs, strict=True)
        ]
        middle = [median(one) for one in extra]
        figure.add(
            Line(
                f"{name}extra per picture",
                median(value for one in extra for value in one),
                "ms",
                low=min(middle),
                high=max(middle),
                samples=sum(map(len, extra)),
                goals=goals,
            )
        )
    figure.notes += _NOTES.splitlines()
    return figure


async def _measure(
    plan: Plan, base_url: str, key: str
) -> tuple[list[list[Taken]], list[list[Taken]]]:
    provider = OpenAIImages("bench", base_url=base_url, key=key)
    ours: list[list[Taken]] = []
    bare: list[list[Taken]] = []
    pause = pauses(2, 9)
    order = random.Random(5)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await _dialect(provider)
        await _bare(client, base_url, key)
        for _ in range(plan.rounds):
            ours.append([])
            bare.append([])
            for _ in range(plan.some(25, 40)):
                for kind in order.sample(("ours", "bare"), 2):
                    pause()
                    if kind == "ours":
                        ours[-1].append(await _dialect(provider))
                    else:
                        bare[-1].append(await _bare(client, base_url, key))
    await provider.close()
    return ours, bare


async def _dialect(provider: OpenAIImages) -> Taken:
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
    begin, cpu = now_ms(), cpu_seconds()
    ref = await provider.submit(request)
    sizes = [
        len(event.data)
        async for event in provider.events(request, ref)
        if isinstance(event, ImageReady)
    ]
    took = now_ms() - begin, (cpu_seconds() - cpu) * 1000
    if len(sizes) != 1 or sizes[0] < 100_000:
        raise RuntimeError(f"pictures of {sizes} bytes came")
    return took


async def _bare(client: httpx.AsyncClient, base_url: str, key: str) -> Taken:
    body: dict[str, Any] = {"model": _MODEL, "prompt": "a red fox", "n": 1, "size": "1024x1024"}
    begin, cpu = now_ms(), cpu_seconds()
    answer = await client.post(
        f"{base_url}/images/generations", json=body, headers={"Authorization": f"Bearer {key}"}
    )
    picture = base64.b64decode(json.loads(answer.content)["data"][0]["b64_json"])
    took = now_ms() - begin, (cpu_seconds() - cpu) * 1000
    if len(picture) < 100_000:
        raise RuntimeError(f"a picture of {len(picture)} bytes came")
    return took
