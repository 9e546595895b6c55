"""A dialect of ours and its emulator, all that they exchange held against a vendor's document."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.providers.dialects import Dialect, _found, all_dialects
from tests.providers.official import FORM, Document
from tests.providers.world import fast, noise
from workbench.errors import WorkbenchError
from workbench.ports import Provider
from workbench.providers.hosted import Hosted
from workbench.testing.contract_base import ContractBase, values_offered, ways_of
from workbench.testing.emulators.server import NO_FAULT, Emulator, Fault, Reply, Seen

FAULTS = [
    *(Fault(status=status) for status in (400, 401, 402, 403, 404, 413, 429, 500, 502, 503)),
    Fault(status=400, code="moderation_blocked"),
    Fault(images=0),
    Fault(reset_after=0),
    Fault(silent=True),
    *(Fault(in_stream=code) for code in ("moderation_blocked", "502")),
    *(Fault(code=code) for code in ("nsfw", "model_error", "removed")),  # how predictions end
]
SIZES = [(1024, 1536), (1536, 1024), (768, 512)]


@dataclass(frozen=True)
class Vendor:
    """A dialect and its vendor's document.

    Attributes
    ----------
    dialect:
        Its name in the folder dialects.
    document:
        How the name of the document's file begins.
    newer:
        What of ours is otherwise, as patterns, because the document is older than the service, or
        wrong. Each must be met, so that the list stays true.
    untold:
        What it says nothing of, as patterns.
    error:
        Its schema of errors, where answers do not refer to one.
    options:
        Keywords of the provider's class besides those of the dialect, from a running emulator.
    least:
        How many of each kind are looked at, at least.
    """

    dialect: str
    document: str
    newer: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    error: str | None = None
    options: Callable[[Any], Mapping[str, Any]] = lambda server: {}
    least: Mapping[str, int] = field(default_factory=dict)


class Drives(ContractBase):
    """Jobs of a dialect, each as the engine has it."""

    patience_s = 20.0

    def __init__(self, dialect: Dialect, server: Emulator, more: Mapping[str, Any]) -> None:
        self._dialect, self._server, self._more = dialect, server, more

    def make_provider(self) -> Provider:
        kind = _found(self._dialect.provider)
        options = {**self._dialect.options(self._server), **self._more}
        if issubclass(kind, Hosted) or "pace" in inspect.signature(kind).parameters:
            options["pace"] = fast
        made: Provider = kind(self._dialect.name, **options)
        return made

    async def all(self, provider: Any) -> None:
        """Every model in every way, sizes, every value that it offers, and what goes wrong."""
        jobs: list[dict[str, Any]] = []
        models = list(provider.models())
        chosen = next(one for one in models if one.name == self._dialect.model)
        for model in models:
            values = [{name: value} for name, value in values_offered(model)]
            if {"width", "height"} <= model.parameters.keys():
                values += [{"width": width, "height": height} for width, height in SIZES]
            for place, way in enumerate(ways_of(model)):
                some = values if model is chosen or not place else []
                jobs += [{"model": model, **way, **more} for more in ({}, *some)]
                if "partial_images" in model.parameters:  # nothing is streamed without
                    at_once = {"model": model, **way, "partial_images": 0}
                    jobs += [{**at_once, **more} for more in values if model is chosen]
        several = asyncio.Semaphore(4)

        async def one(job: dict[str, Any]) -> None:
            async with several:
                await self._ended(provider, job)

        await asyncio.gather(*map(one, jobs))
        for model in [model for model in models if model.max_references][:1]:
            await self._ended(provider, {"model": model, "references": 1}, picture=noise(512))
        ways: list[dict[str, Any]] = [{}]
        if "partial_images" in chosen.parameters:
            ways.append({"partial_images": 0})
        if chosen.max_references:
            ways.append({"references": 1})
        for fault, way in itertools.product(FAULTS, ways):
            self._server.faults = [fault]
            await self._ended(provider, {"model": chosen, "prompt": "it fails", **way})
        self._server.faults = []
        ref = await provider.submit(self.job_request(provider, model=chosen))
        await self.cancel(provider, ref)
        for asks in ("test", "refresh"):
            if hasattr(provider, asks):
                with contextlib.suppress(WorkbenchError):  # some have no list to read anew
                    await getattr(provider, asks)()

    async def _ended(
        self, provider: Any, job: dict[str, Any], picture: bytes | None = None
    ) -> None:
        # What was sent and answered is what counts here, not how it ended.
        with contextlib.suppress(WorkbenchError):
            request = self.job_request(provider, **job)
            if picture is not None:  # too large for an address of the kind data:
                inputs = tuple(replace(one, read=lambda: picture) for one in request.inputs)
                request = replace(request, inputs=inputs)
            await self.follow(provider, request, await provider.submit(request))


def compared(vendor: Vendor, document: Document) -> tuple[Counter, dict[str, Any], set[str]]:
    """Return how much was looked at, what is otherwise than it says, and what it does not tell."""
    (dialect,) = (one for one in all_dialects() if one.name == vendor.dialect)
    exchanged: list[tuple[Seen, Fault, Reply]] = []
    with dialect.make_emulator() as server:
        answer = server.reply

        def reply(seen: Seen, fault: Fault) -> Reply:
            made = answer(seen, fault)
            whole = Reply(
                made.status, made.content_type, list(made.pieces), made.headers, made.streamed
            )
            exchanged.append((seen, fault, whole))
            return whole

        server.reply = reply  # type: ignore[method-assign]
        drives = Drives(dialect, server, vendor.options(server))
        drives.run(drives.all)
    held = Held(vendor, document)
    for seen, fault, made in exchanged:
        held.exchange(seen, fault, made)
    return held.looked_at, held.otherwise, held.untold


class Held:
    """What was exchanged, held against a document."""

    def __init__(self, vendor: Vendor, document: Document) -> None:
        self.vendor, self.document = vendor, document
        self.looked_at: Counter[str] = Counter()
        self.otherwise: dict[str, Any] = {}
        self.untold: set[str] = set()

    def exchange(self, seen: Seen, fault: Fault, reply: Reply) -> None:
        found = self.document.operation(seen)
        if found is None:
            self.untold.add(f"{seen.method} {seen.path.partition('?')[0]}")
            return
        what, operation = f"{seen.method} {found[0]}", found[1]
        kind = seen.headers.get("content-type", "").partition(";")[0]
        if seen.body:
            schema = self.document.request(operation, kind)
            if schema is None:
                self.untold.add(f"{what} request {kind}")
            elif kind == FORM:
                self._hold("form", what, self.document.read_form(seen, schema), schema)
            else:
                self._hold("request", what, seen.json(), schema)
        if reply.status >= 400 and fault == NO_FAULT:
            self.otherwise[f"{what}: the emulator refused it"] = b"".join(reply.pieces)
        if fault.body is None and fault.content_type is None:
            self._reply(what, operation, reply)

    def _reply(self, what: str, operation: dict[str, Any], reply: Reply) -> None:
        schema = self.document.reply(operation, reply.status, reply.content_type)
        if schema is None and reply.status >= 400 and self.vendor.error:
            schema = self.document.named(self.vendor.error)
        if schema is None:
            self.untold.add(f"{what} reply {reply.status} {reply.content_type}")
        elif not reply.streamed:
            body = b"".join(reply.pieces)
            held_as = "error" if reply.status >= 400 else "reply"
            self._hold(held_as, what, json.loads(body) if body else None, schema)
        else:
            for piece in reply.pieces:
                self._event(what, piece.decode(), schema)

    def _event(self, what: str, piece: str, schema: dict[str, Any]) -> None:
        lines = [line[5:].strip() for line in piece.splitlines() if line.startswith("data:")]
        if not lines or lines == ["[DONE]"]:  # a remark that keeps the line open, or the end
            return
        (line,) = lines
        event = json.loads(line)
        if self.vendor.error and event.get("type") == "error":
            self.untold.add(f"{what} event error")
            return
        wrapped = "data" in self.document.fields(schema)
        self._hold("event", what, {"data": event} if wrapped else event, schema)

    def _hold(self, kind: str, what: str, value: Any, schema: dict[str, Any]) -> None:
        self.looked_at[kind] += 1
        for fault in self.document.faults_in(value, schema):
            self.otherwise.setdefault(f"{kind} {what}: {fault}", value)


def check(vendor: Vendor, document: Document) -> dict[str, int]:
    """Compare, and return how much was looked at."""
    looked_at, otherwise, untold = compared(vendor, document)
    wrong = [one for one in otherwise if not _any(vendor.newer, one)]
    assert not wrong, "\n".join(f"{one}\n    in {str(otherwise[one])[:300]}" for one in wrong[:20])
    assert [how for how in vendor.newer if not any(re.search(how, one) for one in otherwise)] == []
    assert [one for one in untold if not _any(vendor.untold, one)] == []
    assert all(looked_at[kind] >= least for kind, least in vendor.least.items()), looked_at
    return dict(looked_at)


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(one, text) for one in patterns)
