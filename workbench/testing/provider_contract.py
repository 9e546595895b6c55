"""The suite that every provider passes, ours and those of others.

A subclass says how the provider is made; pytest collects the tests that it inherits::

    # test_my_provider.py
    from workbench.testing.provider_contract import ProviderContract

    class TestMyProvider(ProviderContract):
        def make_provider(self):
            return MyProvider(base_url=self.server.url, key="a-key-for-tests")

Jobs are driven as the engine drives them: on a loop in a thread of its own, a new provider for
each test. It asks for a few dozen small pictures, so point it at an emulator or a local server, and
not at an account that pays (`workbench.testing.emulators` has servers to begin with).

Tests that do not apply to a provider are left out by what it says of itself, see
`ProviderContract.leaves_out`; what shows only while they run is skipped.

Where a server must run beside the tests, start it in ``setup_method`` and end it in
``teardown_method``, or in a pytest fixture with ``autouse=True`` that sets an attribute.

pytest is not needed: ``print(check(TestMyProvider))`` runs the same tests in a notebook.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.domain.jobs import Idempotency, JobRef, JobRequest
from workbench.domain.status import ErrorKind, Operation
from workbench.ports import Provider
from workbench.testing import provider_checks as checks
from workbench.testing.contract_base import (
    gone,
    in_time,
    named,
    new_key,
    noting_reads,
    values_offered,
    ways_of,
)
from workbench.testing.contract_description import DescriptionContract
from workbench.testing.contract_report import Report, check
from workbench.testing.provider_checks import expect
from workbench.testing.watching import LoopWatch, Overheard

__all__ = ["ProviderContract", "Report", "check"]

AWKWARD = "a “fox” 狐 🦊 ' \" \\ {{x}} <b>&amp; %s ${y} \u0301\n\tsecond line"
_GRACE_HOLD_S = 1.0  # a hold that is too long whatever else the machine does
_MOST_VALUES = 60


class ProviderContract(DescriptionContract):
    """Tests of a provider; subclass it and say how yours is made.

    Attributes
    ----------
    patience_s:
        how long is waited for any one thing.
    close_s:
        how long the end of a stream or of the provider may take, as the engine waits for it.
    hold_s:
        how long `events` may hold up the loop.
    entry_point:
        name of your entry point in the group ``workbench.providers``, once your package is
        installed.
    secrets:
        keys that the provider has in these tests; they must not turn up in any text.
    deterministic:
        True: the same request with the same seed makes the same bytes.
    every_value:
        False: do not ask for a picture with each value that the model offers.

    Examples
    --------
    >>> from workbench.testing.providers import FakeProvider
    >>> class TestFake(ProviderContract):
    ...     def make_provider(self):
    ...         return FakeProvider("fake")
    >>> for _, why in check(TestFake).failed:  # the fake looks at no reference image
    ...     print(why.splitlines()[0])
    Images that went in were not read: reference-0, reference-1, reference-2, reference-3.
    The request should fail, and a picture came.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Take out of a subclass the tests that do not apply: runners pass by what is None."""
        super().__init_subclass__(**keywords)
        left_out = cls.leaves_out()
        tests = [name for name in dir(ProviderContract) if name.startswith("test_")]
        unknown = sorted(set(left_out) - set(tests))
        if unknown:
            raise TypeError(f"leaves_out() names no tests of the contract: {', '.join(unknown)}.")
        for name in tests:
            if name in vars(cls):
                continue
            if name in left_out:
                setattr(cls, name, None)
            elif getattr(cls, name) is None:  # a base of this one left it out
                setattr(cls, name, getattr(ProviderContract, name))

    # -- jobs -------------------------------------------------------------------------------------

    def test_a_job_gives_one_picture_for_each_slot(self) -> None:
        """Events come in order, each slot gets its picture, Done comes last."""
        self.run(lambda one: self.make(one, self.job_request(one)))

    def test_slots_keep_their_own_index(self) -> None:
        """After a partial failure the engine asks for the rest: slots 2 and 5, say."""

        async def body(provider: Provider) -> None:
            several = self.model(provider).batchable
            await self.make(provider, self.job_request(provider, slots=(2, 5) if several else (2,)))

        self.run(body)

    def test_every_model_works_with_its_defaults(self) -> None:
        """Also those that nobody looks at: each operation of each of them, with what it needs."""

        async def body(provider: Provider) -> None:
            for model in provider.models():
                for way in ways_of(model):
                    request = self.job_request(provider, model=model, slots=(0,), **way)
                    with named(f"{model.id}, {request.operation.value}, {_inputs_of(request)}"):
                        await self._all_is_sent(provider, request)

        self.run(body)

    async def _all_is_sent(self, provider: Provider, request: JobRequest) -> None:
        noting, read = noting_reads(request)
        answer = await self.answer_of(self.make(provider, noting))
        if isinstance(answer, Exception):
            # What is to be changed may have to be said: references alone may be refused.
            if any(one.role == "source" for one in request.inputs) or not request.inputs:
                raise answer
            if request.operation is Operation.GENERATE:
                raise answer
            checks.check_error(answer, expected=ErrorKind.BAD_REQUEST)
            return
        unread = [one.asset_id for one in request.inputs if one.asset_id not in read]
        expect(
            not unread,
            f"Images that went in were not read: {', '.join(unread)}.",
            "Send every image of request.inputs, or do not offer to take any.",
        )

    def test_every_value_that_the_model_offers_is_taken(self) -> None:
        """Ends of ranges and each choice: made, or refused in a sentence."""

        async def body(provider: Provider) -> None:
            offered = list(values_offered(self.model(provider)))
            for name, value in offered[:_MOST_VALUES]:
                with named(f"{name}={value!r}"):
                    request = self.job_request(provider, slots=(0,), **{name: value})
                    await self.made_or_refused(provider, request)

        self.run(body)

    def test_awkward_words_do_no_harm(self) -> None:
        """Prompts are what people paste: they are made, or refused in a sentence."""

        async def body(provider: Provider) -> None:
            for prompt in (AWKWARD, "fox " * 2_500):
                await self.made_or_refused(provider, self.job_request(provider, prompt=prompt))

        self.run(body)

    def test_jobs_at_the_same_time_do_not_mix(self) -> None:
        """One instance serves many jobs; nothing of a job is kept in the instance."""

        async def body(provider: Provider) -> None:
            indices = (1, 2, 3, 4)[: max(2, min(4, provider.concurrency))]
            several = [self.job_request(provider, slots=(index,)) for index in indices]
            await asyncio.gather(*(self.make(provider, request) for request in several))

        self.run(body)

    def test_the_same_seed_makes_the_same_picture(self) -> None:
        """For those who say that they are deterministic."""

        async def body(provider: Provider) -> None:
            request = self.job_request(provider, slots=(0,))
            (slot,) = request.slots
            other = replace(request, slots=(replace(slot, seed=(slot.seed or 0) + 1),))
            one, same, another = [
                (await self.make(provider, replace(wanted, key=new_key())))[0].data
                for wanted in (request, request, other)
            ]
            expect(one == same, "Twice the same seed made two pictures.", "Use slot.seed only.")
            expect(
                one != another or slot.seed is None,
                "Another seed made the same picture.",
                "Use slot.seed; where there are no seeds, say seeds=False in the model.",
            )

        self.run(body)

    def test_every_job_has_an_id_of_its_own(self) -> None:
        """A reference that comes a second time is taken for the first job's."""

        async def body(provider: Provider) -> None:
            requests = [self.job_request(provider) for _ in range(2)]
            refs = [checks.check_ref(await provider.submit(request)) for request in requests]
            for request, ref in zip(requests, refs, strict=True):
                checks.check_events(request, await self.follow(provider, request, ref))
            ids = [ref.remote_id for ref in refs]
            expect(
                ids[0] != ids[1] or ids[0] is None,
                f"Two jobs have the id {ids[0]!r}.",
                "Ids are unique, also after a restart of the service: add what makes them so.",
            )

        self.run(body)

    def test_a_reference_is_followed_by_another_process(self) -> None:
        """After a crash the job goes on with nothing but request and reference."""
        request, ref, before = self.run(self.submitted)
        if not ref.resumable:
            raise unittest.SkipTest("its references are not resumable")

        async def body(provider: Provider) -> None:
            checks.check_events(request, await self.follow(provider, request, ref))
            # And once more: the end may not have been written down.
            checks.check_events(request, await self.follow(provider, request, ref))

        self.run(body)
        self.check_charged(before, len(request.slots), "a job that was followed three times")

    def test_a_job_can_be_left_in_the_middle(self) -> None:
        """The engine closes the stream, or cancels the wait for it: both end at once."""

        async def body(provider: Provider) -> None:
            request = self.job_request(provider)
            ref = checks.check_ref(await provider.submit(request))
            stream: Any = provider.events(request, ref)
            async with asyncio.timeout(self.patience_s):
                await anext(aiter(stream), None)
            await in_time(stream.aclose(), "Closing the stream of events", self.close_s)
            request = self.job_request(provider)
            ref = checks.check_ref(await provider.submit(request))
            task = asyncio.create_task(self.follow(provider, request, ref))
            await asyncio.sleep(0.02)
            task.cancel()
            await in_time(asyncio.wait([task]), "Cancelling the wait for an event", self.close_s)
            expect(
                task.cancelled() or task.exception() is None,
                f"A cancelled wait ended with {task.cancelled() or task.exception()!r}.",
                "Let asyncio.CancelledError pass: `except Exception` does, `except BaseException` "
                "and a bare `except` do not.",
            )
            await self.make(provider, self.job_request(provider))

        self.run(body)

    def test_a_cancel_returns_and_the_job_ends(self) -> None:
        """Whether the service listens or not, events end: with pictures, or with an error."""

        async def body(provider: Provider) -> None:
            request = self.job_request(provider)
            ref = checks.check_ref(await provider.submit(request))
            following = asyncio.create_task(self.follow(provider, request, ref))
            await asyncio.sleep(0.02)
            await self.cancel(provider, ref)
            events = await self.answer_of(following)
            if isinstance(events, Exception):
                checks.check_error(events)
            else:
                asked = {slot.index: slot for slot in request.slots}
                for event in events:
                    checks.check_event(event, asked)
            # Too late, and for a job that nobody knows: best effort, and no harm.
            await self.cancel(provider, ref)
            await self.cancel(provider, replace(ref, remote_id=None, resumable=False, data={}))

        self.run(body)

    # -- money ------------------------------------------------------------------------------------

    def test_each_picture_is_charged_once(self) -> None:
        """What the service charged is what came home."""
        before = self.charged()
        if before is None:
            raise unittest.SkipTest("charged() counts nothing")

        async def body(provider: Provider) -> tuple[int, bool]:
            request = self.job_request(provider)
            await self.make(provider, request)
            free = provider.idempotency.kind is Idempotency.FREE
            return len(request.slots), free

        pictures, free = self.run(body)
        expect(
            not free or self.charged() == before,
            "idempotency is FREE, and the service charged.",
            "FREE jobs are made again after a crash. Declare KEYED, LOOKUP or NONE.",
        )
        if not free:
            self.check_charged(before, pictures, "one job")

    def test_its_idempotency_is_as_it_says(self) -> None:
        """By that the engine settles a submission whose answer it never got."""
        kind = self.make_provider().idempotency.kind
        if kind is Idempotency.KEYED:
            self._a_key_is_charged_once()
        if kind is Idempotency.LOOKUP:
            self._a_look_up_finds_what_was_sent_and_nothing_else()
        else:
            self._what_cannot_be_looked_up_is_not_found()

    def _a_key_is_charged_once(self) -> None:
        """KEYED: the same submission again is answered with the same pictures."""
        request, first, before = self.run(self.submitted)

        async def body(provider: Provider) -> JobRef:
            ref = checks.check_ref(await provider.submit(request))
            checks.check_events(request, await self.follow(provider, request, ref))
            return ref

        second = self.run(body)
        expect(
            first.remote_id == second.remote_id,
            f"The same key gave the ids {first.remote_id!r} and {second.remote_id!r}.",
            "Send request.key as the service's idempotency key, or declare LOOKUP or NONE.",
        )
        self.check_charged(before, len(request.slots), "a submission that was sent twice")

    def _a_look_up_finds_what_was_sent_and_nothing_else(self) -> None:
        """LOOKUP: None only where the service does not have it; else a reference to go on with."""
        request, _, before = self.run(self.submitted)

        async def body(provider: Provider) -> None:
            never = await provider.lookup(self.job_request(provider))
            expect(never is None, f"It found what was never sent: {never!r}.", "Look for the key.")
            until = time.monotonic() + provider.idempotency.quiet_s + 1.0
            found, is_last = await provider.lookup(request), False
            while found is None and not is_last:
                await asyncio.sleep(0.05)
                # One look begins when the time is over, however long the one before it took.
                is_last = time.monotonic() >= until
                found = await provider.lookup(request)
            if found is None:
                raise checks.Breach(
                    f"{provider.idempotency.quiet_s:g} s (quiet_s) after it was sent, a job is not "
                    "found.\n  -> The engine sends it again then. Make quiet_s longer, or declare "
                    "NONE."
                )
            ref = checks.check_ref(found)
            expect(ref.resumable, f"It found {ref!r}.", "Give a reference that can be followed.")
            checks.check_events(request, await self.follow(provider, request, ref))

        self.run(body)
        self.check_charged(before, len(request.slots), "a job that was looked up")

    def _what_cannot_be_looked_up_is_not_found(self) -> None:
        """Without LOOKUP nobody asks; whoever does gets None."""

        async def body(provider: Provider) -> None:
            found = await provider.lookup(self.job_request(provider))
            expect(
                found is None,
                f"lookup() found {found!r}, and idempotency is {provider.idempotency.kind.value}.",
                "Declare Idempotency.LOOKUP, or return None.",
            )

        self.run(body)

    # -- failures ---------------------------------------------------------------------------------

    def test_what_the_service_refuses_is_a_typed_sentence(self) -> None:
        """Blocked words, bad parameters: the kinds decide what people read and what is retried."""

        async def body(provider: Provider) -> int:
            asked = list(self.refusals(self.job_request(provider)))
            for request, kind in asked:
                with named(kind.value):
                    error = await self.failure_of(provider, replace(request, key=new_key()))
                    checks.check_error(error, expected=kind)
            return len(asked)

        if not self.run(body):
            raise unittest.SkipTest("refusals() names none")

    def test_a_wrong_key_is_named_and_not_shown(self) -> None:
        """Kind auth, and the key itself in no text."""
        wrong = "wrong-key-0123456789abcdefghij"
        provider = self.make_with_key(wrong)
        if provider is None:
            raise unittest.SkipTest("make_with_key() gives none: it has no key")
        with Overheard() as said:
            request = self.job_request(provider)
            error = self.run(lambda one: self.failure_of(one, request), provider)
        checks.check_error(error, expected=ErrorKind.AUTH)
        checks.check_no_secret([wrong], [*checks.texts_of(error), *said.lines])

    def test_a_model_that_is_gone_is_a_typed_sentence(self) -> None:
        """Old jobs may ask for what the provider does not have any more."""

        async def body(provider: Provider) -> None:
            request = replace(self.job_request(provider), model="no-such-model-any-more")
            await self.made_or_refused(provider, request)

        self.run(body)

    def test_an_input_that_cannot_be_read_is_a_typed_sentence(self) -> None:
        """Files vanish. What is not there cannot be sent, and nothing is charged."""
        before = self.charged()

        async def body(provider: Provider) -> None:
            model = self.model(provider)
            if not model.max_references and not any(map(checks.needs_input, model.operations)):
                raise unittest.SkipTest("it takes no pictures")
            operation = next(filter(checks.needs_input, model.operations), model.operations[0])
            request = self.job_request(provider, operation=operation, references=1)
            broken = tuple(replace(one, read=gone) for one in request.inputs)
            error = await self.failure_of(provider, replace(request, inputs=broken))
            checks.check_error(error, expected=ErrorKind.BAD_REQUEST)

        self.run(body)
        self.check_charged(before, 0, "a request that could not be sent")

    def test_no_key_is_in_any_text(self) -> None:
        """Not in references, events, errors, logs, nor where the provider shows itself."""
        if not self.secrets:
            raise unittest.SkipTest("secrets names no key")
        texts: list[str] = []

        async def body(provider: Provider) -> None:
            request = self.job_request(provider)
            texts.extend(repr(thing) for thing in (provider, provider.state(), provider.models()))
            ref = await provider.submit(request)
            texts.extend(checks.texts_of(ref))
            for event in await self.follow(provider, request, checks.check_ref(ref)):
                texts.extend(checks.texts_of(event))
            for refused, _ in self.refusals(request):
                error = await self.failure_of(provider, replace(refused, key=new_key()))
                texts.extend(checks.texts_of(error))

        with Overheard() as said:
            self.run(body)
        checks.check_no_secret(self.secrets, [*texts, *said.lines])

    def test_its_own_test_costs_nothing_and_says_a_sentence(self) -> None:
        """``test()`` is no duty; the page has a button for it."""
        before = self.charged()

        async def body(provider: Provider) -> None:
            ask = getattr(provider, "test", None)
            if ask is None:
                raise unittest.SkipTest("it has no test()")

            async def asking() -> object:
                return await in_time(ask(), "test()", self.patience_s)

            said = await self.answer_of(asking())
            if isinstance(said, Exception):
                checks.check_error(said)
            else:
                checks.check_sentence(said, "What test() returned")

        self.run(body)
        self.check_charged(before, 0, "test()")

    # -- manners ----------------------------------------------------------------------------------

    def test_events_do_not_hold_up_the_loop(self) -> None:
        """All jobs, progress and cancels of a workspace share it."""
        held: list[str] = []

        async def body(provider: Provider) -> None:
            for _ in range(3):
                request = self.job_request(provider)
                async with LoopWatch(over_s=self.hold_s) as watch:
                    await self.make(provider, request)
                worst = max(watch.holds, key=lambda hold: hold.seconds, default=None)
                if worst is None:
                    if not held:
                        return
                    continue
                held.append(f"{worst.seconds * 1000:.0f} ms:\n{worst.place}")
                expect(worst.seconds < _GRACE_HOLD_S, _held_up(held), _IN_A_THREAD)
            # Once may be bad luck on a busy machine, twice of three is a habit.
            expect(len(held) < 2, _held_up(held), _IN_A_THREAD)

        self.run(body)

    def test_closing_is_quick_and_can_be_done_twice(self) -> None:
        """Whether it was used or not; afterwards nothing of it runs."""

        async def body(provider: Provider) -> None:
            others = asyncio.all_tasks()
            await self.make(provider, self.job_request(provider))
            await in_time(provider.close(), "close()", self.close_s)
            await in_time(provider.close(), "A second close()", self.close_s)
            await asyncio.sleep(0.05)
            left = asyncio.all_tasks() - others
            expect(
                not left,
                f"After close() tasks still run: {left}.",
                "End the tasks of the provider in close(), and wait for them.",
            )
            checks.check_state(provider.state())

        self.run(body)

    def test_a_workspace_makes_pictures_with_it(self) -> None:
        """The whole way: request, engine, image door, file, row, ledger."""
        from workbench.workspace.workspace import open_workspace

        provider = self.make_provider()
        model = self.model(provider)
        if Operation.GENERATE not in model.operations:
            raise unittest.SkipTest("its model only changes pictures")
        n = min(2, model.max_images)
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            workspace = open_workspace(Path(folder) / "ws", user="contract")
            try:
                # The installed one of this name would take the jobs of the one that is tested.
                workspace._engine.registry.providers.pop(provider.name, None)  # noqa: SLF001 - no other way
                workspace.add_provider(provider)
                batch = workspace.generate(
                    "a red fox in the snow", model=model.id, n=n, **self.params(model)
                )
                batch.wait(self.patience_s)
                for generation in batch.generations:
                    told = generation.error.message if generation.error else generation.detail
                    expect(
                        generation.status == "completed",
                        f"A picture of the workspace ended as {generation.status}: {told}",
                        "The log of a workspace has more: workspace.debug.entries().",
                    )
                report = workspace.doctor()
                expect(not report.problems, f"doctor() says {report.problems}.", "Report a bug.")
            finally:
                workspace.close()


_IN_A_THREAD = "Do what takes long in a thread: `await asyncio.to_thread(work)`."


def _inputs_of(request: JobRequest) -> str:
    return f"with {', '.join(one.asset_id for one in request.inputs) or 'no image'}"


def _held_up(held: list[str]) -> str:
    return "events() held up the loop for " + "\nand ".join(held)
