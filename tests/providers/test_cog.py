"""Cog through the real engine, against Cog's own server (a process beside the tests)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import workbench as wb
from tests.waiting import until
from workbench.domain.jobs import ImageReady, JobRef, JobRequest, Queued, Running, Slot
from workbench.domain.status import Operation
from workbench.errors import ProviderError
from workbench.providers.cog import Cog
from workbench.providers.polling import Pace
from workbench.runner.settings import RunnerSettings
from workbench.testing import pictures
from workbench.testing.emulators.server import Emulator, Fault
from workbench.testing.pictures import png
from workbench.workspace import engine as engines

pytestmark = pytest.mark.skipif(
    sys.platform == "win32",
    reason="Not on Windows: the test starts Cog's server, which is not for it.",
)

FAST = functools.partial(Pace, first_s=0.02, longest_s=0.1)
RETRIES = functools.partial(RunnerSettings, backoff_base_s=0.02, backoff_cap_s=0.1)
MODEL = "cog:model"

FIELDS = {
    "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
    "steps": {"type": "integer", "default": 4, "minimum": 1, "maximum": 400, "x-order": 1},
    "seed": {"type": "integer", "default": 0, "x-order": 2},
    "pause": {"type": "number", "default": 0.01, "minimum": 0, "maximum": 5, "x-order": 3},
    "style": {"allOf": [{"$ref": "#/components/schemas/style"}], "default": "plain", "x-order": 4},
    "image": {"type": "string", "format": "uri", "nullable": True, "x-order": 5},
    "references": {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "default": [],
        "x-order": 6,
    },
}
# `cog build` writes such a document into the image; here it is written by hand.
SCHEMA = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {
        "schemas": {
            "style": {"type": "string", "title": "style", "enum": ["plain", "ornate"]},
            "Input": {
                "type": "object",
                "title": "Input",
                "required": ["prompt"],
                "properties": FIELDS,
            },
            "Output": {"type": "array", "items": {"type": "string", "format": "uri"}},
        }
    },
}


def python_with_cog() -> str:
    """Cog is in the test extra. COG_PYTHON names an interpreter of another environment."""
    if importlib.util.find_spec("cog") and importlib.util.find_spec("coglet"):
        return sys.executable
    given = os.environ.get("COG_PYTHON")
    if given:
        return given
    pytest.fail("Cog is missing: install the test extra, or set COG_PYTHON to a Python that has it")


@dataclass
class Server:
    """Cog's server with our painter."""

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def runs(self) -> list[str]:
        """The prompts of all predictions that were begun."""
        book = self.folder / "book.txt"
        return book.read_text("utf-8").splitlines() if book.exists() else []

    def start(self, **environment: str) -> None:
        python = Path(python_with_cog())
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [str(python), "-m", "cog.server.http", "--host", "127.0.0.1"],
                cwd=self.folder,
                env={
                    **os.environ,
                    "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
                    "COG_PREDICT_TYPE_STUB": "cog_painter.py:Runner",
                    "PORT": str(self.port),
                    "PAINTER_BOOK": str(self.folder / "book.txt"),
                    **environment,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def health(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/health-check", timeout=5) as answer:
                return json.load(answer)["status"]
        except OSError:
            return "NONE"

    def wait_for(self, *states: str) -> None:
        until(lambda: self.health() in states, f"state {states}")

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # its worker is of the same session
            self.process.wait(45)
            self.process = None


def made_in(folder: Path, *, schema: bool) -> Server:
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "data" / "cog_painter.py", folder)
    shutil.copy(pictures.__file__, folder / "pictures.py")
    if schema:
        (folder / ".cog").mkdir()
        (folder / ".cog" / "openapi_schema.json").write_text(json.dumps(SCHEMA), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    return Server(folder, port)


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Server]:
    server = made_in(tmp_path_factory.mktemp("cog") / "painter", schema=True)
    server.start()
    try:
        server.wait_for("READY")
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(running) -> Server:
    running.wait_for("READY")
    return running


@pytest.fixture
def own(tmp_path) -> Iterator[Server]:
    """A server of the test's own, not started yet."""
    server = made_in(tmp_path / "painter", schema=True)
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(engines, "RunnerSettings", RETRIES)


def discovered(server: Server) -> dict:
    async def ask() -> dict:
        provider = Cog(base_url=server.url)
        try:
            return await provider.discover()
        finally:
            await provider.close()

    return asyncio.run(ask())


def added(ws, server: Server, *, known: bool = True, **changes) -> Cog:
    models = [discovered(server)] if known else []
    provider = Cog(base_url=server.url, pace=FAST, models=models, **changes)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


def picture(prompt: str, seed: int = 0, style: str = "plain", given: tuple[bytes, ...] = ()):
    return png(f"{prompt}|{seed}|{style}|{len(given)}|{list(given)!r}")


# -- what it offers -------------------------------------------------------------------------------


@pytest.mark.req("PRV-2")
def test_the_parameters_of_the_model_are_discovered(server):
    entry = discovered(server)
    assert list(entry["parameters"]) == ["steps", "pause", "style"]
    assert entry["parameters"]["style"] == {
        "kind": "choice",
        "choices": ["plain", "ornate"],
        "default": "plain",
    }
    assert entry["send"] == {"discovered": True, "source": "image", "references": "references"}
    assert (entry["free"], entry["seeds"], entry["max_references"]) == (True, True, 8)
    (model,) = Cog(base_url=server.url, models=[entry]).models()
    assert model.price.is_free
    assert model.operations == (Operation.GENERATE, Operation.EDIT)


def test_without_an_address_it_says_what_is_missing(monkeypatch):
    state = Cog().state()
    assert (state.ready, state.code) == (False, "unreachable")
    assert "COG_URL" in state.message
    monkeypatch.setenv("COG_URL", "http://127.0.0.1:5000")
    assert Cog().state().ready
    assert Cog()._address("/x") == "http://127.0.0.1:5000/x"


@pytest.mark.req("PRV-2")
async def test_test_says_whether_it_is_ready(server):
    provider = Cog(base_url=server.url)
    assert await provider.test() == "Cog answered; its state is READY."
    await provider.close()


async def test_a_refresh_keeps_what_the_server_says(server, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    provider = Cog(base_url=server.url)
    assert list(provider.models()[0].parameters) == ["inputs"]
    assert await provider.refresh() == "Cog: 1 models as of today."
    await provider.close()
    assert list(Cog(base_url=server.url).models()[0].parameters) == ["steps", "pause", "style"]


# -- pictures -------------------------------------------------------------------------------------


@pytest.mark.req("PRV-2", "TOK-4")
def test_pictures_come_home_for_nothing(ws, server):
    added(ws, server)
    before = len(server.runs)
    done = ended(ws.generate("a red fox", model=MODEL, n=2, seed=7, style="ornate", steps=3))
    assert done.status == "completed"
    found = [g.asset.path.read_bytes() for g in done.generations]
    assert found == [picture("a red fox", 7, "ornate"), picture("a red fox", 8, "ornate")]
    assert [(g.seed, g.cost) for g in done.generations] == [(7, 0), (8, 0)]
    assert server.runs[before:] == ["a red fox"] * 2
    assert ws.balances().get("USD", 0) == 0
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-8")
def test_images_go_in(ws, server):
    added(ws, server)
    one, two = png("one"), png("two")
    done = ended(ws.generate("mix", model=MODEL, source=one, references=[two, one], seed=1))
    (made,) = done.generations
    assert made.asset.path.read_bytes() == picture("mix", 1, given=(one, two, one))


@pytest.mark.req("PRV-4")
def test_steps_reach_the_generation_while_the_call_lasts(ws, server):
    added(ws, server)
    before = len(server.runs)
    for step in range(1, 5):
        (server.folder / f"step-{step}").unlink(missing_ok=True)
    prompt = "a fox, step by step"
    (generation,) = ws.generate(prompt, model=MODEL, steps=4).generations
    for step in range(1, 4):
        (server.folder / f"step-{step}").touch()
        until(lambda step=step: generation.record.step == step, f"step {step}")
        assert generation.record.total_steps == 4
    (server.folder / "step-4").touch()
    assert ended(generation.batch).status == "completed"
    # Looking at it began nothing.
    assert server.runs[before:] == [prompt]


async def test_a_glance_that_comes_late_begins_nothing(server):
    provider = Cog(base_url=server.url, pace=FAST)
    before = len(server.runs)
    assert await provider._glance(f"{server.url}/predictions/late", 0) is None
    await provider.close()
    assert server.runs[before:] == []
    assert server.health() == "READY"


@pytest.mark.req("PRV-2")
def test_a_model_that_nobody_asked_about_takes_an_object(ws, server):
    added(ws, server, known=False)
    done = ended(ws.generate("a fox", model=MODEL, inputs={"seed": 5, "style": "ornate"}))
    (made,) = done.generations
    assert made.asset.path.read_bytes() == picture("a fox", 5, "ornate")
    error = error_of(ws.generate("a fox", model=MODEL, inputs={"steps": 500}))
    assert error.kind == "bad_request"
    assert "steps: 500 is greater than the maximum of 400" in error.message
    error = error_of(ws.generate("a fox", model=MODEL, inputs=[1]))
    assert error.kind == "bad_request"
    assert "must be an object" in error.message


@pytest.mark.req("PRV-4")
def test_one_place_serves_many_who_wait(ws, server):
    added(ws, server, concurrency=4)
    done = ended(ws.generate("a fox", model=MODEL, n=6, seed=1, pause=0.05))
    assert done.status == "completed"
    found = [g.asset.path.read_bytes() for g in done.generations]
    assert found == [picture("a fox", 1 + place) for place in range(6)]


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    ("prompt", "kind", "said"),
    [
        ("a forbidden fox", "blocked", "content policy"),
        ("nothing", "blocked", "content policy"),
        ("a broken fox", "bad_request", "It says: ValueError: The brush is broken."),
    ],
)
def test_failures_are_typed_and_not_tried_again(ws, server, prompt, kind, said):
    added(ws, server)
    before = len(server.runs)
    error = error_of(ws.generate(prompt, model=MODEL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert server.runs[before:] == [prompt]


@pytest.mark.req("PRV-6")
def test_a_cancel_ends_the_work(ws, server):
    added(ws, server)
    before = len(server.runs)
    slow = ws.generate("a slow fox", model=MODEL, steps=400, pause=1.0)
    until(lambda: slow.generations[0].record.step)
    slow.cancel()
    assert ended(slow).status == "cancelled"
    # There is one place: if the slow one had it still, nobody would wait for so long.
    assert ended(ws.generate("another", model=MODEL)).status == "completed"
    assert server.runs[before:] == ["a slow fox", "another"]


@pytest.mark.req("PRV-5")
def test_work_of_a_closed_workspace_is_ended_and_made_anew(workspace_home, server):
    before = len(server.runs)
    prompt = "a fox, slow once"
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, server)
        batch = ws.generate(prompt, model=MODEL, steps=100, pause=1.0, seed=3)
        until(lambda: batch.generations[0].record.step)
    server.wait_for("READY")  # it does not go on: nobody waits for it
    with wb.open(workspace_home / "ws", user="ada") as again:
        added(again, server)
        (generation,) = again.batch(batch.id).wait(30).generations
        assert generation.asset.path.read_bytes() == picture(prompt, 3)
        assert again.doctor().problems == []
    assert server.runs[before:] == [prompt] * 2


@pytest.mark.req("PRV-4", "PRV-7")
def test_a_server_that_is_still_starting_is_waited_for(ws, own, monkeypatch):
    many = functools.partial(RETRIES, max_tries=999)
    monkeypatch.setattr(engines, "RunnerSettings", many)
    begins = own.folder / "begins"
    own.start(PAINTER_WAITS_FOR=str(begins))
    own.wait_for("STARTING")
    ws.add_provider(Cog(base_url=own.url, pace=FAST))
    (generation,) = ws.generate("a fox", model=MODEL).generations
    until(lambda: ws._engine.runner.running and generation.status == "queued")
    begins.touch()
    until(lambda: generation.status.is_terminal)
    assert generation.status == "completed"


@pytest.mark.req("PRV-7")
def test_a_server_that_dies_in_the_middle_is_asked_again_when_it_is_back(
    workspace_home, own, monkeypatch
):
    many = functools.partial(RunnerSettings, backoff_base_s=0.5, backoff_cap_s=0.5, max_tries=999)
    monkeypatch.setattr(engines, "RunnerSettings", many)
    own.start()
    own.wait_for("READY")
    prompt = "a fox, slow once"
    with wb.open(workspace_home / "ws", user="ada") as ws:
        added(ws, own)
        (generation,) = ws.generate(prompt, model=MODEL, steps=100, pause=1.0).generations
        until(lambda: generation.record.step)
        own.kill()
        own.start()
        until(lambda: generation.status.is_terminal)
        assert generation.status == "completed"
    assert own.runs == [prompt] * 2


@pytest.mark.req("PRV-7")
def test_a_server_that_is_not_there_is_named(ws, own):
    ws.add_provider(Cog(base_url=own.url, pace=FAST))
    error = error_of(ws.generate("a fox", model=MODEL))
    assert error.kind == "transient"
    assert "cannot be reached at 127.0.0.1. Check its address." in error.message


# -- what Cog's own server does not do ------------------------------------------------------------


class Odd(Emulator):
    """Answers as it is told: what a server or somebody in between might say."""

    tells_glances = True

    def __init__(self, *answers: dict) -> None:
        super().__init__()
        self.answers = list(answers)

    def answer(self, seen, fault):
        if not self.tells_glances and seen.headers.get("prefer") == "respond-async":
            return self.error(500, "Nothing is told.")
        told = self.answers.pop(0) if self.answers else {}
        return super().reply(
            seen, Fault(status=told.pop("status_code", 200), body=json.dumps(told).encode())
        )


async def events_of(server: Emulator) -> list:
    # Where a call takes its time, glances come beside it: they must not take its answers.
    server.tells_glances = False
    provider = Cog(base_url=server.url, pace=FAST)
    request = JobRequest(
        "k-1", "model", Operation.GENERATE, "x", None, None, None, {}, (Slot("g", 0, None),)
    )
    try:
        ref = await provider.submit(request)
        assert ref == JobRef("k-1")
        return [event async for event in provider.events(request, ref)]
    finally:
        await provider.close()


async def test_older_servers_that_are_busy_are_waited_for():
    busy = {"status_code": 409, "detail": "Already running a prediction"}
    good = {"status": "succeeded", "output": "data:image/png;base64,AAAA"}
    with Odd({**busy}, {**busy}, good) as server:
        events = await events_of(server)
    assert Queued() in events
    (ready,) = [event for event in events if isinstance(event, ImageReady)]
    assert ready.data == b"\0\0\0"
    assert len(events) == 3


@pytest.mark.parametrize("told", [{"status": "processing"}, {}, {"status": 5}])
async def test_an_answer_before_the_end_is_an_error(told):
    with Odd(told) as server, pytest.raises(ProviderError, match="before the picture was made"):
        await events_of(server)


async def test_a_glance_at_a_strange_answer_is_harmless():
    provider = Cog(pace=FAST)
    for told in ({"status": "starting"}, {"logs": 5}, {"status_code": 500}):
        with Odd(dict(told)) as server:
            seen = await provider._glance(f"{server.url}/predictions/x", 0)
            assert seen in (Queued(), Running(0, None, 0), None)
    await provider.close()


async def test_what_says_nothing_of_an_input_is_no_model():
    with Odd({"components": {}}) as server:
        provider = Cog(base_url=server.url)
        with pytest.raises(ProviderError, match="does not say what the input"):
            await provider.discover()
        await provider.close()
