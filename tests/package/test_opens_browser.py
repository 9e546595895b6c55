"""Without `--no-browser`, `lab` and `app` open a browser, on a page that is there."""

from __future__ import annotations

import http.cookiejar
import os
import re
import sys
import urllib.request
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tests.browser.lab_world import eventually
from tests.browser.servers import JupyterServer
from tests.browser.voila_world import AppServer

pytestmark = [
    pytest.mark.timeout(300),  # servers start
    pytest.mark.skipif(
        os.name == "nt", reason="Not on Windows: a shell script takes the place of the browser."
    ),
]

REDIRECT = re.compile(r'http-equiv="refresh" content="\d+; ?url=([^"]+)"', re.IGNORECASE)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Takes the place of the browser; what it returns is the address that it was opened on."""
    told = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> "{told}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")

    def address() -> str:
        (line,) = eventually(
            lambda: told.read_text().split() if told.exists() else [], bool, within_s=90
        )
        if not line.startswith("file:"):
            return line
        # Both write it into a file, so that no list of processes shows the token.
        page = Path(url2pathname(urlsplit(line).path))
        found = REDIRECT.search(page.read_text())
        assert found, page.read_text()
        return unescape(found[1])

    return address


def page_at(address: str, *, port: int | None, path: str) -> str:
    """What a browser gets there, which keeps the cookie that stands for the token."""
    parts = urlsplit(address)
    assert (parts.port, parts.path) == (port, path)
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    with urllib.request.build_opener(cookies).open(address, timeout=180) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


@pytest.mark.req("APP-1")
def test_lab_opens_the_browser_on_the_quick_start(
    tmp_path: Path, opened: Callable[[], str]
) -> None:
    command = Path(sys.executable).with_name("jupyter-workbench")
    server = JupyterServer(tmp_path / "here", tmp_path / "home", command=(command, "lab"), extra=())
    server.start()
    try:
        page = page_at(opened(), port=server.port, path="/lab/tree/00_quickstart.ipynb")
        assert 'id="jupyter-config-data"' in page  # JupyterLab, and no question for a password
    finally:
        server.stop()


@pytest.mark.req("APP-2")
def test_app_opens_the_browser_on_the_page(tmp_path: Path, opened: Callable[[], str]) -> None:
    app = AppServer(tmp_path / "app")
    app._command.remove("--no-browser")
    app.start()
    try:
        page = page_at(opened(), port=app.port, path="/")
        assert "<title>Image workbench</title>" in page
    finally:
        app.stop()
