"""Binder's steps in a clean environment: install, `postBuild`, `start`, a picture on both pages.

repo2docker and its image are not here, so the steps are run in the order and with the variables
that its Dockerfile has, and the server is started with the arguments that BinderHub gives. The one
difference: what `requirements.txt` pins is linked from this environment instead of downloaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

import psutil
import pytest
from packaging.utils import canonicalize_name
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.ensure_browser import browser_or_skip
from tests.browser.lab_world import ConsoleLog, LabPage, eventually
from tests.browser.servers import TOKEN, JupyterServer
from tests.package.clean_install import closure, link, link_file, run

REPOSITORY = Path(__file__).parents[2]
BINDER = REPOSITORY / "binder"
APP = "voila/render/notebooks/app.ipynb"  # as in the links of the README
LAB = "lab/tree/notebooks/00_quickstart.ipynb"
BASE_URL = "/user/somebody-image-workbench-a1b2c3/"
PACKAGES = "workbench/frontend/node_modules"
_PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)", re.MULTILINE)

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.name == "nt", reason="Not on Windows: Binder's images are Linux."),
]


def pins(path: Path) -> set[tuple[str, str]]:
    """The packages of a lock file with their versions; some have one for each Python."""
    return {(canonicalize_name(name), version) for name, version in _PIN.findall(path.read_text())}


@dataclass
class Image:
    """What repo2docker would make: the checkout, which is also HOME, and an environment."""

    checkout: Path
    python: Path

    @property
    def path(self) -> str:
        """PATH, with a node as in repo2docker's own environment."""
        node = shutil.which("node")
        places = [self.python.parent, *([Path(node).parent] if node else []), "/usr/bin", "/bin"]
        return os.pathsep.join(map(str, places))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("binder")
    checkout = folder / "checkout"
    clone(checkout)
    # What `npm ci` makes of the lock file takes longer than all the rest. Without it: see below.
    packages = REPOSITORY / PACKAGES
    if packages.is_dir():
        shutil.copytree(packages, checkout / PACKAGES, symlinks=True, copy_function=link_file)
    return build(checkout, folder)


def build(checkout: Path, folder: Path) -> Image:
    """What repo2docker does with a checkout."""
    venv.create(folder / "environment", with_pip=False)
    for name in ("pip", *dict(pins(checkout / "binder" / "requirements.txt"))):
        link(distribution(name), folder / "environment")
    made = Image(checkout, folder / "environment" / "bin" / "python")
    person = Path.home()
    settings = {
        "HOME": str(checkout),
        # The packages that `make` has downloaded already, from where this person gets them.
        "npm_config_cache": str(person / ".npm"),
        "npm_config_prefer_offline": "true",
        "npm_config_userconfig": str(person / ".npmrc"),
    }
    run("./binder/postBuild", cwd=checkout, path=made.path, settings=settings)
    return made


def clone(to: Path) -> None:
    """Copy the repository as git has it, with what is not committed yet."""
    listed = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY
    )
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():  # else it is deleted, and that is not committed yet
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, to / name)


@pytest.fixture(scope="module")
def session(image: Image) -> Iterator[JupyterServer]:
    """A session as BinderHub starts one: the start script, then JupyterLab below a prefix."""
    options = [f"App.base_url={BASE_URL}", f"App.token={TOKEN}", "App.trust_xheaders=True"]
    server = JupyterServer(
        image.checkout,
        image.checkout,
        command=(
            image.checkout / "binder" / "start",
            *(image.python, "-m", "jupyterlab", "--ip=127.0.0.1", "--no-browser", "--allow-root"),
            *(f"--{kind}{option}" for kind in ("Notebook", "Server") for option in options),
            "--LabApp.expose_app_in_browser=True",  # for this test: run all cells
        ),
        extra=(),
        environment={"PATH": image.path},
        base_url=BASE_URL,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = browser_or_skip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**found.launch_options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90_000)
    yield page
    context.close()


def test_binder_installs_the_versions_that_are_tested_here() -> None:
    binder = pins(BINDER / "requirements.txt")
    assert binder - pins(REPOSITORY / "requirements.lock") == set()
    if sys.version_info[:2] == (3, 11):
        assert {(name, distribution(name).version) for name, _ in binder} == binder


def test_repo2docker_finds_what_it_looks_for() -> None:
    assert (BINDER / "runtime.txt").read_text() == "python-3.11\n"  # it takes 3.10 otherwise
    assert not (REPOSITORY / ".binder").exists()  # one of both, or it gives up
    for name in ("postBuild", "start"):
        assert os.access(BINDER / name, os.X_OK)
        assert (BINDER / name).read_text().startswith("#!/bin/bash\n")
    assert (BINDER / "start").read_text().endswith('\nexec "$@"\n')
    # No path among them: then it installs them before it copies the checkout, and keeps that layer.
    lines = (BINDER / "requirements.txt").read_text().splitlines()
    assert all(re.match(r"[a-z0-9-]+==|    --hash=sha256:", line) for line in lines)


@pytest.mark.req("APP-3")
def test_the_image_has_the_package_with_all_it_needs_and_no_tools(image: Image) -> None:
    (info,) = image.python.parents[1].glob("lib/python*/site-packages/image_workbench-*.dist-info")
    needed = {canonicalize_name(found.name) for found in closure(Distribution.at(info))}
    assert needed <= set(dict(pins(BINDER / "requirements.txt")))
    assert json.loads((info / "direct_url.json").read_text())["dir_info"] == {}  # not editable
    expect_built(image)
    assert run(image.python, "-m", "pip", "check", cwd=image.checkout).startswith("No broken")


def expect_built(image: Image) -> None:
    (package,) = image.python.parents[1].glob("lib/python*/site-packages/workbench")
    assert (package / "widgets" / "static" / "workbench.js").stat().st_size > 20e3
    assert not (image.checkout / PACKAGES).exists()


@pytest.mark.faults  # long
@pytest.mark.req("APP-3")
def test_the_front_end_is_built_where_nothing_of_it_is_there(tmp_path: Path) -> None:
    clone(tmp_path / "checkout")
    assert not (tmp_path / "checkout" / PACKAGES).exists()
    expect_built(build(tmp_path / "checkout", tmp_path))


@pytest.mark.req("APP-3")
def test_lab_and_app_are_served_and_nothing_else_of_the_folder_is(session: JupyterServer) -> None:
    assert "jupyter-config-data" in fetch(session.url(LAB))
    (session.folder / "picture.png").write_bytes(b"a picture")
    for secret in ("README.md", "picture.png", "notebooks/app.ipynb"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(session.url(f"voila/files/{secret}"))
        refused.value.close()
        assert refused.value.code in (403, 404)
    assert 'name="password"' in fetch(session.url(APP).partition("?")[0])  # the token is asked for


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return str(answer.read().decode())


@pytest.mark.req("APP-3", "APP-7")
def test_the_link_to_the_app_shows_the_widget_alone_and_makes_a_picture(
    session: JupyterServer, page: Page
) -> None:
    console = ConsoleLog()
    console.watch(page)
    page.goto(session.url(APP))
    root = page.locator(".wbx[data-widget='Workbench']")
    choose_count(root, 2)
    root.get_by_test_id("prompt").fill("a red fox in the snow, birch trees")
    root.get_by_test_id("generate").click()
    done = root.locator("[data-testid=generation][data-status=completed]")
    expect(done.first.get_by_test_id("thumb")).to_be_visible(timeout=120_000)
    LabPage(page, session, session.folder, console, session.port).shoot("binder-app")
    expect(root.get_by_test_id("temporary")).to_contain_text("temporary")
    waiting = root.locator("[data-testid=generation]:not([data-status=completed])")
    expect(waiting).to_have_count(0, timeout=120_000)
    with page.expect_download() as arriving:
        root.get_by_test_id("download-all").click()
    with zipfile.ZipFile(arriving.value.path()) as archive:
        names = [name for name in archive.namelist() if name.endswith(".png")]
        assert len(names) == done.count()
        assert archive.read(names[0]).startswith(b"\x89PNG")
    assert root.get_by_test_id("providers").count() == 0  # a key would be in the pod's files
    assert page.title() == "Image workbench"
    assert page.get_by_text("for people who do not code").count() == 0  # that is for its author
    assert console.surprises() == []
    assert len(session.kernels()) == 1
    page.goto("about:blank")
    eventually(session.kernels, lambda kernels: kernels == [], within_s=60)


def choose_count(root: Locator, count: int) -> None:
    """How many pictures; each takes a second to paint."""
    field = root.get_by_test_id("count")
    field.fill(str(count))
    field.press("Enter")


@pytest.mark.req("APP-3", "LIVE-7")
def test_the_link_to_jupyterlab_opens_a_notebook_on_the_same_pictures(
    session: JupyterServer, page: Page
) -> None:
    lab = LabPage(page, session, session.folder, ConsoleLog(), session.port)
    notebook = lab.open(session.folder / "notebooks" / "app.ipynb")
    notebook.run_all()
    root = notebook.widget()
    choose_count(root, 1)
    root.get_by_test_id("prompt").fill("a lighthouse in a storm")
    root.get_by_test_id("generate").click()
    done = root.locator("[data-testid=generation][data-status=completed]")
    expect(done.first.get_by_test_id("thumb")).to_be_visible(timeout=120_000)
    lab.shoot("binder-lab")
    assert not (session.folder / "notebooks" / ".workbench").exists()  # it is in the scratch folder


def workers(session: JupyterServer) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(session.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if child.cmdline()[-1:] == ["worker"]:
                found.append(child)
    return found


@pytest.mark.req("APP-3")
def test_a_worker_that_is_killed_is_started_anew_and_ends_with_the_server(
    session: JupyterServer,
) -> None:
    (first,) = eventually(lambda: workers(session), lambda found: len(found) == 1, within_s=60)
    first.send_signal(signal.SIGKILL)
    (second,) = eventually(
        lambda: [one for one in workers(session) if one.pid != first.pid],
        lambda found: len(found) == 1,
        within_s=90,
    )
    home = Path(second.environ()["WORKBENCH_HOME"])
    assert home.parent.is_dir()
    session.stop()
    eventually(second.is_running, lambda running: not running, within_s=60)
    eventually(home.parent.exists, lambda there: not there, within_s=60)


def test_start_hands_over_to_whatever_it_is_given(image: Image) -> None:
    done = subprocess.run(
        [image.checkout / "binder" / "start", "sh", "-c", 'echo "$1"; exit 7', "sh", "two words"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": image.path, "HOME": str(image.checkout)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "two words\n", "")
