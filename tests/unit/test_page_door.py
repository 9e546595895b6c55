"""How many pages are made at a time."""

from __future__ import annotations

import asyncio

import pytest

from workbench.jupyter.page_kernels import Door


async def test_as_many_pass_at_a_time_as_the_door_is_wide() -> None:
    door = Door(2)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with door.passed():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(8)))
    assert most == 2


async def test_one_that_takes_for_ever_keeps_nobody_waiting() -> None:
    door = Door(1, longest_s=0.05)
    for_ever = asyncio.Event()

    async def stay() -> None:
        async with door.passed():
            await for_ever.wait()

    stays = [asyncio.create_task(stay()) for _ in range(3)]
    async with asyncio.timeout(45), door.passed():
        pass
    for_ever.set()
    await asyncio.gather(*stays)
    # Those that came back late have not made the door wider.
    async with door.passed():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), door.passed():
                pass


async def test_a_page_that_fails_leaves_the_door_free() -> None:
    door = Door(1)
    with pytest.raises(ValueError, match="no page"):
        async with door.passed():
            raise ValueError("no page")
    async with asyncio.timeout(45), door.passed():
        pass
