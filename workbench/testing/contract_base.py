"""What stands below the contract of providers: settings, requests, and driving jobs as the engine.

`workbench.testing.provider_contract` has the tests, and says how they are used.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, TypeVar

from workbench.domain.border import awaited
from workbench.domain.handover import Handover
from workbench.domain.jobs import (
    ImageReady,
    JobEvent,
    JobInput,
    JobRef,
    JobRequest,
    Slot,
)
from workbench.domain.parameters import Model, ParameterKind
from workbench.domain.status import ErrorKind, Operation
from workbench.errors import NotFound, ProviderError
from workbench.ports import Provider
from workbench.testing import provider_checks as checks
from workbench.testing.pictures import png
from workbench.testing.provider_checks import expect
from workbench.testing.watching import NetworkWatch

AT_ONCE_S = 0.05

T = TypeVar("T")
_numbers = itertools.count(1)


class ContractBase:
    """Settings of a contract, and what drives a provider. The tests are in `ProviderContract`.

    Examples
    --------
    >>> from workbench.testing.providers import FakeProvider
    >>> class Mine(ContractBase):
    ...     def make_provider(self):
    ...         return FakeProvider("fake")
    >>> mine = Mine()
    >>> pictures = mine.run(lambda provider: mine.make(provider, mine.job_request(provider)))
    >>> [picture.index for picture in pictures]
    [0]
    """

    patience_s: float = 30.0
    close_s: float = 5.0
    hold_s: float = AT_ONCE_S
    entry_point: str | None = None
    secrets: Sequence[str] = ()
    deterministic: bool = False
    every_value: bool = True

    # -- what you say -----------------------------------------------------------------------------

    def make_provider(self) -> Provider:
        """Return a new provider that can be used. Called for each test, on no running loop."""
        raise NotImplementedError("Write make_provider(): it returns your provider.")

    def make_unready(self) -> Provider | None:
        """Return a provider that lacks what it needs (its key), or None if it needs nothing."""
        return None

    def make_with_key(self, key: str) -> Provider | None:  # noqa: ARG002 - for subclasses
        """Return a provider with this key, which is wrong, or None if it has no key."""
        return None

    def model(self, provider: Provider) -> Model:
        """Return the model that is used; by default the first that generates."""
        models = list(provider.models())
        expect(models, "models() is empty.", "Offer a model, or override model().")
        return next((one for one in models if Operation.GENERATE in one.operations), models[0])

    def params(self, model: Model) -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """Return values for parameters besides the defaults (a small size, few steps)."""
        return {}

    def charged(self) -> int | None:
        """Return how many pictures the service has charged so far; None if nobody counts."""
        return None

    def refusals(self, request: JobRequest) -> Sequence[tuple[JobRequest, ErrorKind]]:  # noqa: ARG002 - for subclasses
        """Return requests that the service refuses, and how: changes of `request`."""
        return ()

    @classmethod
    def leaves_out(cls) -> dict[str, str]:
        """Return the names of tests that do not apply to your provider, each with a reason.

        Runners do not see them. Without a word from you these are tests of what you say nothing
        about. Where you know more, add to them::

            @classmethod
            def leaves_out(cls):
                name = "test_a_reference_is_followed_by_another_process"
                return super().leaves_out() | {name: "its references are not resumable"}
        """
        said = {
            "test_its_entry_point_finds_it": (cls.entry_point, "no entry_point is named"),
            "test_the_same_seed_makes_the_same_picture": (
                cls.deterministic,
                "deterministic is False",
            ),
            "test_every_value_that_the_model_offers_is_taken": (
                cls.every_value,
                "every_value is False",
            ),
            "test_each_picture_is_charged_once": (
                cls.charged is not ContractBase.charged,
                "charged() counts nothing",
            ),
            "test_what_the_service_refuses_is_a_typed_sentence": (
                cls.refusals is not ContractBase.refusals,
                "refusals() names none",
            ),
            "test_what_is_missing_is_said": (
                cls.make_unready is not ContractBase.make_unready,
                "make_unready() gives none: it needs nothing",
            ),
            "test_a_wrong_key_is_named_and_not_shown": (
                cls.make_with_key is not ContractBase.make_with_key,
                "make_with_key() gives none: it has no key",
            ),
        }
        return {name: why for name, (applies, why) in said.items() if not applies}

    # -- requests ---------------------------------------------------------------------------------

    def job_request(
        self,
        provider: Provider,
        *,
        model: Model | None = None,
        slots: Sequence[int] | None = None,
        operation: Operation | None = None,
        prompt: str = "a red fox in the snow",
        references: int = 0,
        source: bool | None = None,
        **params: Any,
    ) -> JobRequest:
        """Return a request as the engine makes it.

        Parameters
        ----------
        provider:
            Who is asked.
        model:
            By default `model`.
        slots:
            Indices of the pictures; by default three where one call makes several, else one.
        operation:
            By default the model's first one.
        prompt, references:
            What is asked for, and how many reference images go in.
        source:
            Whether an image to be changed goes in; by default where the operation begins with one.
        **params:
            Parameters besides the defaults and those of `params`.
        """
        chosen = model or self.model(provider)
        given = self.params(chosen) if model is None else {}
        values = chosen.check({**given, **params})
        size = {name: values.pop(name, None) for name in ("width", "height")}
        doing = operation or chosen.operations[0]
        if slots is None:
            slots = range(min(3, chosen.max_images)) if chosen.batchable else (0,)
        seeds = [7 + index if chosen.seeds else None for index in slots]
        number = next(_numbers)
        return JobRequest(
            key=new_key(),
            model=chosen.name,
            operation=doing,
            prompt=prompt,
            negative_prompt=None,
            width=_whole(size["width"]),
            height=_whole(size["height"]),
            params=values,
            slots=tuple(
                Slot(f"generation-{number}-{index}", index, seed)
                for index, seed in zip(slots, seeds, strict=True)
            ),
            inputs=_inputs(doing, references, source=source),
        )

    # -- driving ----------------------------------------------------------------------------------

    def run(self, body: Callable[[Provider], Awaitable[T]], provider: Provider | None = None) -> T:
        """Run `body` with a new provider on a loop in a thread of its own; close it afterwards."""
        __tracebackhide__ = True
        one = provider or self.make_provider()
        before: list[Exception] = []
        stray: list[str] = []
        ended: Future[T] = Future()

        async def main() -> T:
            def handle(_loop: object, context: dict[str, Any]) -> None:
                stray.append(f"{context.get('message')} {context.get('exception')!r}")

            asyncio.get_running_loop().set_exception_handler(handle)
            # Before each job the engine asks for both, in a thread: what is kept is read by now.
            asking = asyncio.to_thread(lambda: (one.state(), list(one.models())))
            if isinstance(raised := await self.answer_of(asking), Exception):
                before.append(raised)
            try:
                return await body(one)
            finally:
                await in_time(one.close(), "close()", self.close_s)

        def work() -> None:
            Handover(lambda: asyncio.run(main())).settle(ended)

        thread = threading.Thread(target=work, name="workbench-contract", daemon=True)
        thread.start()
        # Long enough for many jobs; a test that hangs says where by its own time limits.
        thread.join(20 * self.patience_s)
        expect(not thread.is_alive(), "The test does not end.", "Something waits without a limit.")
        error = ended.exception()
        if error is not None:
            for raised in before:
                error.add_note(f"Before that, state() or models() raised {raised!r}.")
            raise error
        expect(
            not stray,
            f"Something failed on the loop, and nobody looked: {stray}",
            "Wait for every task that the provider starts.",
        )
        return ended.result()

    async def answer_of(self, asking: Awaitable[T]) -> T | Exception:
        """Return what a provider answers, or the error that it raises: the caller looks at both."""

        def failed(error: Exception) -> Exception:
            if isinstance(error, checks.Breach):
                raise error
            return error

        async def answer() -> T | Exception:
            return await asking

        return await awaited(answer, failed, within_s=20 * self.patience_s)

    async def make(self, provider: Provider, request: JobRequest) -> list[ImageReady]:
        """Submit a request, follow it to its end and check all of it; returns its pictures."""
        ref = checks.check_ref(await in_time(provider.submit(request), "submit()", self.patience_s))
        return checks.check_events(request, await self.follow(provider, request, ref))

    async def follow(self, provider: Provider, request: JobRequest, ref: JobRef) -> list[JobEvent]:
        """Return all events of a job, each awaited with a limit; nothing is checked."""
        stream: Any = provider.events(request, ref)
        expect(
            isinstance(stream, AsyncIterator) and hasattr(stream, "aclose"),
            f"events() returned {type(stream).__name__}.",
            "Write it as an async generator: `async def events(…)` with `yield` in it.",
        )
        events: list[JobEvent] = []
        async with aclosing(stream) as following:
            while True:
                waiting = anext(following, None)
                event = await in_time(waiting, "The next event", self.patience_s)
                if event is None:
                    return events
                events.append(event)

    async def submitted(self, provider: Provider) -> tuple[JobRequest, JobRef, int | None]:
        """Submit a job and let it go; returns it with what was charged before."""
        before = self.charged()
        request = self.job_request(provider)
        ref = checks.check_ref(await in_time(provider.submit(request), "submit()", self.patience_s))
        if not ref.resumable:
            checks.check_events(request, await self.follow(provider, request, ref))
        return request, ref, before

    async def failure_of(self, provider: Provider, request: JobRequest) -> BaseException:
        """Return the error that a request ends with."""
        answer = await self.answer_of(self.make(provider, request))
        if isinstance(answer, Exception):
            return answer
        raise checks.Breach("The request should fail, and a picture came.\n  -> Raise an error.")

    async def made_or_refused(self, provider: Provider, request: JobRequest) -> None:
        """Check that a request is made, or refused in a sentence."""
        answer = await self.answer_of(self.make(provider, request))
        if isinstance(answer, Exception):
            checks.check_error(answer)

    async def cancel(self, provider: Provider, ref: JobRef) -> None:
        """Cancel a job; an error that is typed does no harm."""
        # The engine notes what a cancel raises and goes on; it waits 30 s at most.
        with suppress(ProviderError):
            await in_time(provider.cancel(ref), "cancel()", self.patience_s)

    def check_charged(self, before: int | None, pictures: int, what: str) -> None:
        """Check that since `before` just these pictures were charged, if anybody counts."""
        now = self.charged()
        if before is None or now is None:
            return
        expect(
            now - before == pictures,
            f"For {what}, {now - before} pictures were charged, and {pictures} were asked for.",
            "What is sent twice is paid twice: send only in submit(), or only in events().",
        )


# -- small things ---------------------------------------------------------------------------------


def new_key() -> str:
    """Return a key that no request had before."""
    return f"contract-{next(_numbers)}-{time.time_ns()}"


class named:  # noqa: N801 - used like a function
    """Adds to whatever is raised in a block what it is about."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"This was {self._what}.")


async def in_time(work: Awaitable[T], what: str, limit_s: float) -> T:
    """Await `work`; Breach if it takes longer."""
    __tracebackhide__ = True
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise checks.Breach(
            f"{what} did not come within {limit_s:g} s.\n"
            "  -> Put a limit on every wait for somebody else, and end what is cancelled."
        ) from None


def quickly(work: Callable[[], T], what: str, *, limit_s: float = AT_ONCE_S) -> T:
    """Call `work` up to four times; one must be quick (the first may read a data file)."""
    __tracebackhide__ = True
    shortest = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        result = work()
        shortest = min(shortest, time.perf_counter() - begun)
        if shortest <= limit_s:
            return result
    raise checks.Breach(
        f"{what} takes {shortest * 1000:.0f} ms.\n"
        f"  -> At most {limit_s * 1000:.0f} ms: it is called while people wait. Keep what is slow "
        "for submit() and events()."
    )


def asked_nobody(watch: NetworkWatch, what: str) -> None:
    """Check that nobody went to the network."""
    __tracebackhide__ = True
    expect(
        not watch.seen,
        f"{what} went to the network: {', '.join(watch.seen)}.",
        "It is called wherever a workspace is opened or a panel is shown. Ask in submit().",
    )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _inputs(operation: Operation, references: int, *, source: bool | None) -> tuple[JobInput, ...]:
    inputs = [_input("reference", place) for place in range(references)]
    if checks.needs_input(operation) if source is None else source:
        inputs.append(_input("source", 0))
    if operation is Operation.INPAINT:
        inputs.append(_input("mask", 0))
    return tuple(inputs)


def _input(role: str, position: int) -> JobInput:
    return JobInput(
        f"{role}-{position}", role, position, "image/png", lambda: _input_picture(role, position)
    )


@functools.cache
def _input_picture(role: str, position: int) -> bytes:
    return png(f"{role} {position}", width=256, height=256)


def ways_of(model: Model) -> list[dict[str, Any]]:
    """Return how a model can be asked: keywords for `job_request`, for each operation."""
    ways: list[dict[str, Any]] = []
    for operation in model.operations:
        ways.append({"operation": operation})
        if operation is Operation.GENERATE and model.max_references:
            ways.append({"operation": operation, "references": model.max_references})
        elif operation is not Operation.INPAINT and model.max_references:
            ways.append({"operation": operation, "references": 1, "source": False})
    return ways


def noting_reads(request: JobRequest) -> tuple[JobRequest, set[str]]:
    """Return the request with inputs that put their id into a set when they are read."""
    read: set[str] = set()

    def noting(one: JobInput) -> JobInput:
        def read_it() -> bytes:
            read.add(one.asset_id)
            return one.read()

        return replace(one, read=read_it)

    return replace(request, inputs=tuple(map(noting, request.inputs))), read


def gone() -> bytes:
    """Stand in for an input whose file has vanished."""
    raise ProviderError(
        ErrorKind.BAD_REQUEST,
        f"An image that goes in cannot be read: {NotFound('asset', '0' * 64)}",
    )


def values_offered(model: Model) -> list[tuple[str, Any]]:
    """Return each choice, and both ends of each range, of what is not hidden."""
    found: list[tuple[str, Any]] = []
    for name, parameter in model.parameters.items():
        if parameter.hidden:
            continue
        if parameter.kind is ParameterKind.CHOICE:
            found += [(name, choice) for choice in parameter.choices]
        elif parameter.kind is ParameterKind.BOOLEAN:
            found += [(name, True), (name, False)]
        elif parameter.kind in (ParameterKind.INTEGER, ParameterKind.NUMBER):
            ends = (parameter.minimum, parameter.maximum)
            kind = int if parameter.kind is ParameterKind.INTEGER else float
            found += [(name, kind(end)) for end in ends if end is not None]
    return found
