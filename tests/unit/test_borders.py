"""Where everything may be caught, and what catches for others: told where people see it.

An `except Exception` hides a bug unless it stands where code of somebody else runs, or where a task
or a thread ends, and tells of what it caught. Each place is a row here, and so is each module that
has something of other people's caught by the border; both with the test that proves the telling.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from workbench.domain.arguments import shown
from workbench.domain.border import asked, awaited, told
from workbench.domain.handover import Handover
from workbench.domain.listeners import Listeners
from workbench.providers.diffusers_studio import End, Order
from workbench.providers.redaction import Unframed
from workbench.testing.contract_report import check
from workbench.testing.provider_contract import ProviderContract

PACKAGE = Path(__file__).parents[2] / "workbench"
BROAD = {"Exception", "BaseException"}
BORDER = "workbench.domain.border"
CATCHING = {"asked", "awaited"}


@dataclass(frozen=True)
class Place:
    border: str  # one of the four of CONTRIBUTING
    tells: str  # where people see what was caught
    proof: str  # a test
    count: int = 1


# All there are.
PLACES = {
    "domain/border.py": Place("plugin load", "ASKERS, below", "test_borders.py", count=2),
    "domain/handover.py": Place("runner task", "raised where it is waited for", "test_borders.py"),
    "runner/execute.py": Place(
        "runner task", "event log, with its traceback", "test_runner_jobs.py"
    ),
    "runner/pulse.py": Place("runner task", "event log", "test_engine_life.py"),
    "widgets/channel.py": Place("comm handler", "event log", "test_channel.py"),
    "widgets/serving.py": Place("comm handler", "answer, event log", "test_channel.py"),
}


@dataclass(frozen=True)
class Asker:
    whose: str  # code, which is called there
    tells: str
    proof: str


# Who lets the border catch for it.
ASKERS = {
    "domain/arguments.py": Asker("anybody's repr", "the sentence", "test_borders.py"),
    "domain/listeners.py": Asker("listeners", "event log", "test_store_database.py"),
    "providers/http.py": Asker("the HTTP client's close", "debug log", "test_http_policy.py"),
    "providers/keys.py": Asker("keyrings", "an error, or a warning", "test_keys.py"),
    "runner/execute.py": Asker("a provider's end", "event log", "test_runner_jobs.py"),
    "testing/contract_base.py": Asker("a new provider", "the report", "test_contract_notices.py"),
    "testing/contract_report.py": Asker("a new provider", "the report", "test_borders.py"),
    "widgets/route.py": Asker("the kernel", "event log", "test_widget_other_kernels.py"),
    "workspace/dispatch.py": Asker("callbacks", "event log", "test_events.py"),
    "workspace/engine.py": Asker("a provider's close", "event log", "test_engine_life.py"),
    "workspace/plugins.py": Asker("providers", "list of providers", "test_providers.py"),
}


def broad_in(source: str) -> list[int]:
    """Lines that catch everything: a bare except, Exception, a suppress of it, and gather's way."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                lines.append(node.lineno)
            else:
                caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = node.args
        elif isinstance(node, ast.keyword) and node.arg == "return_exceptions":
            lines.append(node.lineno)
        if any(isinstance(one, ast.Name) and one.id in BROAD for one in caught):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "source",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept (OSError, BaseException) as error: raise",
        "with contextlib.suppress(OSError, Exception): f()",
        "asyncio.gather(f(), return_exceptions=True)",
    ],
)
def test_what_catches_everything_is_seen(source: str) -> None:
    assert len(broad_in(source)) == 1
    narrow = source.replace("BaseException", "ValueError").replace("Exception", "E")
    narrow = narrow.replace("except:", "except E:").replace("return_exceptions=True", "")
    assert broad_in(narrow) == []


def asks(source: str) -> bool:
    """Tell whether a module has something caught by the border."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == BORDER
        and CATCHING & {one.name for one in node.names}
        for node in ast.walk(ast.parse(source))
    )


def sources() -> dict[str, str]:
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8")
        for path in PACKAGE.rglob("*.py")
        if "node_modules" not in path.parts
    }


def test_everything_is_caught_at_the_borders_only() -> None:
    found = {path: broad_in(source) for path, source in sources().items()}
    counts = {path: len(lines) for path, lines in found.items() if lines}
    assert counts == {path: place.count for path, place in PLACES.items()}, (
        f"narrow it, or let the border tell of it (see the top of this file): {found}"
    )
    assert {place.border for place in PLACES.values()} <= {
        "runner task",
        "comm handler",
        "folder scan",
        "plugin load",
    }


def test_who_has_the_border_catch_for_it_is_in_the_table() -> None:
    assert {path for path, source in sources().items() if asks(source)} == set(ASKERS)


def test_every_border_names_a_test_that_is_there() -> None:
    there = {path.name for path in PACKAGE.parent.joinpath("tests").rglob("test_*.py")}
    assert {row.proof for row in (*PLACES.values(), *ASKERS.values())} <= there


# -- what catches for others ----------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_error_is_handed_over_to_whoever_waits_and_keeps_no_frames(error: BaseException) -> None:
    def work() -> None:
        raise error

    future: Future[None] = Future()
    ending = Handover(work)
    assert ending.failed
    assert not future.done()
    ending.settle(future)
    assert future.exception() is error
    assert not any(kept is error for kept in vars(ending).values())
    assert ending._tell is None


def test_an_error_that_was_handed_over_is_gone_with_who_waited_for_it() -> None:
    """The frames of a write have megabytes, those of a pipeline have pictures."""

    class Wrong(Exception):
        pass

    def work() -> None:
        raise Wrong

    future: Future[None] = Future()
    gc.disable()
    try:
        Handover(work).settle(future)
        error = weakref.ref(future.exception() or Wrong())
        del future
        assert error() is None
    finally:
        gc.enable()


def test_an_error_is_made_readable_before_it_is_handed_over() -> None:
    future: Future[int] = Future()
    Handover(lambda: 1 // 0, readable=lambda error: OSError(str(error))).settle(future)
    with pytest.raises(OSError, match="division"):
        future.result()


def test_a_listener_that_fails_each_time_is_told_of_once_until_it_works_again() -> None:
    errors = [ValueError("a"), ValueError("a"), ValueError("b"), None, ValueError("b")]
    told: list[str] = []
    heard: list[int] = []
    waiting = iter(errors)

    def listen() -> None:
        error = next(waiting)
        if error is not None:
            raise error

    listeners = Listeners(failed=lambda error: told.append(str(error)))
    listeners.add(listen)
    end = listeners.add(lambda: heard.append(1))
    for _ in errors:
        listeners.tell()
    assert told == ["a", "b", "b"]
    assert len(heard) == len(errors)
    end()
    end()
    assert len(listeners) == 1
    listeners.clear()
    listeners.tell()


def test_an_interrupt_of_a_listener_is_nobodys_failure() -> None:
    def listen() -> None:
        raise KeyboardInterrupt

    listeners = Listeners(failed=lambda error: pytest.fail("told"))
    listeners.add(listen)
    with pytest.raises(KeyboardInterrupt):
        listeners.tell()


class Speechless(Exception):
    """As classes of libraries are: its text is made of something that was never set."""

    def __str__(self) -> str:
        return self.reason  # type: ignore[attr-defined,no-any-return]

    __repr__ = __str__


def test_an_error_without_a_text_is_told_of_all_the_same() -> None:
    heard: list[Exception] = []
    listeners = Listeners(failed=heard.append)

    def listen() -> None:
        raise Speechless

    listeners.add(listen)
    listeners.tell()
    listeners.tell()
    (error,) = heard
    assert told(error) == "Speechless (no text: AttributeError)"


def in_thread(work: Callable[[], str]) -> str:
    """Return what comes of it in a thread, where SystemExit would say nothing."""
    future: Future[str] = Future()
    thread = threading.Thread(target=lambda: Handover(work).settle(future))
    thread.start()
    thread.join()
    return future.result()


def raiser(error: BaseException) -> Callable[[], str]:
    def work() -> str:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(2), "RuntimeError: it wanted to end the program: exit(2)"),
        (asyncio.CancelledError(), "RuntimeError: it cancelled itself"),
        (LookupError("a bug"), "LookupError: a bug"),
    ],
)
def test_what_ends_only_the_thread_of_a_plugin_is_its_error(
    error: BaseException, said: str
) -> None:
    assert in_thread(lambda: asked(raiser(error), told)) == said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
def test_an_interrupt_of_a_plugin_is_not_its_error(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        in_thread(lambda: asked(raiser(error), told))
    assert caught.value is error


def test_an_end_of_the_program_that_a_signal_may_have_asked_for_ends_it() -> None:
    with pytest.raises(SystemExit):
        asked(raiser(SystemExit(0)), told)


async def test_what_takes_too_long_or_cancels_itself_is_told() -> None:
    async def cancels() -> str:
        raise asyncio.CancelledError

    async def stays() -> str:
        return await asyncio.Future()

    assert await awaited(cancels, told, within_s=60) == "RuntimeError: it cancelled itself"
    assert await awaited(stays, told, within_s=0) == "TimeoutError: "

    # A generator that is closed in another task than the one that read it may fail at that.
    async def where() -> asyncio.Task[object] | None:
        return asyncio.current_task()

    assert await awaited(where, lambda error: None, within_s=60) is asyncio.current_task()


async def test_a_cancel_of_who_waits_for_a_plugin_comes_through() -> None:
    begun = asyncio.Event()

    async def stays() -> str:
        begun.set()
        return await asyncio.Future()

    task = asyncio.create_task(awaited(stays, told, within_s=60))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(1), "RuntimeError('SystemExit: 1')"),
        (KeyboardInterrupt(), "RuntimeError('KeyboardInterrupt: ')"),
        (LookupError("a bug"), "LookupError('a bug')"),
    ],
)
async def test_whatever_a_pipeline_raises_in_its_thread_reaches_the_loop(
    error: BaseException, said: str
) -> None:
    def work(order: Order) -> None:
        raise error

    order = Order(work)
    await asyncio.to_thread(order.run)
    assert repr(await order.news()) == said


async def test_work_in_the_thread_that_nobody_wants_any_more_just_ends() -> None:
    order = Order(lambda order: pytest.fail("begun"))
    order.stop()
    await asyncio.to_thread(order.run)
    assert isinstance(await order.news(), End)


def test_a_test_of_a_contract_that_cannot_even_fail_in_words_is_in_the_report() -> None:
    class Odd(ProviderContract):
        def make_provider(self) -> object:
            raise Speechless

    report = check(Odd, only="test_it_has_the_protocol")
    ((name, why),) = report.failed
    assert name == "test_it_has_the_protocol"
    assert "in make_provider" in why
    assert "Speechless: <exception str() failed>" in why


def key_in_a_frame(error: BaseException) -> None:
    key = "sk-1"
    assert key
    raise error


def frames_of(error: BaseException | None) -> list[str]:
    found, trace = [], error.__traceback__ if error is not None else None
    while trace is not None:
        found.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return found


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_leaves_the_block_has_no_frames_of_it(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, Unframed():
        key_in_a_frame(error)
    assert caught.value is error
    assert "key_in_a_frame" not in frames_of(error)


@pytest.mark.req("PRV-7")
def test_what_stands_for_an_error_is_not_chained_to_it() -> None:
    with pytest.raises(OSError) as caught, Unframed(lambda error: OSError("said otherwise")):
        key_in_a_frame(ValueError("sk-1"))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "key_in_a_frame" not in frames_of(caught.value)


def test_a_value_that_cannot_be_shown_is_named_with_what_it_raised() -> None:
    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise LookupError

        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert shown(Odd()) == "a Odd that cannot be shown (LookupError)"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RecursionError(), Speechless()])
def test_a_list_of_what_cannot_be_shown_is_shown_unless_it_is_interrupted(
    error: BaseException,
) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise error

    if isinstance(error, Exception):
        assert "Odd instance" in shown([1, Odd()])
    else:
        with pytest.raises(type(error)):
            shown([1, Odd()])
