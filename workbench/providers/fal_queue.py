"""Following a job of fal's queue to its end, at fal itself and at gateways in front of it.

States come as server-sent events where the server has them, else by asking. fal itself tries a
runner that fails again (up to ten times, unbilled); a state or a result may say that there is no
picture, which is then final.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from workbench.domain.jobs import (
    Done,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import RETRYABLE, ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures, fal_wire
from workbench.providers.asking import Told, json_of, read_json
from workbench.providers.failures import billed
from workbench.providers.hosted import Hosted
from workbench.providers.inputs import data_url, inputs_of
from workbench.providers.polling import Pace
from workbench.providers.redaction import plain

_MAX_STATUS_BYTES = 2_000_000
_MAX_STREAM_BYTES = 50_000_000
_LONGEST_PROMPT = 10_000
# Answers for a result by which a model or fal itself says that there is none.
_WITHOUT_RESULT = frozenset({400, 413, 422, 499})


class FalJobs(Hosted):
    """What speaks to fal's queue: fal itself, and gateways in front of it."""

    def _said_in(self, value: Any) -> failures.Said:
        return fal_wire.said_by(value)

    async def _images(self, request: JobRequest) -> list[str]:
        """Return the images that go in as addresses, the one to be edited first."""
        return [await data_url(one) for one in inputs_of(request, "source", "reference")]

    async def cancel(self, ref: JobRef) -> None:
        """Take the job out of the queue, or ask its runner to stop."""
        url = ref.data.get("cancel_url")
        if not isinstance(url, str):
            return
        url = self._own(url)
        answer = await self._line.open("PUT", url, headers=self._headers(url))
        try:
            if not answer.ok and not self._may_fail(answer.status):
                raise await self._failure(answer)
        finally:
            await answer.close()

    def _may_fail(self, status: int) -> bool:
        """Tell whether a cancel with this answer is none to complain of."""
        return status in (400, 404)  # it has ended already, or is not there

    def _only_slot(self, request: JobRequest) -> Slot:
        if len(request.slots) != 1:
            raise ProviderError(
                ErrorKind.BAD_REQUEST, f"{self.title} is asked for one picture at a time."
            )
        return request.slots[0]

    async def _follow(
        self,
        request: JobRequest,
        ref: JobRef,
        *,
        status_url: str,
        response_url: str,
        streams: bool,
    ) -> AsyncGenerator[JobEvent, None]:
        """Follow a job of the queue to its end and bring its picture home."""
        entry, slot, pace = self._entry(request), self._only_slot(request), self._pace()
        progress = fal_wire.Progress(slot.index)
        last = fal_wire.Status("")
        async with aclosing(self._statuses(status_url, pace, streams=streams)) as statuses:
            async for last in statuses:
                for event in progress.events(last):
                    yield self._cleaned_event(event)
        told = await self._result(response_url, last, pace)
        result = fal_wire.result_of(told.value)
        bill = fal_wire.bill_of(told.headers, entry)
        usage: dict[str, JsonValue] = {"request_id": ref.remote_id, **bill.usage}
        if last.seconds is not None:
            usage["inference_time_s"] = last.seconds
        async for event in self._made(request, slot, result, pace=pace, bill=bill):
            yield event
        yield Done(cost=bill.usd, unit=None if bill.usd is None else USD, usage=usage)

    async def _made(
        self,
        request: JobRequest,
        slot: Slot,
        result: fal_wire.Result,
        *,
        pace: Pace,
        bill: fal_wire.Bill,
    ) -> AsyncGenerator[JobEvent, None]:
        """Bring home the picture of a result."""
        if result.lost:
            raise self._unfound(bill)
        if not result.pictures:
            raise self._held_back(bill)
        if len(result.pictures) > 1:
            yield Log(f"{self.title} made {len(result.pictures)} pictures instead of one.")
        picture = result.pictures[0]
        # Without a checker nothing is blacked out, whatever a flag says.
        if picture.flagged and request.params.get("enable_safety_checker") is not False:
            units = "" if bill.units is None else f" and counted {bill.units} billable units"
            yield Log(f"{self.title} made a picture, blacked it out{units}.", slot.index)
            raise self._held_back(bill)
        data = await self._picture(picture.url, pace)
        prompt = result.prompt
        if prompt is not None and prompt.strip() == request.prompt.strip():
            prompt = None
        yield ImageReady(
            data,
            slot.index,
            seed=result.seed,
            prompt_sent=None
            if prompt is None
            else plain(prompt, self._secrets(), limit=_LONGEST_PROMPT),
            cost=bill.usd,
            unit=None if bill.usd is None else USD,
        )

    def _unfound(self, bill: fal_wire.Bill) -> ProviderError:
        """Return the error for a result that names no picture and does not say that there is none.

        A queue gives such a result again: nothing is asked once more.
        """
        error = ProviderError(
            ErrorKind.BAD_IMAGE,
            f"{self.title} answered without a picture where one should be. Look for it in your "
            "account there.",
            maybe_sent=True,
        )
        return billed(error, bill.usd) if bill.units else error

    def _held_back(self, bill: fal_wire.Bill) -> ProviderError:
        """Return the error for a picture that was made and is not given out."""
        error = self._refused("", ErrorKind.BLOCKED)
        return billed(error, bill.usd) if bill.units else error

    # -- the queue --------------------------------------------------------------------------------

    async def _statuses(
        self, url: str, pace: Pace, *, streams: bool
    ) -> AsyncGenerator[fal_wire.Status, None]:
        """Yield the states of a job, the last one being its end."""
        if streams:
            async with aclosing(self._streamed(url)) as states:
                async for status in states:
                    yield status
                    if status.ended:
                        return
        last: fal_wire.Status | None = None
        while True:
            try:
                told = await self._ask(
                    "GET", fal_wire.with_part(url, query="logs=1"), max_bytes=_MAX_STATUS_BYTES
                )
            except ProviderError as error:
                await pace.stumbled(self._of_a_question(error))
                continue
            pace.answered()
            status = fal_wire.status_of(told.object())
            yield status
            if status.ended:
                return
            if status != last:
                pace.moved()
            last = status
            await pace.wait()

    async def _streamed(self, url: str) -> AsyncGenerator[fal_wire.Status, None]:
        """Yield states as they are pushed; it ends early where that does not work (any more)."""
        stream = fal_wire.with_part(url, "/stream", "logs=1")
        try:
            headers = {**self._headers(stream), "Accept": "text/event-stream"}
            answer = await self._line.open("GET", stream, headers=headers)
        except ProviderError:
            return  # asking tells what is wrong
        try:
            if not answer.ok or answer.content_type != "text/event-stream":
                return
            async for event in answer.events(
                max_bytes=_MAX_STREAM_BYTES, max_event_bytes=_MAX_STATUS_BYTES
            ):
                try:
                    value = await read_json(event.data)
                except ValueError:
                    continue
                if isinstance(value, dict):
                    yield fal_wire.status_of(value)
        except ProviderError:
            return
        finally:
            await answer.close()

    def _of_a_question(self, error: ProviderError) -> ProviderError:
        """Return what a failed question means for the job: it goes on, and is paid for.

        A queue that does not know a job (yet), or a page of a machine in between, are asked again.
        """
        kind, text = error.kind, error.message
        if kind is ErrorKind.BAD_REQUEST:
            kind = ErrorKind.TRANSIENT
            text = f"{self.title} does not tell what became of this job. {text}"
        return ProviderError(kind, text, retry_after_s=error.retry_after_s, maybe_sent=True)

    async def _result(self, url: str, status: fal_wire.Status, pace: Pace) -> Told:
        """Return the result of a job that has ended, or raise why there is none.

        Raises
        ------
        ProviderError
            With `maybe_sent`: it could not be fetched. Without: fal says that it made nothing, and
            bills nothing then.
        """
        failed = None
        if status.error is not None:
            kind = fal_wire.kind_of(status.error_type)
            failed = self._without_picture(self._refused(status.error, kind))
        while True:
            try:
                # Also where the state says why there is none: the result says it better.
                told = await self._output(url, failed=failed is not None)
            except ProviderError as error:
                if not error.maybe_sent:
                    raise
                try:
                    await pace.stumbled(error)
                except ProviderError:
                    raise failed or error from None
                continue
            if failed is not None:
                raise failed
            return told

    def _without_picture(self, error: ProviderError) -> ProviderError:
        """Return the error for a job that ended without a picture.

        fal has tried again itself, so that asking again changes nothing: the kind says so.
        """
        if error.kind not in RETRYABLE:
            return error
        return ProviderError(
            ErrorKind.UNAVAILABLE, f"{error.message} Try again later, or choose another model."
        )

    async def _output(self, url: str, *, failed: bool) -> Told:
        """Ask once for a result; errors as `_result`."""
        try:
            headers = {"Accept": "application/json", **self._headers(url)}
            answer = await self._line.open("GET", url, headers=headers)
        except ProviderError as error:
            raise self._of_a_question(error) from None
        try:
            if answer.ok:
                value = await json_of(answer, self._line.clean)
                return Told(answer.status, answer.headers, value)
            said = self._cleaned(await answer.error_body())
        except ProviderError as error:
            raise self._of_a_question(error) from None
        finally:
            await answer.close()
        refusal = answer.error(said)
        if (
            answer.status in _WITHOUT_RESULT
            or said.kind is ErrorKind.BLOCKED
            or "x-fal-error-type" in answer.headers
            or (failed and answer.status >= 500)
        ):
            raise self._without_picture(refusal)
        raise self._of_a_question(refusal)

    async def _picture(self, url: str, pace: Pace) -> bytes:
        """Fetch a picture that was made; where that fails in passing, again."""
        while True:
            try:
                return await self._fetch(url)
            except ProviderError as error:
                if error.kind in RETRYABLE:
                    await pace.stumbled(error)
                    continue
                raise ProviderError(
                    ErrorKind.BAD_IMAGE,
                    f"{self.title} made the picture, but it cannot be fetched from where it was "
                    "put. Look for it in your account there.",
                    maybe_sent=True,
                ) from None

    def _cleaned_event(self, event: JobEvent) -> JobEvent:
        return Log(self._line.clean(event.text), event.index) if isinstance(event, Log) else event
