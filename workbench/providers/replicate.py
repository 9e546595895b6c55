"""Replicate: models by many makers. One prediction makes one picture.

A submission is answered with an id at once; its state is asked for until it has ended. The API
honours no key of ours, and its list of predictions cannot tell two equal requests apart, so that a
submission whose answer was lost is an unknown outcome. Each prediction has a deadline there
(``Cancel-After``): what nobody fetches any more does not run on. Results are removed after an hour.

What is only believed: that a failed prediction of an official model costs nothing. Models that are
not official are billed by the second, perhaps also for one that failed; the API does not say, so
that such a failure counts as billed, at what was reserved.

::

    ws.generate("a red fox", model="replicate:black-forest-labs/flux-schnell")

    more = [await Replicate().discover("nvidia/sana")]  # any model, by what it says of its input
    ws.add_provider(Replicate(models=more))
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from workbench.domain.jobs import Idempotency, IdempotencyPolicy, JobEvent, JobRef, JobRequest
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import InvalidRequest, ProviderError
from workbench.providers import failures
from workbench.providers.asking import Told
from workbench.providers.catalogue import Entry, keep_refreshed
from workbench.providers.http import Form
from workbench.providers.predictions import Predictor, has_ended, sign_of
from workbench.providers.redaction import plain
from workbench.providers.replicate_wire import reset_s

LARGEST_INLINE = 256_000  # bytes of an image that goes in as it is; a larger one is uploaded
MAX_JSON_BYTES = 4_000_000  # of a state: logs and inputs are in it
COLLECTION = "text-to-image"  # the models that are offered by `refresh`
_OF_ALL_MODELS = (ErrorKind.AUTH, ErrorKind.QUOTA, ErrorKind.RATE_LIMIT, ErrorKind.TRANSIENT)
_GRACE_S = 60.0  # between our own deadline and the one that Replicate is told
_MODEL = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_VERSION = re.compile(r"[0-9a-f]{64}")


class Replicate(Predictor):
    """Replicate's API.

    Parameters
    ----------
    name:
        Its name in the workspace.
    models:
        More models, in the form of data files; `discover` makes such entries.
    **options:
        As for every hosted provider: base_url, key, concurrency, patience, pace.

    Examples
    --------
    >>> Replicate().models()[0].id
    'replicate:black-forest-labs/flux-schnell'
    """

    usual_name = "replicate"
    title = "Replicate"
    help = "Models by many makers at Replicate. It needs a key and costs money for each picture."
    home = "https://api.replicate.com/v1"
    key_variables = ("REPLICATE_API_TOKEN",)
    address_variable = "REPLICATE_BASE_URL"
    data = "replicate"
    idempotency = IdempotencyPolicy(Idempotency.NONE)

    async def test(self) -> str:
        """Ask whose key it is.

        Raises
        ------
        ProviderError
            There was no answer, or the key is not accepted.
        """
        told = await self._tell("GET", self._address("/account"))
        return f"Replicate answered; the account is {plain(told.object().get('username')) or '?'}."

    async def discover(self, model: str) -> dict[str, Any]:
        """Ask what a model's input is, and return an entry for a data file, or for `models`.

        Prices are not told: an entry has none.

        Parameters
        ----------
        model:
            ``owner/name``, or ``owner/name:version``.

        Raises
        ------
        InvalidRequest
            It is no such name.
        ProviderError
            There is no such model, or it does not say what its input is.
        """
        name, _, version = model.partition(":")
        if not _MODEL.fullmatch(name) or (version and not _VERSION.fullmatch(version)):
            raise InvalidRequest("model", "must be owner/name, or owner/name:version.")
        about = (await self._tell("GET", self._address(f"/models/{name}"))).object()
        if version:
            url = self._address(f"/models/{name}/versions/{version}")
            latest = (await self._tell("GET", url)).value
            about = {**about, "latest_version": latest, "is_official": False}
        return self._entry_by(model, about)

    def _entry_by(self, model: str, about: Mapping[str, Any]) -> dict[str, Any]:
        latest = about.get("latest_version")
        latest = latest if isinstance(latest, dict) else {}
        id = latest.get("id")
        return self._discovered(
            model,
            latest.get("openapi_schema"),
            remark=str(about.get("description") or ""),
            version=str(id) if id and not about.get("is_official") else None,
        )

    async def refresh(self) -> str:
        """Read anew which models there are; those of our data file stay as they are in it."""
        entries, known = await self._offered()
        count = await asyncio.to_thread(keep_refreshed, self.data, entries, known=known)
        self._loaded = None
        if not count:
            return f"{self.title}: no other models than the {known} of this package's data file."
        return f"{self.title}: {count} models as of today."

    async def _read_models(self) -> Sequence[Mapping[str, Any]]:
        return (await self._offered())[0]

    async def _offered(self) -> tuple[Sequence[Mapping[str, Any]], int]:
        """Return the models that make pictures, and how many more our data file has."""
        told = await self._ask("GET", self._address(f"/collections/{COLLECTION}"))
        offered = told.object().get("models")
        known = await asyncio.to_thread(super()._entries)  # from a disk
        entries: list[Mapping[str, Any]] = []
        count = 0
        for about in offered if isinstance(offered, list) else ():
            if not isinstance(about, dict):
                continue
            name = f"{about.get('owner')}/{about.get('name')}"
            if name in known and not known[name].send.get("discovered"):
                count += 1
                continue
            try:
                if isinstance(about.get("latest_version"), dict):
                    entries.append(self._entry_by(name, about))
                else:
                    entries.append(await self.discover(name))
            except InvalidRequest:
                continue
            except ProviderError as error:
                # One strange model costs no other; without an answer the list would lose models.
                if error.kind in _OF_ALL_MODELS:
                    raise
        return entries, count

    # -- one job ----------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin a prediction."""
        entry = self._entry(request)
        body: dict[str, JsonValue] = {"input": await self._input(request, entry)}
        version = entry.send.get("version")
        path = "/predictions"
        if version is None:
            path = f"/models/{quote(entry.send.get('path', request.model))}/predictions"
        else:
            body["version"] = version
        told = await self._tell(
            "POST",
            self._address(path),
            json=body,
            headers={"Cancel-After": f"{math.ceil(self.deadline_s + _GRACE_S)}s"},
            creates=True,
        )
        prediction = told.object()
        id = prediction.get("id")
        if not isinstance(id, str) or not id:
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} took the job but gave no id for it, so that nobody can ask for it.",
                maybe_sent=True,
            )
        data: dict[str, JsonValue] = {"by_second": version is not None}
        urls = prediction.get("urls")
        for name in ("get", "cancel"):
            data[name] = urls.get(name) if isinstance(urls, dict) else None
        return JobRef(id, resumable=True, data=data)

    async def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Ask for the prediction until it has ended, and fetch its picture."""
        index = request.slots[0].index
        url = self._place(ref, "get", "")
        pace = self._pace()
        last: JobEvent | None = None
        while True:
            await pace.wait()
            try:
                prediction = await self._state(url)
            except ProviderError as error:
                error.maybe_sent = True  # it goes on without us
                await pace.stumbled(error)
                continue
            pace.answered()
            if has_ended(prediction):
                break
            event = sign_of(prediction, index)
            if event != last:
                last = event
                pace.moved()
                yield event
        by_second = bool(ref.data.get("by_second"))
        for event in await self._ending(prediction, index, by_second=by_second):
            yield event

    async def cancel(self, ref: JobRef) -> None:
        """Cancel a prediction; what has ended already stays as it is."""
        url = self._place(ref, "cancel", "/cancel")
        pace = self._pace()
        while True:
            try:
                await self._tell("POST", url)
            except ProviderError as error:
                if error.kind is ErrorKind.BAD_REQUEST:
                    return
                await pace.stumbled(error)
            else:
                return

    def _place(self, ref: JobRef, name: str, tail: str) -> str:
        """Return the address that was given for a prediction, or the usual one if it is not theirs.

        Behind a gateway they name Replicate's own, for which we have no key.
        """
        usual = self._address(f"/predictions/{quote(ref.remote_id or '', safe='')}{tail}")
        with suppress(ProviderError, ValueError):
            return self._own(ref.data.get(name) or usual)
        return usual

    async def _state(self, url: str) -> dict[str, Any]:
        prediction: dict[str, Any] = {}
        try:
            prediction = (await self._tell("GET", url)).object()
        except ProviderError as error:
            if error.kind is not ErrorKind.BAD_REQUEST:
                raise
        if not isinstance(prediction.get("status"), str):
            # Not found, or an answer of somebody in between: both may pass.
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} does not say what became of the picture. Look into your account.",
            )
        return prediction

    async def _tell(self, method: str, url: str, **request: Any) -> Told:
        return await self._ask(method, url, max_bytes=MAX_JSON_BYTES, **request)

    def _said_in(self, value: Any) -> failures.Said:
        said = super()._said_in(value)
        return replace(said, retry_after_s=reset_s(said.words))

    async def _put(self, content: bytes, mime: str) -> str:
        if len(content) <= LARGEST_INLINE:
            return await super()._put(content, mime)
        name = f"image.{mime.rpartition('/')[2]}"
        form = Form({}, [("content", (name, content, mime))])
        told = await self._tell("POST", self._address("/files"), form=form)
        urls = told.object().get("urls")
        url = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise ProviderError(
                ErrorKind.TRANSIENT, f"{self.title} took an image, but did not say where it is."
            )
        return url

    # -- settings ---------------------------------------------------------------------------------

    def _entries(self) -> Mapping[str, Entry]:
        return {**super()._entries(), **self._given}

    def _base(self) -> str:
        # The official client reads the same variable, and appends the version itself.
        base = super()._base()
        return base if urlsplit(base).path else f"{base}/v1"
