"""Cog's emulator beside Cog's own server: whoever asks both hears the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.providers.dialects.cog import ENTRY
from tests.providers.test_cog import made_in, pytestmark
from tests.waiting import until
from workbench.domain.jobs import JobRef
from workbench.errors import ProviderError
from workbench.providers.cog import Cog
from workbench.testing.emulators.cog import CogEmulator
from workbench.testing.emulators.server import Fault

__all__ = ["pytestmark"]

SLOW = {"prompt": "a slow fox", "steps": 2}


@dataclass
class Told:
    """What a server answered, without what differs from call to call."""

    status: int
    fields: list[str]
    state: Any
    wrong: Any

    @classmethod
    def of(cls, answer: httpx.Response) -> Told:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        wrong = [(one["loc"], one["msg"]) for one in told.get("detail", [])]
        return cls(answer.status_code, sorted(told), told.get("status"), wrong or told.get("error"))


def heard_from(
    url: str, slow: dict[str, Any], slowly: Callable[[], None] = lambda: None
) -> dict[str, Told]:
    """What a server says to everything that the dialect may ask.

    What is asked for as `slow`, after a call of `slowly`, lasts until it is cancelled.
    """
    heard: dict[str, Told] = {}
    with httpx.Client(base_url=url, timeout=45) as client:

        def ask(what: str, method: str, path: str, **how: Any) -> httpx.Response:
            answer = client.request(method, path, **how)
            heard[what] = Told.of(answer)
            return answer

        asked = {"input": {"prompt": "a fox", "steps": 2}}
        made = ask("made", "PUT", "/predictions/one", json=asked).json()
        assert made["output"][0].startswith("data:image/png;base64,")
        assert made["id"] == "one"
        ask("made anew", "PUT", "/predictions/one", json=asked)
        ask("no input", "PUT", "/predictions/two", json={"input": 5})
        ask("no prompt", "PUT", "/predictions/two", json={"input": {"steps": 2}})
        ask("a word", "PUT", "/predictions/two", json={"input": {"prompt": "x", "steps": "y"}})
        ask("no JSON", "PUT", "/predictions/two", content=b"{", headers=JSON)
        ask("a question", "GET", "/predictions/one")
        ask("nowhere", "GET", "/nothing")
        ask("a cancel of nothing", "POST", "/predictions/three/cancel")
        slowly()
        ended: list[httpx.Response] = []
        call = threading.Thread(
            target=lambda: ended.append(
                httpx.put(f"{url}/predictions/three", json={"input": slow}, timeout=45)
            )
        )
        call.start()
        until(lambda: client.get("/health-check").json()["status"] == "BUSY")
        glance = {"json": {"input": 5}, "headers": {"Prefer": "respond-async"}}
        ask("a glance", "PUT", "/predictions/three", **glance)
        ask("the same again", "PUT", "/predictions/three", json=asked)
        ask("another one", "PUT", "/predictions/four", json=asked)
        ask("a cancel", "POST", "/predictions/three/cancel")
        call.join(45)
        heard["what was cancelled"] = Told.of(ended[0])
        until(lambda: client.get("/health-check").json()["status"] == "READY")
    return heard


JSON = {"Content-Type": "application/json"}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    server = made_in(tmp_path / "painter", schema=True)
    server.start()
    try:
        server.wait_for("READY")
        yield server.url
    finally:
        server.kill()


@pytest.mark.req("PRV-2", "PRV-3")
def test_the_emulator_says_what_the_real_server_says(real: str) -> None:
    with CogEmulator() as server:

        def slowly() -> None:
            server.work_s = 600.0

        emulated = heard_from(server.url, SLOW, slowly)
        assert server.images_charged == 2, "what is made again is made again"
    assert emulated == heard_from(real, {**SLOW, "steps": 400, "pause": 1.0})


async def test_the_entry_of_the_dialect_is_what_it_discovers() -> None:
    with CogEmulator() as server:
        provider = Cog(base_url=server.url)
        assert await provider.discover() == ENTRY
        await provider.close()


@pytest.mark.req("PRV-6")
async def test_a_cancel_of_what_has_ended_is_none_and_one_that_reaches_nobody_an_error() -> None:
    with CogEmulator() as server:
        provider = Cog(base_url=server.url)
        await provider.cancel(JobRef("ended-long-ago"))
        server.faults = [Fault(status=503)]
        with pytest.raises(ProviderError):
            await provider.cancel(JobRef("running"))
        await provider.close()
