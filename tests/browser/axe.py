"""Axe and the contrast of every text, for a state that another test has come to anyway."""

from __future__ import annotations

from tests.browser.bench_page import Bench
from tests.browser.test_accessibility import AXE, Checks


def look_with_axe(bench: Bench, name: str, *, shows: str) -> None:
    """Fail if something of what the widget shows is wrong; `shows` is a text of this state.

    Of a page without transitions: `make_lab(reduced_motion="reduce")`.
    """
    bench.page.evaluate(AXE.read_text())
    checks = Checks(bench.notebook.lab, "light")
    checks.look(name, bench.root, shows=shows)
    checks.end(states=1)
