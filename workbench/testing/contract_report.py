"""Running a contract without pytest, in a notebook for example, and what comes of it."""

from __future__ import annotations

import traceback
import unittest
from dataclasses import dataclass, field
from functools import partial

from workbench.domain.border import asked
from workbench.testing.contract_base import ContractBase
from workbench.testing.provider_checks import Breach


@dataclass(slots=True)
class Report:
    """What came of a contract's tests. It prints as a list.

    Attributes
    ----------
    passed, failed, skipped:
        names of tests; for the latter two with the reason. Tests that were left out count as
        skipped.
    """

    passed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if nothing failed."""
        return not self.failed

    def __repr__(self) -> str:
        lines = [f"  ok    {_words(name)}" for name in self.passed]
        lines += [f"  -     {_words(name)} ({reason})" for name, reason in self.skipped]
        lines += [f"WRONG   {_words(name)}\n{_indented(why)}" for name, why in self.failed]
        counts = f"{len(self.passed)} kept, {len(self.failed)} broken"
        return "\n".join([*lines, f"{counts}, {len(self.skipped)} do not apply"])


def check(contract: type[ContractBase], *, only: str = "test_") -> Report:
    """Run the tests of a contract without pytest, each on an instance of its own.

    Parameters
    ----------
    contract:
        A subclass of `ProviderContract`; its ``setup_method`` and ``teardown_method`` are called.
    only:
        Beginning of the names of the tests that are run.

    Examples
    --------
    >>> from workbench.testing.provider_contract import ProviderContract
    >>> class TestNothing(ProviderContract):
    ...     def make_provider(self):
    ...         return object()
    >>> report = check(TestNothing)
    >>> report.ok, report.failed[0][0], report.failed[0][1].splitlines()[0][:28]
    (False, 'test_it_has_the_protocol', 'object has no cancel, close,')
    """
    report = Report()
    left_out = {
        name: why
        for name, why in contract.leaves_out().items()
        if getattr(contract, name, None) is None
    }
    for name in dict.fromkeys(name for kind in reversed(contract.__mro__) for name in vars(kind)):
        if not (name.startswith("test_") and name.startswith(only)):
            continue
        if name in left_out:
            report.skipped.append((name, left_out[name]))
            continue
        error = asked(partial(_run, contract(), name), lambda error: error)
        if error is None:
            report.passed.append(name)
        elif isinstance(error, unittest.SkipTest):
            report.skipped.append((name, str(error)))
        elif isinstance(error, Breach):
            notes = getattr(error, "__notes__", [])
            report.failed.append((name, "\n".join([str(error), *notes])))
        else:
            trace = traceback.format_exception(error, limit=-6)
            report.failed.append((name, "".join(trace)))
    return report


def _run(contract: ContractBase, test: str) -> None:
    getattr(contract, "setup_method", lambda: None)()
    try:
        getattr(contract, test)()
    finally:
        getattr(contract, "teardown_method", lambda: None)()


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.splitlines())
