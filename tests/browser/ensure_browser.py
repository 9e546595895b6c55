"""A Chromium for the browser tests: the one that is here, or else one is fetched.

In this order: the program named by WORKBENCH_TEST_BROWSER, Playwright's own browser, one that
the system has, Playwright's download, and, as root on Debian (containers, CI), the system's
package. A browser counts only when it really opens a page.

`python tests/browser/ensure_browser.py` prints what it found; for fixtures:

    browser = playwright.chromium.launch(**browser_or_skip().launch_options)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, sync_playwright

# The first is Chromium without a window, like Playwright's own: a sixth less work for a page.
SYSTEM_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
INSTALL_LIMIT_S = 420
NO_BROWSER = (
    "The browser tests need a Chromium, and none could be had: install Debian's package "
    "`chromium`, or run `.venv/bin/python -m playwright install --with-deps chromium`, or name "
    "the program in WORKBENCH_TEST_BROWSER."
)


class NoBrowserError(RuntimeError):
    """There is no Chromium that opens a page, and none could be fetched."""


@dataclass(frozen=True)
class Chromium:
    """A browser that works; `path` is None for Playwright's own."""

    path: str | None
    origin: str

    @property
    def launch_options(self) -> dict[str, Any]:
        """Arguments for `playwright.chromium.launch`."""
        # Chromium's sandbox refuses to run as root, and /dev/shm is small in containers.
        arguments = ["--disable-dev-shm-usage"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            arguments.append("--no-sandbox")
        options: dict[str, Any] = {"headless": True, "args": arguments}
        if self.path is not None:
            options["executable_path"] = self.path
        return options

    def fault(self) -> str | None:
        """What goes wrong when it opens a page; None if it opens one."""
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(**self.launch_options, timeout=60_000)
                page = browser.new_page()
                page.set_content("<title>ready</title>")
                title = page.title()
                browser.close()
        except Error as error:
            return error.message.strip().splitlines()[0]
        return None if title == "ready" else f"its page has the title {title!r}"


def _present() -> Iterator[Chromium]:
    named = os.environ.get("WORKBENCH_TEST_BROWSER")
    if named:
        yield Chromium(named, "named by WORKBENCH_TEST_BROWSER")
        return
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.exists():
        yield Chromium(None, "Playwright's own")
    for name in SYSTEM_NAMES:
        path = shutil.which(name)
        if path:
            yield Chromium(path, "the system's")


def _fetched() -> Iterator[Chromium]:
    if _runs([sys.executable, "-m", "playwright", "install", "chromium"]):
        yield Chromium(None, "downloaded by Playwright")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _runs(["apt-get", "update", "-q"], environment)
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]
        for name in SYSTEM_NAMES[:2]:
            # Without a font, text has no size.
            done = _runs([*install, name, "fonts-dejavu-core"], environment)
            if path := shutil.which(name) if done else None:
                yield Chromium(path, "the system's package")


def _runs(command: list[str], environment: dict[str, str] | None = None) -> bool:
    print("+", " ".join(command[-4:]), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            timeout=INSTALL_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  {type(error).__name__}", file=sys.stderr)
        return False
    if done.returncode != 0:
        print("  " + "\n  ".join(done.stdout.strip().splitlines()[-3:]), file=sys.stderr)
    return done.returncode == 0


@cache
def find_browser(*, fetch: bool = False) -> Chromium:
    """A Chromium that opens a page.

    Parameters
    ----------
    fetch
        download or install one if there is none

    Raises
    ------
    NoBrowserError
        there is none; the message says what to do
    """
    # Playwright starts only once in a thread.
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(_find, fetch=fetch).result()


def browser_or_skip() -> Chromium:
    """`find_browser` for tests: where there is none they are skipped, with what to do."""
    try:
        return find_browser()
    except NoBrowserError as error:
        pytest.skip(" ".join(str(error).splitlines()))


def _find(*, fetch: bool) -> Chromium:
    faults = []
    for candidate in chain(_present(), _fetched() if fetch else ()):
        fault = candidate.fault()
        if fault is None:
            return candidate
        faults.append(f"{candidate.path or 'Playwright'}: {fault}")
    raise NoBrowserError("\n".join([NO_BROWSER, *faults]))


def main() -> int:
    """Ensure that there is a browser and say which."""
    try:
        browser = find_browser(fetch=True)
    except NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"browser: {browser.path or 'chromium'} ({browser.origin})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
