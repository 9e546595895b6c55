"""What providers that are reached by HTTP have in common: key, address, models, asking for JSON.

A dialect subclasses `Hosted`, names its variables and data file, and adds ``submit``, ``events``
and, where its API has them, ``cancel`` and ``lookup`` (see `workbench.domain.jobs`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from workbench.domain.jobs import (
    Idempotency,
    IdempotencyPolicy,
    JobEvent,
    JobInput,
    JobRef,
    JobRequest,
)
from workbench.domain.parameters import Model
from workbench.domain.records import JsonValue
from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, ProviderError, WorkbenchError
from workbench.ports import ProviderState
from workbench.providers import failures, keys
from workbench.providers.addresses import check_base_url, origin_of
from workbench.providers.catalogue import Catalogue, Entry, keep_refreshed, load
from workbench.providers.http import USUAL_PATIENCE, Form, Line, Patience
from workbench.providers.polling import Pace
from workbench.providers.redaction import Secret, plain

MAX_IMAGE_BYTES = 50_000_000  # as the image door takes them
MAX_JSON_BYTES = MAX_IMAGE_BYTES * 4 // 3 * 4 + 1_000_000  # four pictures in base64
_IN_THREAD_BYTES = 100_000  # from here on, reading JSON would hold up the loop
_MARGIN_S = 30.0  # between our own deadline and the runner's


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered: status, headers (names in lower case) and JSON."""

    status: int
    headers: Mapping[str, str]
    value: Any

    def object(self) -> dict[str, Any]:
        """Return the JSON object, or an empty one where it is something else."""
        return self.value if isinstance(self.value, dict) else {}


class Hosted:
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

    usual_name: ClassVar[str] = ""
    title: str = ""
    help: str = ""
    home: ClassVar[str] = ""
    key_variables: ClassVar[tuple[str, ...]] = ()
    address_variable: ClassVar[str] = ""
    data: ClassVar[str] = ""  # name of the data file
    needs_key: bool = True
    key_domains: ClassVar[tuple[str, ...]] = ()  # other hosts of the provider that may get the key
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
        self.name = name or self.usual_name
        self._came_with = self.concurrency = concurrency or self.usual_concurrency
        self._set_base_url: str | None = None
        self.deadline_s = patience.total_s + _MARGIN_S
        self._base_url = base_url
        self._key = Secret(key) if isinstance(key, str) else key
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

    def state(self) -> ProviderState:
        """Ready where there is a key and an address that is one. It asks nobody."""
        try:
            self._base()
            key = self._usable_key()
        except ConfigurationError as error:
            return ProviderState(False, "error", str(error))
        if key is None and self.needs_key:
            return ProviderState(False, "key_missing", self._how_to_set())
        return ProviderState(True)

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
                f"{self.title} cannot be asked for its models; they are in a data file of this "
                "package.",
            )
        count = await asyncio.to_thread(keep_refreshed, self.data, entries)
        self._loaded = None
        return f"{self.title}: {count} models as of today."

    # -- what people set --------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where its server is, as far as that can be said ("" if what was set is no address)."""
        try:
            return self._base()
        except ConfigurationError:
            return ""

    @property
    def key_place(self) -> str | None:
        """Where its key is: the name of a variable, "keyring", "file", "code"; None: nowhere."""
        if self._key is not None:
            return "code"
        return keys.place_of(self.name, self._own_variables())

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

    def _authorization(self, key: Secret) -> dict[str, str]:
        """Return the headers that carry the key."""
        return {"Authorization": f"Bearer {key.reveal()}"}

    def _said_in(self, value: Any) -> failures.Said:
        """Read the JSON of an error: words as they came, and a kind where a code says more."""
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

    def _address(self, path: str = "") -> str:
        """Return the base address and a path, or raise ProviderError where it is none."""
        try:
            return f"{self._base()}{path}"
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.BAD_REQUEST, str(error)) from None

    def _headers(self, url: str) -> dict[str, str]:
        """Return the headers with the key for an address; none where the key may not go."""
        try:
            key = self._usable_key()
        except ConfigurationError as error:
            raise ProviderError(ErrorKind.AUTH, str(error)) from None
        if key is None:
            if self.needs_key:
                raise ProviderError(
                    ErrorKind.AUTH, f"There is no key for {self.title}. {self._how_to_set()}"
                )
            return {}
        return self._authorization(key) if self._may_have_key(url) else {}

    def _own(self, url: object) -> str:
        """Return an address that the provider gave for asking again, if the key may go there.

        Raises
        ------
        ProviderError
            It may not: asking there would give the key away.
        """
        if not isinstance(url, str) or not self._may_have_key(url):
            raise ProviderError(
                ErrorKind.TRANSIENT,
                f"{self.title} named an address that is not its own. Check "
                f"{self._line.address_hint}.",
                maybe_sent=True,
            )
        return url

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        json: JsonValue = None,
        form: Form | None = None,
        headers: Mapping[str, str] | None = None,
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
        answer = await self._line.open(
            method,
            url,
            headers={"Accept": "application/json", **self._headers(url), **(headers or {})},
            json=json,
            form=form,
            creates=creates,
        )
        try:
            if not answer.ok:
                raise answer.error(self._cleaned(await answer.error_body()))
            body = await answer.body(max_bytes=max_bytes)
            try:
                value = await read_json(body)
            except ValueError:
                kind = self._line.clean(answer.headers.get("content-type"))
                kind = kind or "nothing that has a type"
                raise answer.unreadable(f"something that is not whole JSON ({kind})") from None
            return Told(answer.status, answer.headers, value)
        finally:
            await answer.close()

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

    def _base(self) -> str:
        if self._base_url is not None:
            return check_base_url(self._base_url, "base_url")
        if self._set_base_url is not None:
            return self._set_base_url
        given = os.environ.get(self.address_variable) if self.address_variable else None
        return check_base_url(given or self.home, self.address_variable or "base_url")

    def _current_key(self) -> Secret | None:
        if self._key is not None:
            return self._key
        return keys.find(self.name, self._own_variables())

    def _own_variables(self) -> tuple[str, ...]:
        # A key of the environment goes to the provider, or to where that was set to: not to a
        # server that has a name and an address of its own.
        return self.key_variables if self._base_url is None else ()

    def _usable_key(self) -> Secret | None:
        key = self._current_key()
        text = "" if key is None else key.reveal()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigurationError(
                f"{self._key_hint()} has characters that no key has. Copy it again."
            )
        return key

    def _secrets(self) -> list[Secret]:
        try:
            key = self._current_key()
        except ConfigurationError:
            return []
        return [] if key is None else [key]

    def _key_hint(self) -> str:
        if self._key is not None or not self.key_variables:
            return "its key"
        try:
            kept = self.key_place in ("keyring", "file")
        except ConfigurationError:
            kept = False
        return "the key that was entered" if kept else self.key_variables[0]

    def _how_to_set(self) -> str:
        if self._base_url is not None or not self.key_variables:
            return "Give its key."
        return (
            f"Set the environment variable {self.key_variables[0]}, or enter the key with "
            f"jupyter workbench providers key {self.name}."
        )

    def _may_have_key(self, url: str) -> bool:
        if origin_of(url) == origin_of(self._base()):
            return True
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        return parts.scheme == "https" and any(
            host == domain or host.endswith(f".{domain}") for domain in self.key_domains
        )

    def _cleaned(self, body: bytes) -> failures.Said:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return failures.NOTHING_SAID
        said = self._said_in(value)
        return replace(said, words=self._line.clean(said.words))


async def read_json(body: bytes) -> Any:
    """Parse JSON, in a thread where it is long; ValueError if it is none."""
    try:
        if len(body) > _IN_THREAD_BYTES:
            return await asyncio.to_thread(json.loads, body)
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


async def read_input(given: JobInput) -> bytes:
    """Read an image that goes in.

    Raises
    ------
    ProviderError
        It cannot be read any more.
    """
    try:
        return await asyncio.to_thread(given.read)
    except ProviderError:
        raise  # it says so already
    except (WorkbenchError, OSError) as error:
        raise ProviderError(
            ErrorKind.BAD_REQUEST, f"A reference image cannot be read: {plain(str(error))}"
        ) from None


async def data_url(given: JobInput) -> str:
    """Return an image that goes in as a ``data:`` address; errors as `read_input`."""
    content = await read_input(given)
    text = await asyncio.to_thread(base64.b64encode, content)
    return f"data:{given.mime};base64,{text.decode('ascii')}"


def inputs_of(request: JobRequest, role: str) -> list[JobInput]:
    """Return the images that go in with this role (source, reference, mask), in their order."""
    found = [one for one in request.inputs if one.role == role]
    return sorted(found, key=lambda one: one.position)


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
