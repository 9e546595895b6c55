"""PixVerse: image templates, which turn one's own images into a picture.

PixVerse is a service for videos. What its platform offers for pictures is this: images are
uploaded, a template is applied to them, and its result is asked for. There are no pictures from
words there; the prompt is kept with the picture and not sent.

Every answer has the status 200 and says in ``ErrCode`` whether it is one. Each request carries an
``Ai-trace-id``, a UUID that must be new: a submission's follows from the key of the attempt, so
that it can be found in their support. It is no idempotency key: what comes of the same id twice is
not documented (it is said that such a job hangs), so that a submission whose answer was lost is an
unknown outcome.

What is only believed: that an error code of a submission means that nothing was begun or charged
(for moderated results they say that credits are given back), and that finished pictures lie at
``https`` addresses that need no key.

::

    ws.generate("my cat", model="pixverse:image-template", source=photo, template_id=3842682)
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
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
    Queued,
    Running,
)
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import failures
from workbench.providers.asking import Told
from workbench.providers.hosted import Hosted
from workbench.providers.http import Form
from workbench.providers.inputs import ENDINGS, inputs_of, read_input
from workbench.providers.redaction import Secret

_LARGEST_IMAGE = 20_000_000
_TRACES = uuid.UUID("6b3a3c52-31d0-5d0c-9d5e-8f0a6f6b2f11")  # what our ids are derived in

_READY, _WAITING, _MODERATED, _FAILED = 1, 5, 7, 8

# Codes of errors as their page lists them. All others: a bad request from 400000 to 499999, and
# else what the status says; with success, a problem of theirs that may pass.
_CODES = {
    400012: ErrorKind.AUTH,  # invalid account
    500008: ErrorKind.BAD_REQUEST,  # not found
    500020: ErrorKind.AUTH,  # no permission
    500030: ErrorKind.BAD_REQUEST,  # image too large
    500031: ErrorKind.BAD_REQUEST,  # image cannot be read
    500032: ErrorKind.BAD_REQUEST,  # format
    500033: ErrorKind.BAD_REQUEST,  # width or height
    500042: ErrorKind.BAD_REQUEST,  # path of an image
    500044: ErrorKind.RATE_LIMIT,  # too many at once
    500052: ErrorKind.BLOCKED,  # an uploaded image
    500054: ErrorKind.BLOCKED,
    500060: ErrorKind.QUOTA,  # effects of this month
    500063: ErrorKind.BLOCKED,
    500064: ErrorKind.BAD_REQUEST,  # deleted
    500070: ErrorKind.BAD_REQUEST,  # template not activated
    500071: ErrorKind.BAD_REQUEST,  # effect and size
    500090: ErrorKind.QUOTA,
}


class PixVerse(Hosted):
    """The image templates of PixVerse's platform.

    Examples
    --------
    >>> PixVerse().models()[0].id
    'pixverse:image-template'
    """

    usual_name = "pixverse"
    title = "PixVerse"
    help = (
        "Image templates of PixVerse: they turn your images into a picture. It needs a key of "
        "platform.pixverse.ai and costs credits; what a credit is worth depends on your plan, so "
        "that prices are not known here. Checked against their documents only."
    )
    home = "https://app-api.pixverse.ai/openapi/v2"
    key_variables = ("PIXVERSE_API_KEY",)
    address_variable = "PIXVERSE_BASE_URL"
    data = "pixverse"
    usual_concurrency = 2  # how many may run at once depends on the plan
    idempotency = IdempotencyPolicy(Idempotency.NONE)

    async def submit(self, request: JobRequest) -> JobRef:
        """Upload the images and begin the job."""
        entry = self._entry(request)
        template = request.params.get("template_id")
        if template is None:
            raise InvalidRequest("template_id", "is missing: which template is to be applied?")
        given = inputs_of(request, "source", "reference")
        if not 1 <= len(given) <= entry.model.max_references:
            what = f"takes 1 to {entry.model.max_references} images; {len(given)} were given."
            raise InvalidRequest("references", f"{entry.model.title} {what}")
        images: list[JsonValue] = [await self._upload(one) for one in given]
        begun = await self._call(
            "POST",
            str(entry.send["path"]),
            trace=uuid.uuid5(_TRACES, request.key),
            json={"img_ids": images, "template_id": template},
            creates=True,
        )
        id = begun.get("image_id")
        if isinstance(id, bool) or not isinstance(id, (int, str)) or not str(id):
            raise self._odd("no id for the job", creates=True)
        return JobRef(str(id), resumable=True, data=_credits(begun))

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Ask for the job until it has ended, and fetch its picture."""
        index = request.slots[0].index
        pace = self._pace()
        while True:
            await pace.wait()
            try:
                told = await self._call(
                    "GET", f"image/result/{quote(ref.remote_id or '', safe='')}"
                )
            except ProviderError as error:
                # It was begun and goes on without us; only its own refusal ends it.
                error.maybe_sent = error.kind is not ErrorKind.BLOCKED
                await pace.stumbled(error)
                continue
            pace.answered()
            status = told.get("status")
            if status == _READY:
                break
            if status == _MODERATED:
                raise self._refused("", ErrorKind.BLOCKED)
            if status == _FAILED:
                # Not "transient": such a job is asked for again, and says the same for ever.
                raise ProviderError(
                    ErrorKind.BAD_REQUEST,
                    f"{self.title} began the picture and failed. Try again, or use other images.",
                )
            yield Queued() if status == _WAITING else Running(index=index)
        if "url" not in told:  # a field of another name is no refusal
            raise failures.lost_in_answer(self.title)
        url = told["url"]
        if not url:
            raise self._refused("", ErrorKind.BLOCKED)
        seed = told.get("seed")
        yield ImageReady(
            await self._fetch(url),
            index,
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        )
        yield Done(usage={"image_id": ref.remote_id, **ref.data, **_credits(told)})

    async def test(self) -> str:
        """Ask what is left on the account."""
        told = await self._call("GET", "account/balance")
        amounts = [told.get("credit_monthly"), told.get("credit_package")]
        told_of = [one for one in amounts if isinstance(one, (int, float))]
        if not told_of:
            return f"{self.title} answered; it does not say what is left."
        return f"{self.title} answered; {sum(told_of)} credits are left."

    # -- what is sent -----------------------------------------------------------------------------

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {"API-KEY": key.reveal()}

    async def _upload(self, given: JobInput) -> int:
        """Upload an image and return its id. It costs nothing."""
        content = await read_input(given)
        if len(content) > _LARGEST_IMAGE:
            raise InvalidRequest("references", f"{self.title} takes images of at most 20 MB.")
        name = f"image.{ENDINGS.get(given.mime, 'png')}"
        form = Form({}, [("image", (name, content, given.mime))])
        id = (await self._call("POST", "image/upload", form=form)).get("img_id")
        if not isinstance(id, int) or isinstance(id, bool):
            raise self._odd("no id for an uploaded image")
        return id

    async def _call(
        self,
        method: str,
        path: str,
        *,
        trace: uuid.UUID | None = None,
        json: JsonValue = None,
        form: Form | None = None,
        creates: bool = False,
    ) -> dict[str, Any]:
        """Return ``Resp`` of an answer, or raise what its ``ErrCode`` says."""
        told = await self._ask(
            method,
            self._address(f"/{path}"),
            json=json,
            form=form,
            headers={"Ai-trace-id": str(trace or uuid.uuid4())},
            creates=creates,
        )
        said = self._answered(told)
        if said is not None:
            raise self._refused(said.words, said.kind or ErrorKind.TRANSIENT)
        value = told.object()
        if "ErrCode" not in value:
            raise self._odd("JSON of another shape", creates=creates)
        response = value.get("Resp")
        return response if isinstance(response, dict) else {}

    # -- what is answered -------------------------------------------------------------------------

    def _answered(self, told: Told) -> failures.Said | None:
        """Return the error in a success; None if there is none."""
        code = _code_in(told.object())
        if code in (None, 0):
            return None
        said = self._said_in(told.value)
        return replace(said, words=self._line.clean(said.words) or f"Error {code}.")

    def _said_in(self, value: Any) -> failures.Said:
        """Read ``{"ErrCode": …, "ErrMsg": …}``, or the same in other letters."""
        if not isinstance(value, dict):
            return failures.NOTHING_SAID
        message = value.get("ErrMsg", value.get("err_msg"))
        words = message if isinstance(message, str) else ""
        code = _code_in(value)
        return failures.Said(words, None if code is None else _kind_of(code))

    def _odd(self, what: str, *, creates: bool = False) -> ProviderError:
        return ProviderError(
            ErrorKind.TRANSIENT,
            f"{self.title} answered with {what}. Check {self._line.address_hint}.",
            maybe_sent=creates,
        )


def _code_in(value: dict[str, Any]) -> int | None:
    code = value.get("ErrCode", value.get("err_code"))
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _kind_of(code: int) -> ErrorKind | None:
    """Return what class of error a code stands for, if it says that.

    >>> _kind_of(500090).value, _kind_of(400017).value, _kind_of(99999)
    ('quota', 'bad_request', None)
    """
    usual = ErrorKind.BAD_REQUEST if 400_000 <= code < 500_000 else None
    return _CODES.get(code, usual)


def _credits(said: dict[str, Any]) -> dict[str, JsonValue]:
    """Return what a job costs; their guide and their reference differ in the field's name.

    >>> _credits({"credit": 10}), _credits({"credits": 4}), _credits({})
    ({'credits': 10}, {'credits': 4}, {})
    """
    amount = said.get("credits", said.get("credit"))
    return {"credits": amount} if isinstance(amount, int) and not isinstance(amount, bool) else {}
