"""Stability AI: Stable Image, Stable Diffusion 3.5, and tools that edit, control and upscale.

Every request is a multipart form, also where no image goes in: the API takes no other. One call
makes one picture, whose bytes are the answer. Only the creative upscaler answers with an id, and
its picture is asked for; that job goes on after a crash. A call whose answer was lost is an
unknown outcome: the API honours no key of ours and cannot be asked.

The credits are told in their documents and flat for each endpoint, so that a picture that came is
booked at that price (it is data, and can be corrected). Not told is whether a picture that was
blurred by their filter costs something; it is shown here as blocked and not charged.

::

    ws.generate("a lighthouse", model="stability:stable-image-core", aspect_ratio="16:9")
    ws.generate("a hat", model="stability:inpaint", source=photo, mask=where)
    ws.generate("sharp", model="stability:upscale-creative", source=photo, operation="upscale")
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from workbench.domain.jobs import (
    Done,
    Idempotency,
    IdempotencyPolicy,
    ImageReady,
    JobEvent,
    JobInput,
    JobRef,
    JobRequest,
    Log,
    Running,
    Slot,
)
from workbench.domain.money import USD
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import failures
from workbench.providers.asking import MAX_JSON_BYTES, begins_as_text, object_of, read_json
from workbench.providers.catalogue import Entry
from workbench.providers.failures import sentence_of
from workbench.providers.hosted import Hosted
from workbench.providers.http import Answer, File, Form
from workbench.providers.inputs import ENDINGS, inputs_of, read_input, read_mask
from workbench.providers.redaction import plain

_LARGEST_REQUEST = 10 * 1024 * 1024
_LARGEST_SEED = 4_294_967_294  # and 0 is "any"
_FILTERED = "CONTENT_FILTERED"

# Names of errors that say more than their status does.
_NAMES = {
    "content_moderation": ErrorKind.BLOCKED,
    "public_figure": ErrorKind.BLOCKED,
    "payment_required": ErrorKind.QUOTA,
    "insufficient_credits": ErrorKind.QUOTA,
    "unauthorized": ErrorKind.AUTH,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
}


@dataclass(frozen=True, slots=True)
class _Picture:
    data: bytes
    seed: int | None
    reason: str


class Stability(Hosted):
    """Stability AI's API (v2beta).

    Attributes
    ----------
    penalty_s:
        How long nothing is taken from whoever sent more than 150 requests in 10 seconds; they say
        so in words only.

    Examples
    --------
    >>> Stability().models()[0].id
    'stability:stable-image-core'
    """

    usual_name = "stability"
    title = "Stability AI"
    help = (
        "Stable Image and Stable Diffusion by Stability AI, with tools for editing and upscaling. "
        "It needs a key and costs credits for each picture; prompts are to be in English."
    )
    home = "https://api.stability.ai"
    key_variables = ("STABILITY_API_KEY",)
    address_variable = "STABILITY_BASE_URL"
    data = "stability"
    idempotency = IdempotencyPolicy(Idempotency.NONE)

    penalty_s: ClassVar[float] = 60.0

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin a job that has an id; for the others, check what can be checked here."""
        entry = self._entry(request)
        self._headers(self._address())
        _check_images(request, entry)
        if not entry.send.get("later"):
            return JobRef()
        answer = await self._send(request, request.slots[0], entry, "application/json")
        try:
            told = await object_of(answer, self._line.clean)
        finally:
            await answer.close()
        id = told.get("id")
        if not isinstance(id, str) or not id:
            raise answer.unreadable("no id for its job")
        return JobRef(id, resumable=True)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Make the pictures of a request, one call each, or ask for the one that has an id."""
        # A job that was begun is followed even where its model is not offered any more.
        entry = self._entries().get(request.model) if ref.remote_id else self._entry(request)
        usd = entry.model.rate.per_image if entry and entry.model.rate else Decimal(0)
        total = Decimal(0)
        for slot in request.slots:
            yield Running(index=slot.index)
            if ref.remote_id:
                picture = await self._result(ref.remote_id)
            else:
                picture = await self._made(request, slot)
            if picture.reason == _FILTERED:
                yield Log(f"{self.title} blurred the picture ({_FILTERED}).", slot.index)
                raise self._refused("", ErrorKind.BLOCKED)
            total += usd
            cost = usd or None
            yield ImageReady(
                picture.data,
                slot.index,
                seed=picture.seed,
                cost=cost,
                unit=USD if cost else None,
            )
        usage: dict[str, JsonValue] = {} if ref.remote_id is None else {"id": ref.remote_id}
        yield Done(cost=total or None, unit=USD if total else None, usage=usage)

    async def test(self) -> str:
        """Ask what is left on the account."""
        told = await self._ask("GET", self._address("/v1/user/balance"))
        left = told.object().get("credits")
        amount = "" if not isinstance(left, (int, float)) else f"; {left:.2f} credits are left"
        return f"{self.title} answered{amount}."

    # -- one call ---------------------------------------------------------------------------------

    async def _made(self, request: JobRequest, slot: Slot) -> _Picture:
        answer = await self._send(request, slot, self._entry(request), "image/*")
        try:
            return await self._picture(answer)
        finally:
            await answer.close()

    async def _result(self, id: str) -> _Picture:
        """Ask for the picture of a job until it is there."""
        url = self._address(f"/v2beta/results/{quote(id, safe='')}")
        pace = self._pace()
        while True:
            await pace.wait()
            try:
                headers = {"Accept": "image/*", **self._headers(url)}
                answer = await self._line.open("GET", url, headers=headers)
                try:
                    if answer.status == 200:
                        return await self._picture(answer)
                    if answer.status == 404:
                        raise self._lost()
                    if not answer.ok:
                        raise await self._failure(answer)
                finally:
                    await answer.close()
            except ProviderError as error:
                # It was begun and goes on without us; only its own refusal ends it.
                error.maybe_sent = error.kind is not ErrorKind.BLOCKED
                await pace.stumbled(error)
                continue
            pace.answered()

    async def _send(self, request: JobRequest, slot: Slot, entry: Entry, accept: str) -> Answer:
        url = self._address(f"/v2beta/stable-image/{entry.send['path']}")
        files = await _images(request, entry)
        fields = _fields(request, slot, entry)
        if sum(len(content) for _, (_, content, _) in files) > _LARGEST_REQUEST - 100_000:
            raise InvalidRequest("source", "images of more than 10 MB are too large for this.")
        form, headers = form_of(fields, files), {"Accept": accept}
        return await self._opened("POST", url, form=form, headers=headers, creates=True)

    # -- what is answered -------------------------------------------------------------------------

    async def _picture(self, answer: Answer) -> _Picture:
        """Read a picture: bytes with headers, or base64 in JSON."""
        body = await answer.body(max_bytes=MAX_JSON_BYTES)
        kind = plain(answer.content_type) or "nothing that has a type"
        if answer.content_type != "application/json" and not begins_as_text(body):
            if not answer.content_type.startswith(("image/", "application/octet-stream")):
                raise answer.unreadable(f"something that is no picture ({kind})")
            reason = answer.headers.get("finish-reason", "").strip().upper()
            return _Picture(body, _seed_in(answer.headers.get("seed")), reason)
        try:
            told = await read_json(body)
        except ValueError:
            raise answer.unreadable(f"something that is not whole JSON ({kind})") from None
        # A job with an id calls it "result".
        text = told.get("image", told.get("result")) if isinstance(told, dict) else None
        reason = str(told.get("finish_reason") or "").upper() if isinstance(told, dict) else ""
        if not isinstance(text, str) and reason != _FILTERED:
            raise answer.unreadable("JSON of another shape")
        try:
            data = await asyncio.to_thread(base64.b64decode, text or "", validate=True)
        except (binascii.Error, ValueError):
            data = b"?"  # the image door says what is wrong
        return _Picture(data, _seed_in(told.get("seed")), reason)

    def _lost(self) -> ProviderError:
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"{self.title} does not have the picture of this job: it keeps them for 24 hours, and "
            "shows them to the key that asked for them.",
        )

    async def _failure(self, answer: Answer) -> ProviderError:
        error = await super()._failure(answer)
        if error.kind is ErrorKind.RATE_LIMIT and error.retry_after_s is None:
            error.retry_after_s = self.penalty_s
        return error

    def _said_in(self, value: Any) -> failures.Said:
        """Read ``{"id": …, "name": …, "errors": […]}``."""
        if not isinstance(value, dict):
            return failures.NOTHING_SAID
        errors = value.get("errors")
        if not isinstance(errors, list):
            return super()._said_in(value)
        words = " ".join(sentence_of(text.strip()) for text in errors if isinstance(text, str))
        return failures.Said(words, _NAMES.get(str(value.get("name"))))


def form_of(fields: Mapping[str, str], files: list[tuple[str, File]]) -> Form:
    """Return a form that is multipart whatever is in it.

    A client that is given text fields alone sends them urlencoded, which the API refuses. As parts
    without a file's name they are the same fields, and the form is multipart.

    >>> form_of({"prompt": "a fox"}, []).files
    (('prompt', ('', b'a fox', 'text/plain; charset=utf-8')),)
    """
    parts: list[tuple[str, File]] = [
        (name, ("", text.encode(), "text/plain; charset=utf-8")) for name, text in fields.items()
    ]
    return Form({}, (*parts, *files))


def seed_sent(seed: int) -> int:
    """Return a seed as the API takes it: from 1 on, since 0 would mean any.

    >>> seed_sent(7), seed_sent(0), seed_sent(2**40)
    (7, 4294967294, 512)
    """
    return (seed - 1) % _LARGEST_SEED + 1


def _fields(request: JobRequest, slot: Slot, entry: Entry) -> dict[str, str]:
    send = entry.send
    begun = send.get("image") == "needed" or bool(_given(request))
    fields = {str(name): str(value) for name, value in send.get("fields", {}).items()}
    if send.get("prompt", True):
        fields["prompt"] = request.prompt
    if request.negative_prompt and entry.model.negative_prompt:
        fields["negative_prompt"] = request.negative_prompt
    if slot.seed is not None and entry.model.seeds:
        fields["seed"] = str(seed_sent(slot.seed))
    if send.get("mode"):
        fields["mode"] = "image-to-image" if begun else "text-to-image"
    for name in entry.model.parameters:
        value = request.params.get(name)
        # An image has its ratio already, and without one there is no strength to it.
        idle = (name == "aspect_ratio" and begun and not send.get("keeps_ratio")) or (
            name == "strength" and not begun
        )
        if value is not None and value != "" and not idle:
            fields[name] = _text(value)
    return fields


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _given(request: JobRequest) -> list[JobInput]:
    return inputs_of(request, "source", "reference")


def _check_images(request: JobRequest, entry: Entry) -> None:
    """Check that the images that go in are as many as the endpoint takes.

    Raises
    ------
    InvalidRequest
        They are not.
    """
    given, takes = len(_given(request)), entry.send.get("image")
    if given > (1 if takes else 0):
        what = "one image" if takes else "no images"
        raise InvalidRequest("references", f"{entry.model.title} takes {what}; {given} were given.")
    if not given and takes == "needed":
        raise InvalidRequest("source", f"{entry.model.title} needs an image to begin with.")


async def _images(request: JobRequest, entry: Entry) -> list[tuple[str, File]]:
    files: list[tuple[str, File]] = []
    for one in _given(request):
        name = f"image.{ENDINGS.get(one.mime, 'png')}"
        files.append(("image", (name, await read_input(one), one.mime)))
    mask = inputs_of(request, "mask")
    if mask and entry.send.get("mask"):
        files.append(("mask", ("mask.png", await read_mask(mask[0]), "image/png")))
    return files


def _seed_in(value: object) -> int | None:
    """Return the seed that was used; None where it cannot be read.

    >>> _seed_in("343940597"), _seed_in(7), _seed_in("x"), _seed_in(None), _seed_in(True)
    (343940597, 7, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) else None
