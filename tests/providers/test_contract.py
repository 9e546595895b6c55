"""The contract of providers: kept by the painter and by every dialect.

Dialects are those of tests/providers/dialects, each against its emulator.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.providers.dialects import Dialect, _found, all_dialects
from workbench.domain.jobs import (
    Idempotency,
    JobRequest,
)
from workbench.domain.parameters import Model
from workbench.domain.status import Operation
from workbench.errors import ErrorKind
from workbench.ports import Provider
from workbench.providers.hosted import Hosted
from workbench.providers.polling import Pace
from workbench.providers.sketch.provider import SketchProvider
from workbench.testing.emulators.server import Fault
from workbench.testing.provider_checks import needs_input
from workbench.testing.provider_contract import ProviderContract
from workbench.testing.providers import ChargeBook, EmulatedPaidProvider

pytestmark = pytest.mark.req("PRV-3")


def fast() -> Pace:
    return Pace(first_s=0.01, longest_s=0.05)


NOT_RESUMABLE = {
    "test_a_reference_is_followed_by_another_process": "its references are not resumable"
}
WITHOUT_KEY = {
    "test_no_key_is_in_any_text": "it has no key",
    "test_a_wrong_key_is_named_and_not_shown": "it has no key",
    "test_what_is_missing_is_said": "it needs nothing",
}
WITHOUT_PICTURES = {
    "test_an_input_that_cannot_be_read_is_a_typed_sentence": "its model takes no pictures"
}
WITH_PICTURES_ONLY = {
    "test_a_workspace_makes_pictures_with_it": "its model makes nothing of words alone"
}


class TestBuiltIn(ProviderContract):
    entry_point = "builtin"
    deterministic = True

    @classmethod
    def leaves_out(cls) -> dict[str, str]:
        more = {"test_its_own_test_costs_nothing_and_says_a_sentence": "it has no test()"}
        return super().leaves_out() | NOT_RESUMABLE | WITHOUT_KEY | more

    def make_provider(self) -> Provider:
        return SketchProvider()

    def params(self, model: Model) -> dict[str, Any]:
        return {"width": 64, "height": 64, "steps": 2}


@pytest.mark.blocking_allowed("charged() reads the book of charges, a file, where it is asked")
class OfPaidService(ProviderContract):
    """The public fake of a paid service, which has manners that no dialect of ours has."""

    kind: Idempotency
    batchable = False
    deterministic = True

    @pytest.fixture(autouse=True)
    def charging(self, tmp_path: Path) -> None:
        self.book = ChargeBook(tmp_path / "charges")

    @classmethod
    def leaves_out(cls) -> dict[str, str]:
        more = {"test_its_own_test_costs_nothing_and_says_a_sentence": "it has no test()"}
        return super().leaves_out() | WITHOUT_KEY | more

    def make_provider(self) -> Provider:
        return EmulatedPaidProvider(
            self.book.path, kind=self.kind, batchable=self.batchable, lag_s=0.1
        )

    def charged(self) -> int:
        return sum(len(charge.generations) for charge in self.book.charges())


@pytest.mark.req("PRV-5", "TOK-5")
class TestPaidServiceWithKeys(OfPaidService):
    kind = Idempotency.KEYED
    batchable = True


@pytest.mark.req("PRV-5", "TOK-5")
class TestPaidServiceThatCanBeAsked(OfPaidService):
    kind = Idempotency.LOOKUP


@pytest.mark.req("PRV-5", "TOK-5")
class TestPaidServiceThatTellsNothing(OfPaidService):
    kind = Idempotency.NONE


class Nowhere:
    """Stands in for an emulator where only the kind of its options is of interest."""

    def __getattr__(self, name: str) -> str:
        return "http://127.0.0.1:9"


@pytest.mark.req("PRV-2", "PRV-5", "PRV-6", "PRV-7")
class OfDialect(ProviderContract):
    """A dialect, against its emulator; each has a class of its own below."""

    dialect: Dialect | None = None
    server: Any

    @classmethod
    def leaves_out(cls) -> dict[str, str]:
        out = super().leaves_out()
        if cls.dialect is None:
            return out
        options = cls.dialect.options(Nowhere())
        provider = _found(cls.dialect.provider)(cls.dialect.name, **options)
        model = next(one for one in provider.models() if one.name == cls.dialect.model)
        if not cls.dialect.resumable:
            out |= NOT_RESUMABLE
        if "key" not in options:
            out |= WITHOUT_KEY
        if provider.idempotency.kind is Idempotency.FREE:
            out["test_each_picture_is_charged_once"] = "it costs nothing"
        if not model.max_references and not any(map(needs_input, model.operations)):
            out |= WITHOUT_PICTURES
        if Operation.GENERATE not in model.operations:
            out |= WITH_PICTURES_ONLY
        return out

    @pytest.fixture(autouse=True)
    def emulated(self) -> Iterator[None]:
        assert self.dialect is not None
        with self.dialect.make_emulator() as self.server:
            yield

    def test_whether_its_references_are_resumable_is_known(self) -> None:
        _, ref, _ = self.run(self.submitted)
        assert ref.resumable is self.dialect.resumable

    @property
    def secrets(self) -> list[str]:  # type: ignore[override]
        key = self.dialect.options(self.server).get("key")
        return [key] if key else []

    def make_provider(self, **changes: Any) -> Provider:
        kind = _found(self.dialect.provider)
        options = {**self.dialect.options(self.server), **changes}
        if issubclass(kind, Hosted) or "pace" in inspect.signature(kind).parameters:
            options["pace"] = fast
        made: Provider = kind(self.dialect.name, **options)
        if made.idempotency.kind is Idempotency.LOOKUP:
            # What an emulator takes it has at once.
            made.idempotency = replace(made.idempotency, quiet_s=1.0)
        return made

    def make_unready(self) -> Provider | None:
        if not self.secrets:
            return None
        options = self.dialect.options(self.server)
        made: Provider = _found(self.dialect.provider)(
            self.dialect.name, **{name: value for name, value in options.items() if name != "key"}
        )
        return made if getattr(made, "needs_key", True) else None

    def make_with_key(self, key: str) -> Provider | None:
        return self.make_provider(key=key) if self.secrets else None

    def model(self, provider: Provider) -> Model:
        return next(one for one in provider.models() if one.name == self.dialect.model)

    def params(self, model: Model) -> dict[str, Any]:
        return {
            name: value for name, value in self.dialect.request.items() if name in model.parameters
        }

    def charged(self) -> int | None:
        free = self.make_provider().idempotency.kind is Idempotency.FREE
        return None if free else self.server.images_charged

    def refusals(self, request: JobRequest) -> list[tuple[JobRequest, ErrorKind]]:
        if "references" in self.dialect.request:
            self.server.faults = [Fault(status=400), Fault(status=429), Fault(status=503)]
        else:
            self.server.fault_of = _refusing
        return [
            (replace(request, prompt="status 400"), ErrorKind.BAD_REQUEST),
            (replace(request, prompt="status 429"), ErrorKind.RATE_LIMIT),
            (replace(request, prompt="status 503"), ErrorKind.TRANSIENT),
        ]


for dialect in all_dialects():
    name = f"Test{dialect.name.title().replace('_', '')}"
    given = {"dialect": dialect, "entry_point": dialect.entry_point, "__module__": __name__}
    globals()[name] = type(name, (OfDialect,), given)


def _refusing(seen: Any) -> Fault | None:
    for status in (400, 429, 503):
        if f"status {status}".encode() in seen.body:
            return Fault(status=status)
    return None
