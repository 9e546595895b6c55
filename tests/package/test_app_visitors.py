"""`jupyter workbench app`: who a visitor is, and what stays of a visit. Without a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.lab_world import eventually
from tests.browser.voila_wire import Wire, ask, kernel_of
from tests.browser.voila_world import AppServer

pytestmark = pytest.mark.timeout(600)

SECRET = "what-only-the-proxy-knows"
SMALL = {"width": 64, "height": 64}
Make = Callable[..., AppServer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[AppServer] = []

    def make(*options: str | Path, **environment: str) -> AppServer:
        made.append(AppServer(tmp_path / "app", options=options, environment=environment))
        return made[-1].start()

    yield make
    for app in made:
        app.stop()


@pytest.fixture
def arrive() -> Iterator[Callable[[AppServer, str], Wire]]:
    """Connects to the kernel of a page: `arrive(app, page)`; all is closed with the test."""
    with contextlib.ExitStack() as wires:

        def arrive(app: AppServer, page: str = "") -> Wire:
            wire = Wire(app, kernel_of(page)) if page else Wire.arrive(app)
            wires.callback(wire.close)
            return wire

        yield arrive


def titles(wire: Wire) -> list[str]:
    return [topic["title"] for topic in wire.ask("hello", version=1)["topics"]]


def submit(wire: Wire, key: str, prompt: str, n: int = 1) -> list[str]:
    done = wire.ask("submit", client_key=key, prompt=prompt, n=n, **SMALL)
    return [row["id"] for row in done["generations"]]


def wait_completed(wire: Wire, ids: list[str]) -> None:
    def statuses() -> set[str]:
        return {wire.ask("generation", id=one)["row"]["status"] for one in ids}

    eventually(statuses, lambda found: found == {"completed"}, within_s=60)


@pytest.mark.req("ACC-1", "APP-2")
def test_behind_a_proxy_everybody_is_who_the_proxy_says(
    make: Make, arrive: Callable[..., Wire]
) -> None:
    app = make("--identity", "header", WORKBENCH_PROXY_SECRET=SECRET)

    def page(user: str | None, secret: str | None = SECRET) -> tuple[int, str]:
        said = {"X-Forwarded-User": user, "X-Workbench-Secret": secret}
        status, body = ask(app, "/", headers={k: v for k, v in said.items() if v is not None})
        return status, body.decode()

    alice, bob = (arrive(app, page(user)[1]) for user in ("alice", "bob"))
    assert [one.ask("hello", version=1)["user"] for one in (alice, bob)] == ["alice", "bob"]
    ids = submit(alice, "first", "a fox of alice")
    wait_completed(alice, ids)
    assert len(alice.pictures(*ids)) == 1
    assert not bob.pictures(*ids)
    assert "a fox of alice" in titles(alice)
    assert "a fox of alice" not in titles(bob)
    again = arrive(app, page("alice")[1])
    assert "a fox of alice" in titles(again)
    for user, secret in (("alice", "x" * 24), ("alice", None), (None, SECRET)):
        _, body = page(user, secret)
        assert "not set up correctly" in body
        assert "fox" not in body
        assert SECRET not in body
    assert app.interrupt() == 0
    assert SECRET not in app.said()


@pytest.mark.req("TOK-4", "TOP-5", "ACC-1")
def test_all_visitors_share_a_queue_and_who_returns_to_a_restarted_app_finds_everything(
    make: Make, arrive: Callable[..., Wire], tmp_path: Path
) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text("[visitors]\nimages_per_day = false\nunfinished = 8\nqueue = 3\n")
    app = make("--config", settings)
    ann, ben = arrive(app), arrive(app)
    ann.hello()
    ben.hello()
    ann.ask("pause")
    ids = submit(ann, "three", "a slow fox", n=3)
    refused = ben.refusal("submit", client_key="one", prompt="an owl", n=1, **SMALL)
    assert "3" in refused["message"]
    ann.ask("resume")
    wait_completed(ann, ids)
    assert submit(ben, "one", "an owl")
    token = ann.token
    assert app.interrupt() == 0
    app.start()
    back = arrive(app)
    back.hello(token)
    assert len(back.pictures(*ids)) == 3
    stranger = arrive(app)
    stranger.hello()
    assert not stranger.pictures(*ids)
