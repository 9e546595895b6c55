"""What providers that are reached by HTTP have in common: key, address, models, asking for JSON.

A dialect subclasses `Hosted`, names its variables and data file, and adds ``submit``, ``events``
and, where its API has them, ``cancel`` and ``lookup`` (see `workbench.domain.jobs`).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypedDict

from workbench.domain.jobs import Idempotency, IdempotencyPolicy, JobEvent, JobRef, JobRequest
from workbench.domain.parameters import Model
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers import failures
from workbench.providers.asking import MAX_IMAGE_BYTES, MAX_JSON_BYTES, Told, json_of
from workbench.providers.catalogue import Catalogue, Entry, keep_refreshed, load
from workbench.providers.endpoint import Endpoint
from workbench.providers.http import USUAL_PATIENCE, Answer, Form, Headers, Line, Patience
from workbench.providers.polling import Pace
from workbench.providers.redaction import Secret, plain

__all__ = ["MAX_IMAGE_BYTES", "MAX_JSON_BYTES", "Hosted", "Options"]

_MARGIN_S = 30.0  # between our own deadline and the runner's


class Options(TypedDict, total=False):
    """What every hosted provider may be given besides its name; see `Hosted`."""

    base_url: str | None
    key: str | Secret | None
    concurrency: int | None
    patience: Patience
    pace: Callable[[], Pace]


class Hosted(Endpoint):
    """Base of a provider that is reached by HTTP.

    Parameters
    ----------
    name:
        Its name in the workspace; models are called ``<name>:<model>``.
    base_url:
        Address that paths are appended to; None: the variable `address_variable`, or `home`.
    key:
        The key; None: the one that is kept for this provider (see `workbench.providers.keys`).
        The environment's goes to no address that was given here.
    concurrency:
        Jobs at once over all processes of a workspace.
    patience:
        Limits of time.
    pace:
        Makes what decides how often a job is asked for.
    """

    data: ClassVar[str] = ""  # name of the data file
    usual_concurrency: ClassVar[int] = 4
    idempotency = IdempotencyPolicy(Idempotency.NONE)

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
        concurrency: int | None = None,
        patience: Patience = USUAL_PATIENCE,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        super().__init__(name, base_url=base_url, key=key)
        self._came_with = self.concurrency = concurrency or self.usual_concurrency
        self.deadline_s = patience.total_s + _MARGIN_S
        self._pace = pace
        self._loaded: Catalogue | None = None
        self._line = Line(
            self.title,
            patience=patience,
            secrets=self._secrets,
            key_hint=self._key_hint,
            address_hint=self.address_variable if base_url is None else "its address",
        )

    # -- what people see --------------------------------------------------------------------------

    def models(self) -> Sequence[Model]:
        """Return the models of the catalogue that are still there."""
        return [entry.model for entry in self._entries().values() if not entry.is_gone()]

    async def test(self) -> str:
        """Ask the server for something that costs nothing, and say what came of it.

        Raises
        ------
        ProviderError
            It did not work; the text says why.
        """
        raise ProviderError(
            ErrorKind.UNAVAILABLE, f"{self.title} has nothing to ask for without cost."
        )

    async def refresh(self) -> str:
        """Read anew which models there are and what they cost; returns a sentence.

        What was read lies over the data file of the package until it is read again.

        Raises
        ------
        ProviderError
            It cannot be asked, or did not answer well.
        """
        entries = await self._read_models()
        if entries is None:
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"The models of {self.title} and their prices are in a data file of this package: "
                "there is no list to read them from.",
            )
        count = await asyncio.to_thread(keep_refreshed, self.data, entries)
        self._loaded = None
        return f"{self.title}: {count} models as of today."

    # -- what people set --------------------------------------------------------------------------

    @property
    def can_test(self) -> bool:
        """Whether there is something to ask for that costs nothing."""
        return type(self).test is not Hosted.test

    @property
    def can_refresh(self) -> bool:
        """Whether the server tells which models it has."""
        return type(self)._read_models is not Hosted._read_models  # noqa: SLF001 - our own

    def configure(self, *, base_url: str | None, concurrency: int | None) -> None:
        """Use another address, or make more jobs at once; None: as it came."""
        self._set_base_url = base_url
        self.concurrency = concurrency or self._came_with

    # -- one job: for subclasses ------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobRef:
        """Begin a job."""
        raise NotImplementedError

    def events(self, request: JobRequest, ref: JobRef) -> AsyncIterator[JobEvent]:
        """Follow a job to its end."""
        raise NotImplementedError

    async def cancel(self, ref: JobRef) -> None:
        """Do nothing: the API has no cancel. What is being made is paid for, and comes late."""

    async def lookup(self, request: JobRequest) -> JobRef | None:  # noqa: ARG002 - the protocol's
        """Say that the API cannot be asked what became of a call."""
        return None

    async def close(self) -> None:
        """Close connections."""
        await self._line.close()

    async def _read_models(self) -> Sequence[Mapping[str, Any]] | None:
        """Return the models that the server has, as in a data file; None: it has no list."""
        return None

    # -- what subclasses say ----------------------------------------------------------------------

    def _said_in(self, value: Any) -> failures.Said:
        """Read the JSON of an error: words as they came, and what its fields say besides."""
        return failures.Said(_words_in(value))

    # -- what subclasses use ----------------------------------------------------------------------

    def _entry(self, request: JobRequest) -> Entry:
        entry = self._entries().get(request.model)
        if entry is None or entry.is_gone():
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                f"{self.title} has no model {plain(request.model)} any more. Choose another one.",
            )
        return entry

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        json: JsonValue = None,
        form: Form | None = None,
        headers: Headers | None = None,
        creates: bool = False,
        max_bytes: int = MAX_JSON_BYTES,
    ) -> Told:
        """Send a request and return the JSON of its answer.

        Parameters
        ----------
        method, url, json, form:
            The request.
        headers:
            Besides the key's.
        creates:
            It may cost money.
        max_bytes:
            Cap of the answer's body.

        Raises
        ------
        ProviderError
            No answer, an answer that is no success, or one that is not JSON.
        """
        answer = await self._opened(
            method,
            url,
            json=json,
            form=form,
            headers={"Accept": "application/json", **(headers or {})},
            creates=creates,
        )
        try:
            value = await json_of(answer, self._line.clean, max_bytes=max_bytes)
            return Told(answer.status, answer.headers, value)
        finally:
            await answer.close()

    async def _opened(
        self,
        method: str,
        url: str,
        *,
        json: JsonValue = None,
        form: Form | None = None,
        headers: Headers | None = None,
        creates: bool = False,
    ) -> Answer:
        """Send a request and return an answer that says success; whoever gets it closes it.

        Parameters and errors are those of `_ask`.
        """
        answer = await self._line.open(
            method,
            url,
            headers={**self._headers(url), **(headers or {})},
            json=json,
            form=form,
            creates=creates,
        )
        if answer.ok:
            return answer
        try:
            raise await self._failure(answer)
        finally:
            await answer.close()

    async def _failure(self, answer: Answer) -> ProviderError:
        """Return the error for an answer that is no success."""
        return answer.error(self._cleaned(await answer.error_body()))

    async def _fetch(self, url: object) -> bytes:
        """Fetch a finished picture from where the provider put it; no key goes with it.

        Raises
        ------
        ProviderError
            It cannot be fetched. It was made and is paid for: `maybe_sent` is set.
        """
        text = url if isinstance(url, str) else ""
        if text.startswith("data:"):
            try:
                return base64.b64decode(text.partition(",")[2])
            except ValueError:
                return b"?"  # the image door says what is wrong
        try:
            return await self._line.fetch(text, max_bytes=MAX_IMAGE_BYTES, home=self._address())
        except ProviderError as error:
            if error.kind in (ErrorKind.AUTH, ErrorKind.BAD_REQUEST):
                # No key went with it, and no model was asked for: neither is what failed.
                error = ProviderError(
                    ErrorKind.BAD_IMAGE,
                    f"{self.title} made the picture, but it is not where {self.title} said it "
                    "would be (any more).",
                )
            error.maybe_sent = self.idempotency.kind is not Idempotency.FREE
            raise error from None

    def _refused(self, words: object, kind: ErrorKind = ErrorKind.TRANSIENT) -> ProviderError:
        """Return the error for what a provider says with success, or in its own words."""
        status = 500 if kind is ErrorKind.TRANSIENT else 400
        said = failures.Said(self._line.clean(words), kind)
        return failures.of_status(self.title, status, said, key_hint=self._line.key_hint)

    # -- settings ---------------------------------------------------------------------------------

    def _entries(self) -> Mapping[str, Entry]:
        if self._loaded is None:
            self._loaded = load(self.data, self.name)
        return self._loaded.entries

    def _cleaned(self, body: bytes) -> failures.Said:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return failures.NOTHING_SAID
        said = self._said_in(value)
        return replace(said, words=self._line.clean(said.words))


def _words_in(value: Any) -> str:
    """Return the message of an error's JSON, wherever providers put it."""
    for _ in range(4):
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            value = value[0] if value else ""
            continue
        if not isinstance(value, dict):
            return ""
        names = ("message", "msg", "detail", "error", "errors", "title", "errMsg", "ErrMsg")
        value = next((value[name] for name in names if value.get(name)), "")
    return ""
