"""Hugging Face's Inference Providers: one key and one bill for models that others run.

The router passes a request on to a partner, whose own dialect it is in. Which one a model is sent
to stands in the data file ("send": {"route": …, "id": …}):

- ``hf-inference``: Hugging Face's own machines; the picture's bytes come back.
- ``together``: the picture comes back in base64.
- ``fal-ai``: fal's call that waits; an address of the picture comes back.
- ``fal-ai-queue``: fal's queue, which the router has under ``?_subdomain=queue``.
- ``replicate``: a prediction that is waited for, and asked for again if it was not done by then.

Only jobs of a queue and predictions have an id, so that only they can be followed by another
process; of the others nobody knows what became of them when their answer is lost.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Unpack
from urllib.parse import urlsplit

from workbench.domain.jobs import Done, ImageReady, JobEvent, JobRef, JobRequest, Running, Slot
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures, fal_wire
from workbench.providers.addresses import check_base_url
from workbench.providers.asking import (
    MAX_IMAGE_BYTES,
    MAX_JSON_BYTES,
    begins_as_text,
    of_another_shape,
    read_json,
)
from workbench.providers.catalogue import Entry
from workbench.providers.fal_queue import FalJobs
from workbench.providers.hosted import Options
from workbench.providers.http import Answer
from workbench.providers.redaction import plain

HOME = "https://router.huggingface.co"
HUB = "https://huggingface.co"  # tells whose a token is

_QUEUE = "_subdomain=queue"
_BLOCKED = re.compile(
    r"(?i)\bnsfw\b|content (?:policy|moderation)|safety (?:system|checker|filter)|was flagged"
)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"\x00\x00\x00")  # AVIF: the last
_ROOMS = frozenset({"data", "output", "images", "image"})  # where partners put their pictures
_JOB_PATH = re.compile(r"(?:/[\w.-]+){2,}/requests/[\w-]+")
_ID = re.compile(r"[\w-]{1,100}")
# Of a prediction; "aborted" is newer than most clients.
_OVER = frozenset(("succeeded", "failed", "canceled", "cancelled", "aborted"))


class HuggingFace(FalJobs):
    """Hugging Face's Inference Providers.

    Parameters
    ----------
    name:
        Its name in the workspace.
    hub_url:
        Address of the Hub, which `test` asks; None: Hugging Face's, where the router is theirs.
    **options:
        As for every hosted provider: base_url, key, concurrency, patience, pace.

    Examples
    --------
    >>> HuggingFace().models()[0].id
    'huggingface:black-forest-labs/FLUX.1-schnell'
    """

    usual_name = "huggingface"
    title = "Hugging Face"
    help = "Models of many makers at Hugging Face's partners. It needs a token, and costs money."
    home = HOME
    key_variables = ("HF_TOKEN",)
    address_variable = "HF_BASE_URL"
    data = "huggingface"

    def __init__(
        self,
        name: str | None = None,
        *,
        hub_url: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, **options)
        self._hub_url = hub_url
        self._submits: Mapping[str, Callable[[JobRequest, Slot, Entry], Any]] = {
            "fal-ai-queue": self._into_queue,
            "replicate": self._predict,
        }
        self._calls: Mapping[
            str, Callable[[JobRequest, Slot, Entry], AsyncGenerator[JobEvent, None]]
        ] = {
            "hf-inference": self._call_own,
            "fal-ai": self._call_for_json,
            "together": self._call_for_json,
        }

    async def test(self) -> str:
        """Ask whose the token is."""
        hub = self._hub_url
        if hub is None:
            if self._address() != HOME:
                return await super().test()
            hub = HUB
        told = await self._ask(
            "GET",
            f"{check_base_url(hub, 'hub_url')}/api/whoami-v2",
            headers=self._headers(self._address()),
        )
        whose = self._line.clean(told.object().get("name")) or "somebody without a name"
        return f"Hugging Face answered; the token is of {whose}."

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin a job where it gets an id; else check what can be checked without sending it."""
        entry, slot = self._entry(request), self._only_slot(request)
        submit = self._submits.get(self._route(entry))
        if submit is not None:
            ref: JobRef = await submit(request, slot, entry)
            return ref
        self._headers(self._address())
        return JobRef()

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Follow a job to its end, or make the call."""
        if "response_url" in ref.data:
            events = self._follow(
                request,
                ref,
                status_url=self._own(ref.data.get("status_url")),
                response_url=self._own(ref.data.get("response_url")),
                streams=False,  # nothing says that the router passes streams on
            )
        elif ref.remote_id is not None:
            events = self._watch(request, ref)
        else:
            entry = self._entry(request)
            events = self._calls[self._route(entry)](request, self._only_slot(request), entry)
        async with aclosing(events):
            async for event in events:
                yield event

    def _may_fail(self, status: int) -> bool:  # noqa: ARG002 - whatever it is
        """Say that a cancel may fail: what the router does not pass on is no error."""
        return True

    def _said_in(self, value: Any) -> failures.Said:
        said = super()._said_in(value)
        words = said.words or super(FalJobs, self)._said_in(value).words
        kind = said.kind
        if kind is None and _BLOCKED.search(words):
            kind = ErrorKind.BLOCKED
        # A model that is being loaded says for how long.
        seconds = value.get("estimated_time") if isinstance(value, dict) else None
        if not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
            seconds = None
        return failures.Said(words, kind, seconds)

    async def _failure(self, answer: Answer) -> ProviderError:
        error = await super()._failure(answer)
        if answer.status != 503 and "retry-after" not in answer.headers:
            error.retry_after_s = None  # no model is being loaded
        return error

    def _route(self, entry: Entry) -> str:
        route = str(entry.send.get("route") or "hf-inference")
        if route not in self._submits and route not in self._calls:
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"{entry.model.title} goes to {plain(route)}, which is not known here. Choose "
                "another model.",
            )
        return route

    def _there(self, path: str) -> str:
        return self._address(f"/{path}")

    # -- routes whose answer is the picture -------------------------------------------------------

    async def _call_own(
        self, request: JobRequest, slot: Slot, entry: Entry
    ) -> AsyncGenerator[JobEvent, None]:
        """Let Hugging Face's own machines make a picture; its bytes come back."""
        yield Running(0, None, slot.index)
        parameters = fal_wire.body_of(request, slot, entry, ())
        prompt = parameters.pop("prompt")
        url = self._there(f"hf-inference/models/{_id_of(entry)}")
        answer = await self._opened(
            "POST",
            url,
            json={"inputs": prompt, "parameters": parameters},
            headers={"Accept": "image/png"},
            creates=True,
        )
        try:
            body = await answer.body(max_bytes=MAX_JSON_BYTES)
            result = await _result_in(answer, body)
        finally:
            await answer.close()
        if result is None:
            yield ImageReady(body, slot.index)
        else:
            bill = fal_wire.Bill()
            made = self._made(request, slot, result, pace=self._pace(), bill=bill)
            async with aclosing(made):
                async for event in made:
                    yield event
        yield Done()

    async def _call_for_json(
        self, request: JobRequest, slot: Slot, entry: Entry
    ) -> AsyncGenerator[JobEvent, None]:
        """Let fal or Together make a picture; its address, or it itself in base64, comes back."""
        yield Running(0, None, slot.index)
        images = await self._images(request)
        body = fal_wire.body_of(request, slot, entry, images)
        path = f"fal-ai/{_id_of(entry)}"
        if self._route(entry) == "together":
            path = "together/v1/images/generations"
            body |= {"model": _id_of(entry), "response_format": "base64"}
        told = await self._ask("POST", self._there(path), json=body, creates=True)
        if not _has_room(told.value):
            raise of_another_shape(self)
        bill = fal_wire.bill_of(told.headers, entry)
        result = result_of(told.value)
        made = self._made(request, slot, result, pace=self._pace(), bill=bill)
        async with aclosing(made):
            async for event in made:
                yield event
        yield Done(usage=bill.usage)

    # -- fal's queue ------------------------------------------------------------------------------

    async def _into_queue(self, request: JobRequest, slot: Slot, entry: Entry) -> JobRef:
        images = await self._images(request)
        told = await self._ask(
            "POST",
            self._there(f"fal-ai/{_id_of(entry)}?{_QUEUE}"),
            json=fal_wire.body_of(request, slot, entry, images),
            creates=True,
        )
        value = told.object()
        id, given = value.get("request_id"), value.get("response_url")
        path = urlsplit(given).path if isinstance(given, str) else ""
        if not isinstance(id, str) or not _ID.fullmatch(id) or not _JOB_PATH.fullmatch(path):
            raise self._nameless()
        # fal's addresses are given, which do not take this key: the router has them, too, as the
        # official client knows.
        base = self._there(f"fal-ai{path}")
        return JobRef(
            id,
            resumable=True,
            data={
                "response_url": f"{base}?{_QUEUE}",
                "status_url": f"{base}/status?{_QUEUE}",
                "cancel_url": f"{base}/cancel?{_QUEUE}",
            },
        )

    # -- predictions ------------------------------------------------------------------------------

    async def _predict(self, request: JobRequest, slot: Slot, entry: Entry) -> JobRef:
        told = await self._ask(
            "POST",
            self._there(f"replicate/v1/models/{_id_of(entry)}/predictions"),
            json={"input": fal_wire.body_of(request, slot, entry, await self._images(request))},
            headers={"Prefer": "wait"},
            creates=True,
        )
        value = told.object()
        id = value.get("id")
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise self._nameless()
        state = value.get("status")
        data: dict[str, JsonValue] = {"status": str(state or "")}
        if isinstance(value.get("error"), str):
            data["error"] = self._line.clean(value["error"])
        result = result_of(value)
        output = [picture.url for picture in result.pictures]
        if result.lost or any(url.startswith("data:") or "?" in url for url in output):
            # Not understood, too large or too secret to be kept: it is asked for.
            data["status"] = "processing"
        elif output or state == "succeeded":
            data["output"] = list(output)
        return JobRef(id, resumable=True, data=data)

    async def _watch(self, request: JobRequest, ref: JobRef) -> AsyncGenerator[JobEvent, None]:
        """Follow a prediction; the router may not tell about one that is not done at once."""
        slot, pace = self._only_slot(request), self._pace()
        url = self._there(f"replicate/v1/predictions/{ref.remote_id}")
        value: dict[str, Any] = dict(ref.data)
        yield Running(0, None, slot.index)
        while value.get("status") not in _OVER and not value.get("completed_at"):
            await pace.wait()
            try:
                told = await self._ask("GET", url)
            except ProviderError as error:
                await pace.stumbled(self._of_a_question(error))
                continue
            pace.answered()
            value = told.object()
            steps = fal_wire.steps_in(str(value.get("logs") or ""))
            if steps is not None:
                yield Running(*steps, slot.index)
        result = result_of(value)
        if value.get("status") != "succeeded" and not result.pictures:
            said = self._said_in(value)
            words = said.words or f"The prediction ended as {value.get('status')}."
            raise self._without_picture(self._refused(words, said.kind or ErrorKind.TRANSIENT))
        made = self._made(request, slot, result, pace=pace, bill=fal_wire.Bill())
        async with aclosing(made):
            async for event in made:
                yield event
        yield Done(usage={"request_id": ref.remote_id})

    def _nameless(self) -> ProviderError:
        return ProviderError(
            ErrorKind.TRANSIENT,
            f"{self.title} took a job without naming it. Check {self._line.address_hint}.",
            maybe_sent=True,
        )


def result_of(value: object) -> fal_wire.Result:
    """Read the pictures of a partner's answer: fal's images, Together's data, an output.

    >>> result_of({"output": ["https://a.example/1.png"]}).pictures
    (Picture(url='https://a.example/1.png', flagged=False),)
    """
    if not isinstance(value, dict):
        return fal_wire.Result()
    given = value.get("data")
    if isinstance(given, list):
        urls = [_address_of(entry) for entry in given if isinstance(entry, dict)]
    elif "output" in value:
        given = value["output"]
        urls = [url for url in (given if isinstance(given, list) else [given]) if url]
    else:
        return fal_wire.result_of(value)
    result = fal_wire.result_of({"images": urls})
    lost = not result.pictures and given not in (None, [])
    return replace(result, prompt=None, lost=lost)


def _has_room(value: object) -> bool:
    """Tell whether an answer has a place for pictures; without one, it does not say there are none.

    >>> _has_room({"images": []}), _has_room({"ok": True}), _has_room(None)
    (True, False, False)
    """
    return isinstance(value, dict) and not _ROOMS.isdisjoint(value)


def _address_of(entry: Mapping[str, Any]) -> object:
    text, url = entry.get("b64_json"), entry.get("url")
    if isinstance(text, str) and (text or not url):
        # Of a picture without bytes, too: it came, and the image door says what is wrong.
        return text if text.startswith("data:") else f"data:image/png;base64,{text}"
    return url


async def _result_in(answer: Answer, body: bytes) -> fal_wire.Result | None:
    """Return the result in JSON of an answer that should be a picture's bytes; None: it is one."""
    if answer.content_type == "application/json" or begins_as_text(body):
        try:
            value = await read_json(body)
        except ValueError:
            raise answer.unreadable("something that is not whole JSON") from None
        if not _has_room(value):
            raise answer.unreadable("JSON of another shape")
        return result_of(value)
    if not body or len(body) > MAX_IMAGE_BYTES:
        raise answer.unreadable("a picture that is empty or too large")
    if not answer.content_type.startswith("image/") and not body.startswith(_PICTURES):
        raise answer.unreadable("something that is no picture")
    return None


def _id_of(entry: Entry) -> str:
    return str(entry.send.get("id") or entry.model.name)
