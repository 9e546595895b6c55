"""Asking without standing in anybody's way, and reading what is answered beside the loop."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.domain.jobs import Idempotency
from workbench.domain.status import ErrorKind
from workbench.errors import ProviderError
from workbench.providers.http import Answer, Line

if TYPE_CHECKING:
    from workbench.providers.hosted import Hosted

MAX_IMAGE_BYTES = 50_000_000  # as the image door takes them
MAX_JSON_BYTES = MAX_IMAGE_BYTES * 4 // 3 * 4 + 1_000_000  # four pictures in base64
EVENTS = "text/event-stream"
_MAX_EVENT_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 100_000
_IN_THREAD_BYTES = 100_000  # from here on, reading JSON would hold up the loop

P = TypeVar("P", bound="Hosted")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered: status, headers (names in lower case) and JSON."""

    status: int
    headers: Mapping[str, str]
    value: Any

    def object(self) -> dict[str, Any]:
        """Return the JSON object, or an empty one where it is something else."""
        return self.value if isinstance(self.value, dict) else {}


@asynccontextmanager
async def apart(provider: P) -> AsyncIterator[P]:
    """Yield a copy of a provider with connections of its own, which are closed afterwards.

    Connections live on one loop. Jobs run on the engine's; a notebook that asks for a list of
    models does so on its own.

    Parameters
    ----------
    provider:
        Whose address, key and limits of time are used.

    Examples
    --------
    ::

        async with apart(provider) as asking:
            told = await asking._ask("GET", asking._address("/models"))
    """
    other = copy.copy(provider)
    line = provider._line  # noqa: SLF001 - the connections are what is changed
    other._line = Line(  # noqa: SLF001 - as above
        line.title,
        patience=line.patience,
        secrets=provider._secrets,  # noqa: SLF001 - as above
        key_hint=lambda: line.key_hint,
        address_hint=line.address_hint,
    )
    try:
        yield other
    finally:
        line.answers += other._line.answers  # noqa: SLF001 - as above
        await other._line.close()  # noqa: SLF001 - as above


async def in_thread(work: Callable[[bytes], T], body: bytes) -> T:
    """Read a body, in a thread where it is long.

    Parameters
    ----------
    work:
        What reads it.
    body:
        What is read.

    Examples
    --------
    >>> asyncio.run(in_thread(len, b"abc"))
    3
    """
    return await asyncio.to_thread(work, body) if len(body) > _IN_THREAD_BYTES else work(body)


def begins_as_text(body: bytes) -> bool:
    r"""Tell whether an answer begins as JSON or events do, whatever its label says.

    Gateways label JSON with the type of the picture in it.

    >>> begins_as_text(b'\n{"data": []}'), begins_as_text(b"\x89PNG\r\n"), begins_as_text(b"")
    (True, False, False)
    """
    return body[:100].lstrip().startswith((b"{", b"[", b"event:", b"data:"))


async def read_json(body: bytes) -> Any:
    """Parse JSON, in a thread where it is long; ValueError if it is none."""
    try:
        return await in_thread(json.loads, body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list in JSON; none where it is something else.

    >>> objects_in([{"a": 1}, 2]), objects_in(None)
    ([{'a': 1}], [])
    """
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def of_another_shape(provider: Hosted) -> ProviderError:
    """Return the error for a success that says nothing of pictures, neither some nor none.

    Parameters
    ----------
    provider:
        Whose answer it is. Where it bills, nobody knows what became of the call.
    """
    bills = provider.idempotency.kind is not Idempotency.FREE
    hint = provider._line.address_hint  # noqa: SLF001 - where to look is the line's to say
    return ProviderError(
        ErrorKind.TRANSIENT if bills else ErrorKind.BAD_REQUEST,
        f"{provider.title} answered with JSON of another shape. Check {hint}.",
        maybe_sent=bills,
    )


async def json_of(
    answer: Answer, clean: Callable[[object], str], *, max_bytes: int = MAX_JSON_BYTES
) -> Any:
    """Return the JSON of an answer.

    Parameters
    ----------
    answer:
        One that says success.
    clean:
        Makes harmless what is said about an answer that is none.
    max_bytes:
        Cap of its body.

    Raises
    ------
    ProviderError
        It does not come whole, or is no JSON.
    """
    body = await answer.body(max_bytes=max_bytes)
    try:
        return await read_json(body)
    except ValueError:
        kind = clean(answer.headers.get("content-type")) or "nothing that has a type"
        raise answer.unreadable(f"something that is not whole JSON ({kind})") from None


async def object_of(
    answer: Answer, clean: Callable[[object], str], *, max_bytes: int = MAX_JSON_BYTES
) -> dict[str, Any]:
    """Return the JSON object of an answer; parameters and errors as those of `json_of`."""
    value = await json_of(answer, clean, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise answer.unreadable("JSON of another shape")
    return value


async def chunks_of(
    answer: Answer, clean: Callable[[object], str], *, max_bytes: int = MAX_JSON_BYTES
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the JSON objects of an answer, whether it is a stream of events or came at once.

    What it is decides, not what was asked for: gateways that cannot stream send it at once.
    Parameters and errors are those of `json_of`.
    """
    if answer.content_type == EVENTS:
        most = min(max_bytes, _MAX_EVENT_BYTES)
        async for event in answer.events(max_bytes=max_bytes, max_event_bytes=most):
            if event.data.strip() == b"[DONE]":
                continue
            try:
                chunk = await read_json(event.data)
            except ValueError:
                raise answer.unreadable("something that is not whole JSON in an event") from None
            if isinstance(chunk, dict):
                yield chunk
        return
    value = await json_of(answer, clean, max_bytes=max_bytes)
    for chunk in value if isinstance(value, list) else [value]:
        if not isinstance(chunk, dict):
            raise answer.unreadable("JSON of another shape")
        yield chunk
