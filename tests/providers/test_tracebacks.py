"""A key is in no traceback, however much of it is printed, and in no log, however much is logged.

Verbose tracebacks (``%xmode Verbose``) print local variables of every frame, and notebooks keep
what is printed. Each dialect is asked where nothing answers, where connections break, where an
answer takes too long, and where the key is refused.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from IPython.core.ultratb import VerboseTB

from tests.providers.checks import TOO_LATE
from tests.providers.dialects import Dialect, _found, all_dialects
from tests.providers.world import drained, ended, fast, job_request
from workbench.domain.status import Operation
from workbench.errors import WorkbenchError
from workbench.providers import keys
from workbench.providers.http import Line, Patience
from workbench.providers.redaction import Secret
from workbench.testing.emulators.server import Fault
from workbench.workspace.workspace import Workspace

pytestmark = pytest.mark.req("PRV-7")

CANARY = "sk-canary-0123456789abcdefghij"
NAMED = f"ann:{CANARY}"
FORMS = (CANARY, base64.b64encode(NAMED.encode()).decode())
NOBODY = "127.0.0.1:9"


PATIENCE = Patience(connect_s=2, send_s=2, stall_s=2, total_s=4)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with every request, and how long is waited for answers."""

    fault: Fault | None = None
    unreachable: bool = False
    patience: Patience = PATIENCE


TROUBLES = {
    "unreachable": Trouble(unreachable=True),
    "reset": Trouble(Fault(reset_before=True)),
    "cut": Trouble(Fault(reset_after=3)),
    "slow": Trouble(TOO_LATE, patience=Patience(1, 1, 0.1, 0.3)),
    "refused": Trouble(Fault(status=401)),
}


@pytest.fixture(params=all_dialects(), ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
def server(dialect: Dialect) -> Iterator[Any]:
    with dialect.make_emulator() as running:
        yield running


def provider_of(dialect: Dialect, server: Any, trouble: Trouble, name: str | None = None) -> Any:
    kind = _found(dialect.provider)
    options = {**dialect.options(server), "pace": fast, "patience": trouble.patience}
    options["key"] = NAMED if kind.__module__.endswith("sdwebui") else CANARY
    if trouble.unreachable:
        options["base_url"] = urlsplit(options["base_url"])._replace(netloc=NOBODY).geturl()
    else:
        server.fault_of = lambda seen: trouble.fault
    return kind(name or dialect.name, **options)


# -- what can be printed of an error --------------------------------------------------------------


def everything_of(error: BaseException) -> str:
    """What tracebacks print of an error: locals, causes, and what those of us hide of both."""
    told = VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join([str(told), *shown.format(), *held_by(error)])


def held_by(error: BaseException) -> Iterator[str]:
    """The local variables of every frame of an error, of its cause and of its context."""
    for one in chain_of(error):
        yield repr(one)
        for frame in frames_of(one):
            for name, value in frame.f_locals.items():
                yield f"{frame.f_code.co_filename}:{frame.f_lineno} {name} = {value!r}"


def chain_of(error: BaseException) -> list[BaseException]:
    """An error with all that it is chained to, also where tracebacks are told to leave it out."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def frames_of(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def caught(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except (WorkbenchError, TimeoutError) as error:
        return error
    return None


def assert_clean(text: str) -> None:
    for form in FORMS:
        place = text.find(form)
        assert place < 0, text[max(0, place - 300) : place + 60]


# -- what is told ----------------------------------------------------------------------------------


def test_no_traceback_of_a_dialect_has_the_key(
    dialect: Dialect, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = job_request(dialect.model)

    async def errors_of(provider: Any) -> list[BaseException]:
        asyncio.get_running_loop().set_debug(True)
        errors: list[BaseException] = []
        for call in (provider.test, provider.refresh, partial(drained, provider, request)):
            try:
                await call()
            except WorkbenchError as error:
                errors.append(error)
        await provider.close()
        return errors

    for name, trouble in TROUBLES.items():
        errors = asyncio.run(errors_of(provider_of(dialect, server, trouble)))
        assert errors, f"{name}: nothing went wrong"
        for error in errors:
            assert_clean(everything_of(error))
    assert_clean(caplog.text)


async def test_no_traceback_of_what_is_cancelled_has_the_key(dialect: Dialect, server: Any) -> None:
    provider = provider_of(dialect, server, Trouble(TOO_LATE))
    asking = asyncio.create_task(drained(provider, job_request(dialect.model)))
    # Those that need a picture to begin with have sent nothing, and have failed.
    while not server.requests and not asking.done():  # noqa: ASYNC110 - told by another thread
        await asyncio.sleep(0.01)
    asking.cancel()
    try:
        await asking
    except (asyncio.CancelledError, WorkbenchError) as error:
        assert_clean(everything_of(error))
    await provider.close()


@pytest.mark.faults
@pytest.mark.blocking_allowed("pytest writes down what is logged, which is everything")
@pytest.mark.usefixtures("quick_retries")
def test_no_traceback_of_a_workspace_has_the_key(
    dialect: Dialect, server: Any, ws: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ws._engine.loop.loop.set_debug(True)
    for name, trouble in TROUBLES.items():
        provider = provider_of(dialect, server, trouble, f"{dialect.name}-{name}")
        ws.add_provider(provider)
        asked = (ws.test_provider, ws.refresh_provider)
        failed = [caught(partial(ask, provider.name)) for ask in asked]
        assert any(failed), f"{name}: nothing went wrong"
        model = ws.model(f"{provider.name}:{dialect.model}")
        given = dict(dialect.request)
        if Operation.UPSCALE in model.operations:
            given = {"source": given["references"][0], "operation": "upscale"}
        batch = ws.generate("a fox", model=model.id, **given)
        failed.append(caught(partial(batch.wait, 0)))
        ended(batch)
        shown = [repr(batch), repr(provider), repr(vars(provider))]
        shown += [f"{one!r} {one.error!r} {one.detail}" for one in batch.all_generations()]
        shown += [everything_of(error) for error in failed if error is not None]
        for text in shown:
            assert_clean(text)
    assert_clean(repr(ws.providers()))
    assert_clean(repr(ws.debug.entries()))
    assert_clean(caplog.text)


# -- frames of the client --------------------------------------------------------------------------


class Holding(httpx.AsyncBaseTransport):
    """A transport whose frames hold the headers as text, as those of a library may."""

    def __init__(self, ends: BaseException | None, *, in_body: bool) -> None:
        self.ends = ends
        self.in_body = in_body
        self.there = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = dict(request.headers)
        assert CANARY in str(sent)
        if self.in_body:
            return httpx.Response(200, stream=Body(self.end, sent))
        await self.end()
        raise AssertionError("it has ended")

    async def end(self) -> None:
        self.there.set()
        if self.ends is None:
            await asyncio.sleep(30)
        else:
            raise self.ends


class Body(httpx.AsyncByteStream):
    def __init__(self, end: Callable[[], Any], sent: dict[str, str]) -> None:
        self.end = end
        self.sent = sent

    async def __aiter__(self) -> Any:
        sent = self.sent
        assert sent
        yield b"a"
        await self.end()


ENDS = {
    "an error of the client": lambda: httpx.ReadError("broken"),
    "an error of the system": lambda: OSError(5, "broken"),
    "a bug": lambda: KeyError("x"),
    "an interrupt": KeyboardInterrupt,
    "a cancel": lambda: None,
}


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("ends", ENDS)
def test_nothing_that_comes_through_the_client_brings_its_frames(ends: str, in_body: bool) -> None:
    error = ENDS[ends]()
    transport = Holding(error, in_body=in_body)
    line = Line("Zoo", client=lambda patience: httpx.AsyncClient(transport=transport))
    headers = {"x-key": Secret(CANARY)}

    async def ask() -> None:
        answer = await line.open("GET", "https://zoo.invalid/v1", headers=headers)
        await answer.body(max_bytes=9)

    async def main() -> None:
        asking = asyncio.ensure_future(ask())
        if error is None:
            await transport.there.wait()
            asking.cancel()
        await asking

    with pytest.raises(BaseException) as caught:
        asyncio.run(main())
    names = {frame.f_code.co_name for one in chain_of(caught.value) for frame in frames_of(one)}
    assert {"ask", "main"} & names
    assert not {"handle_async_request", "send", "end", "aiter_raw"} & names
    assert_clean(everything_of(caught.value))


# -- what people do with keys ----------------------------------------------------------------------


def typed() -> str:
    """A key that stands in no line, and in no variable, of whoever enters it."""
    return "".join(reversed("".join(reversed(CANARY))))


def awkward() -> str:
    return f"{typed()} é"


def no_text() -> Any:
    return typed().encode()


@pytest.mark.parametrize(
    ("name", "key"),
    [("openai", awkward), ("no-such-provider", typed), ("openai", no_text), ("openai", typed)],
)
def test_no_traceback_of_entering_a_key_has_it(
    ws: Workspace, name: str, key: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is refused, or the file of keys cannot be written."""
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((WorkbenchError, OSError)) as refused:
        ws.set_key(name, key())
    assert_clean(everything_of(refused.value))


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Impatient:
    """A keyring that is interrupted while it asks for its password."""

    def set_password(self, service: str, name: str, value: str) -> None:
        raise KeyboardInterrupt


def test_no_traceback_of_an_interrupt_has_the_key(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_keyring", Impatient)
    with pytest.raises(KeyboardInterrupt) as stopped:
        ws.set_key("openai", typed())
    assert_clean(everything_of(stopped.value))


def test_no_traceback_of_a_file_that_is_not_in_order_has_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path))
    monkeypatch.setattr(keys, "_keyring", lambda: None)
    keys.path().write_text(f'{{"openai": {{"key": "{typed()}"')
    keys.path().chmod(0o600)
    calls = [partial(keys.find, "openai"), partial(keys.keep, "zoo", "0123"),
             partial(keys.forget, "openai")]  # fmt: skip
    for call in calls:
        error = caught(call)
        assert error is not None
        assert_clean(everything_of(error))
