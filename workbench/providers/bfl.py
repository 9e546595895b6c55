"""Black Forest Labs: the FLUX models. One job makes one picture.

A submission is answered with an id and with the address at which the job is to be asked for, which
may be on another host of theirs (a region). The key goes to hosts below bfl.ai, and to the address
that was set, and nowhere else. A finished picture lies at a signed address for ten minutes: it is
fetched at once.

What is only believed: that a job which was refused or failed costs nothing, that ``progress`` runs
from 0 to 1, and that a ``preview`` holds a picture in base64 or its address. The API has no cancel
and honours no key of ours, so that a submission whose answer was lost is an unknown outcome.

::

    ws.generate("a red fox", model="bfl:flux-2-pro", width=1536, height=1024)
    ws.generate("a hat", model="bfl:flux-pro-1.0-fill", source=photo, mask=where)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from workbench.domain.jobs import (
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobEvent,
    JobRef,
    JobRequest,
    Log,
    Queued,
    Running,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import failures
from workbench.providers.asking import object_of
from workbench.providers.catalogue import Entry
from workbench.providers.failures import billed, lost_in_answer, sentence_of
from workbench.providers.hosted import Hosted
from workbench.providers.inputs import base64_of, inputs_of, read_input, read_mask
from workbench.providers.pictures import Previews
from workbench.providers.redaction import Secret, plain

MAX_JSON_BYTES = 4_000_000  # of a job's state; a preview may be in it
_LONGEST_PROMPT = 10_000
_CREDIT = Decimal("0.01")  # US dollars
_SEED_BITS = 2**32 - 1

_NOT_FOUND = "task not found"
_MODERATED = frozenset({"request moderated", "content moderated"})
_FAILED = frozenset({"error", "failed"})


class BFL(Hosted):
    """Black Forest Labs' API.

    Attributes
    ----------
    absent_s:
        How long a job that was accepted may be unknown to the host that is asked for it.

    Examples
    --------
    >>> BFL().models()[0].id
    'bfl:flux-2-pro'
    """

    usual_name = "bfl"
    title = "Black Forest Labs"
    help = "FLUX pictures by Black Forest Labs. It needs a key and costs money for each picture."
    home = "https://api.bfl.ai/v1"
    key_variables = ("BFL_API_KEY",)
    address_variable = "BFL_BASE_URL"
    data = "bfl"
    key_domains = ("bfl.ai",)
    usual_concurrency = 6  # 24 jobs may be under way there, 6 of FLUX.1 Kontext [max]
    idempotency = IdempotencyPolicy(Idempotency.NONE)

    absent_s: ClassVar[float] = 30.0

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin a job."""
        entry = self._entry(request)
        url = self._address(f"/{entry.send['path']}")
        body = await self._body(request, entry)
        told = await self._told("POST", url, json=body, creates=True)
        id = told.get("id")
        if not isinstance(id, str) or not id:
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} took the job but gave no id for it, so that nobody can ask for it.",
                maybe_sent=True,
            )
        # Their document demands the address; without one there is only the usual one to try.
        ask_at = told.get("polling_url") or self._address(f"/get_result?id={quote(id, safe='')}")
        data: dict[str, JsonValue] = {"polling_url": self._own(ask_at)}
        for name in ("cost", "input_mp", "output_mp"):
            number = _number(told.get(name))
            if number is not None:
                data[name] = str(number)
        return JobRef(id, resumable=True, data=data)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Ask for the job until it has ended, and fetch its picture."""
        index = request.slots[0].index
        url = self._own(ref.data.get("polling_url"))
        pace = self._pace()
        clock = asyncio.get_running_loop().time
        absent_until = clock() + self.absent_s
        percent, sketch = -1, b""
        previews = Previews(index)
        while True:
            await pace.wait()
            try:
                told = await self._told("GET", url)
            except ProviderError as error:
                error.maybe_sent = True  # the job goes on without us
                await pace.stumbled(error)
                continue
            pace.answered()
            status = str(told.get("status") or "").casefold()
            if status == "ready":
                break
            if status == _NOT_FOUND:
                # Hosts learn of each other's jobs within seconds.
                if clock() >= absent_until:
                    raise self._lost()
                yield Queued()
                continue
            if status in _MODERATED | _FAILED:
                words = self._words_of(told)
                if words:
                    yield Log(f"{self.title}: {status}. {words}", index)
                if status in _MODERATED:
                    raise _with_cost(self._refused(words, ErrorKind.BLOCKED), told)
                raise _with_cost(self._ended_badly(words), told)
            now = _percent(told.get("progress"))
            if now != percent:
                pace.moved()
                percent = now
            yield Running(max(0, percent), 100 if percent >= 0 else None, index)
            preview = await self._preview(told.get("preview"))
            if preview != sketch:
                sketch = preview
                event = await previews.event(preview)
                if event is not None:
                    yield event
        ready, done = await self._finished(request, ref, told)
        yield ready
        yield done

    async def test(self) -> str:
        """Ask what is left on the account."""
        told = await self._told("GET", self._address("/credits"))
        amount = _number(told.get("credits"))
        left = "" if amount is None else f"; {amount} credits are left"
        return f"{self.title} answered{left}."

    # -- what is sent -----------------------------------------------------------------------------

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"x-key": key.reveal()}

    async def _body(self, request: JobRequest, entry: Entry) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = {"prompt": request.prompt}
        seed = request.slots[0].seed
        if seed is not None:
            body["seed"] = seed & _SEED_BITS
        if request.width and request.height and "width" in entry.model.parameters:
            body |= {"width": request.width, "height": request.height}
        for name in entry.model.parameters:
            value = request.params.get(name)
            if value is not None and name not in body:
                body[name] = value
        return body | await self._images(request, entry)

    async def _images(self, request: JobRequest, entry: Entry) -> dict[str, JsonValue]:
        """Read the images that go in, the one to be changed first."""
        given = inputs_of(request, "source", "reference")
        field = entry.send.get("image")
        most = max(1, entry.model.max_references) if field else 0
        if len(given) > most:
            what = f"{entry.model.title} takes {most or 'no'} images; {len(given)} were given."
            raise InvalidRequest("references", what)
        if not given and entry.send.get("needs_image"):
            raise InvalidRequest("source", f"{entry.model.title} needs an image to begin with.")
        images: dict[str, JsonValue] = {}
        for place, one in enumerate(given, 1):
            name = str(field) if place == 1 else f"{field}_{place}"
            images[name] = await base64_of(await read_input(one))
        mask = inputs_of(request, "mask")
        if mask and entry.send.get("mask"):
            images[str(entry.send["mask"])] = await base64_of(await read_mask(mask[0]))
        return images

    # -- what is answered -------------------------------------------------------------------------

    async def _told(
        self, method: str, url: str, *, json: JsonValue = None, creates: bool = False
    ) -> dict[str, Any]:
        """Return the JSON object of an answer; a job that is not there is one of its statuses."""
        headers = {"Accept": "application/json", **self._headers(url)}
        answer = await self._line.open(method, url, headers=headers, json=json, creates=creates)
        try:
            if answer.ok:
                return await object_of(answer, self._line.clean, max_bytes=MAX_JSON_BYTES)
            body = await answer.error_body()
            if method == "GET" and answer.status == 404 and _NOT_FOUND in _text(body):
                return {"status": _NOT_FOUND}
            raise answer.error(self._cleaned(body))
        finally:
            await answer.close()

    def _said_in(self, value: Any) -> failures.Said:
        """Name the field that was refused, where the error does; and how long to wait."""
        said = super()._said_in(value)
        if not isinstance(value, dict):
            return said
        detail = value.get("detail")
        first = detail[0] if isinstance(detail, list) and detail else None
        if isinstance(first, dict) and isinstance(first.get("msg"), str):
            place = first.get("loc")
            field = str(place[-1]) if isinstance(place, list) and place else ""
            return failures.Said(f"{field}: {first['msg']}" if field else first["msg"])
        pause = _number(value.get("retry_after"))
        return replace(said, retry_after_s=None if pause is None else float(pause))

    def _words_of(self, told: Mapping[str, Any]) -> str:
        """Return what is said about a job that ended without a picture."""
        details = told.get("details") or told.get("error") or told.get("result")
        if isinstance(details, dict):
            lists = [one for one in details.values() if isinstance(one, list)]
            reasons = [text for one in lists for text in one if isinstance(text, str)]
            if reasons:
                return sentence_of(self._line.clean(", ".join(reasons[:10])))
        return sentence_of(self._line.clean(self._said_in(details).words))

    def _ended_badly(self, words: str) -> ProviderError:
        # Not "transient": such a job is asked for again, and says the same for ever.
        said = f" It says: {words}" if words else ""
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"{self.title} began the picture and failed. Try again, or change the request.{said}",
        )

    def _lost(self) -> ProviderError:
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"{self.title} took the job and does not know it any more. It may have expired.",
            maybe_sent=True,
        )

    async def _finished(
        self, request: JobRequest, ref: JobRef, told: Mapping[str, Any]
    ) -> tuple[ImageReady, Done]:
        """Fetch the picture of a job that is ready."""
        result = told.get("result")
        result = result if isinstance(result, dict) else {}
        sample = result.get("sample")
        if not sample and any(str(one).startswith(("https:", "data:")) for one in result.values()):
            # A field of another name is no refusal.
            raise _with_cost(lost_in_answer(self.title), told)
        if not sample:
            raise _with_cost(self._refused("", ErrorKind.BLOCKED), told)
        data = await self._fetch(sample)
        charged = _number(told.get("cost"))
        charged = _number(ref.data.get("cost")) if charged is None else charged
        cost = None if charged is None else charged * _CREDIT
        unit = None if cost is None else USD
        seed, said = result.get("seed"), result.get("prompt")
        changed = isinstance(said, str) and said != request.prompt
        ready = ImageReady(
            data,
            request.slots[0].index,
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
            prompt_sent=plain(said, self._secrets(), limit=_LONGEST_PROMPT) if changed else None,
            cost=cost,
            unit=unit,
        )
        usage: dict[str, JsonValue] = {"id": ref.remote_id}
        usage |= {name: ref.data[name] for name in ("input_mp", "output_mp") if name in ref.data}
        return ready, Done(cost=cost, unit=unit, usage=usage)

    async def _preview(self, preview: object) -> bytes:
        """Return the picture of a preview; b"" where there is none that can be read."""
        values = preview.values() if isinstance(preview, dict) else [preview]
        text = next((one for one in values if isinstance(one, str) and len(one) > 20), "")
        try:
            if text.startswith(("https://", "http://")):
                return await self._fetch(text)
            return base64.b64decode(text.rpartition(",")[2], validate=True)
        except (ProviderError, binascii.Error, ValueError):
            return b""


def _with_cost(error: ProviderError, told: Mapping[str, Any]) -> ProviderError:
    """Return the error of a job that ended without a picture, billed where its end names a cost.

    The cost that its beginning named is that of a picture.
    """
    charged = _number(told.get("cost"))
    return billed(error, charged * _CREDIT) if charged else error


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace").casefold()


def _number(value: object) -> Decimal | None:
    """Return a number that may be an amount; None for everything else.

    >>> _number(4.5), _number("4.5"), _number(-1), _number(True), _number("x")
    (Decimal('4.5'), Decimal('4.5'), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value)[:40])
    except ArithmeticError:
        return None
    return number if number.is_finite() and number >= 0 else None


def _percent(progress: object) -> int:
    """Return a progress as a percentage, -1 if none is told.

    >>> _percent(0.25), _percent(60), _percent(None), _percent(float("nan"))
    (25, 60, -1, -1)
    """
    if isinstance(progress, bool) or not isinstance(progress, (int, float)):
        return -1
    if not math.isfinite(progress):
        return -1
    return max(0, min(100, round(progress * 100 if progress <= 1 else progress)))
