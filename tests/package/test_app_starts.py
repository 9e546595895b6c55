"""`jupyter workbench app` as the network sees it: one page, and nothing else of the machine."""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from tests.browser.voila_world import AppServer

pytestmark = pytest.mark.timeout(600)

CANARY = "canary-7f3a"
KERNEL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    """Starts apps: `make("--preheat", "2", environment={…})`; all end with the test."""
    made: list[AppServer] = []

    def make(*options: str | Path, **more: Any) -> AppServer:
        app = AppServer(tmp_path / f"app{len(made)}", options=options, **more)
        made.append(app)
        return app.start()

    yield make
    for app in made:
        app.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    app = AppServer(tmp_path_factory.mktemp("shared") / "app")
    yield app
    app.stop()


@pytest.fixture
def app(shared: AppServer) -> Iterator[AppServer]:
    """One for all tests that ask for nothing special: it runs, and no page is open."""
    if not shared.is_running:
        shared.start()
    yield shared
    if shared.is_running:
        shared.end_kernels()
        shared.expect_kernels(0)


def ask(
    app: AppServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """One request, with the path exactly as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=180)
    connection.request(method, path, headers=headers or {})
    reply = connection.getresponse()
    text = reply.read().decode(errors="replace")
    connection.close()
    return reply.status, text


def kernel_of(page: str) -> str:
    found = re.search(r'"kernelId": "([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def notebook(path: Path, *cells: str) -> Path:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


def everything_of(app: AppServer) -> list[psutil.Process]:
    return psutil.Process(app.process.pid).children(recursive=True)


def test_a_port_that_is_taken_is_an_error_that_names_it(app: AppServer) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-workbench"), "app", "--port", str(app.port)],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=app.folder,
    )
    assert done.returncode == 2
    assert str(app.port) in done.stderr


def test_only_the_page_itself_ends_its_kernel(app: AppServer) -> None:
    before = len(app.said())
    here = f"http://127.0.0.1:{app.port}"
    kernel = kernel_of(ask(app, "/")[1])
    leave = f"/voila/api/shutdown/{kernel}"
    strangers: list[dict[str, str]] = [
        {},
        {"Origin": "null"},
        {"Origin": "https://example.org"},
        {"Origin": f"{here}0"},
        {"Origin": f"http://127.0.0.1.example.org:{app.port}"},
        {"Referer": "https://example.org/"},
        {"Origin": "https://example.org", "Referer": f"{here}/"},
    ]
    for headers in strangers:
        assert ask(app, leave, method="POST", headers=headers)[0] == 403, headers
        assert ask(app, f"/api/kernels/{kernel}", method="DELETE", headers=headers)[0] in (403, 404)
    app.expect_kernels(1)
    assert ask(app, leave, method="POST", headers={"Origin": here})[0] == 204
    app.expect_kernels(0)
    # A page may say it twice.
    assert ask(app, leave, method="POST", headers={"Referer": f"{here}/"})[0] == 204
    assert "Traceback" not in app.said()[before:]


def test_what_visitors_cannot_mend_is_told_in_the_log(app: AppServer) -> None:
    before = len(app.said())
    settings = app.workspace / "config.toml"
    settings.write_text("[visitors]\nimages_per_day = 'many'")
    status, page = ask(app, "/")
    settings.unlink()
    assert status == 200
    assert "Whoever runs it finds why in the log." in page
    assert "config.toml" not in page
    assert "show_tracebacks" not in page
    said = app.said()[before:]
    assert said.count("config.toml: visitors_images_per_day must be a whole number") == 1
    assert "\x1b" not in said


@pytest.mark.req("APP-2")
def test_the_page_is_at_the_root_and_one_interrupt_ends_everything(app: AppServer) -> None:
    before = len(app.said())
    status, page = ask(app, "/")
    assert status == 200
    assert "<title>Image workbench</title>" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page  # nothing comes from elsewhere
    app.expect_kernels(1)
    processes = everything_of(app)
    assert len(processes) >= 3
    assert app.interrupt() == 0
    assert not [one for one in processes if one.is_running()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", app.port)) != 0
    said = app.said()
    assert f"The page is at http://localhost:{app.port}/" in said
    assert "Traceback" not in said[before:]
    assert not KERNEL_ID.search(said)


@pytest.mark.req("APP-2")
def test_nothing_stays_when_the_command_is_killed(app: AppServer) -> None:
    ask(app, "/")
    app.expect_kernels(1)
    app.worker()
    processes = everything_of(app)
    app.process.kill()
    app.process.wait()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive


OPEN_JSON = {
    "VoilaConfiguration": {
        "file_allowlist": [".*"],
        "file_denylist": [],
        "allow_template_override": "YES",
        "allow_theme_override": "YES",
        "show_tracebacks": True,
        "strip_sources": False,
    }
}
OPEN_PY = "open({mark!r}, 'w').close()\nc.VoilaConfiguration.file_allowlist = ['.*']"
NOBODY = "0d1b1b1b-0000-4000-8000-000000000000"
# {above}: enough steps up to the root of the file system; {name}: a file that is there.
ADDRESSES = (
    "{name}",
    "files/{name}",
    "static/{name}",
    "voila/files/{name}",
    "voila/files/{above}{path}",
    "voila/static/{above}{path}",
    "voila/static//{path}",
    "voila/templates/lab/static/{above}{path}",
    "voila/templates/lab/static/",
    "voila/templates/x",
    "voila/templates/workbench/static/../index.html.j2",
    "voila/labextensions/{above}{path}",
    "voila/api/themes/{above}{path}",
    "voila/api/contents/{name}",
    "voila/api/contents/",
    "voila/tree/",
    "voila/tree/{name}",
    "voila/render/{name}",
    "/{path}",
)
LISTS = (
    "api", "api/contents", "api/kernels", "api/kernelspecs", "api/me", "api/sessions",
    "api/status", "api/terminals", "lab", "login", "logout", "metrics", "notebooks/app.ipynb",
    "terminals/1", "tree", "voila", f"api/kernels/{NOBODY}", f"api/kernels/{NOBODY}/channels",
    f"api/kernels/{NOBODY}/restart", f"voila/execution/{NOBODY}",
)  # fmt: skip


@pytest.mark.req("APP-2")
def test_nothing_but_the_page_is_served_whatever_configuration_lies_around(
    make: Any, tmp_path: Path
) -> None:
    # The workspace lies beside the notebook, and everybody has opened Voilà wide.
    project = tmp_path / "app0" / "here"
    served = notebook(project / "mine.ipynb", f"# {CANARY}", "import workbench", "'a page'")
    mark = tmp_path / "was-read"
    for folder in (project, tmp_path / "app0" / "home" / ".jupyter"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "voila.json").write_text(json.dumps(OPEN_JSON))
        (folder / "voila.py").write_text(OPEN_PY.format(mark=str(mark)))
    (project / "notes.txt").write_text(CANARY)
    (project / ".env").write_text(CANARY)
    app = make("--notebook", served, workspace=project / ".workbench")
    with app.open() as ws:
        batch = ws.generate(f"a fox, {CANARY}", n=1, width=64, height=64)
        batch.wait(60)
    (app.workspace / "config.toml").write_text(f"# {CANARY}")
    status, page = ask(app, "/")
    assert status == 200
    assert CANARY not in page, "the source of a cell"
    files = [one for one in project.rglob("*") if one.is_file()]
    assert len(files) > 8
    for file in [*files, Path("/etc/passwd")]:
        name = file.relative_to(project).as_posix() if file.is_relative_to(project) else file.name
        for above in ("../" * 12, "%2e%2e/" * 12, "..%2f" * 12):
            for address in ADDRESSES:
                path = "/" + address.format(above=above, path=file.as_posix()[1:], name=name)
                status, text = ask(app, path)
                assert status in (403, 404), (path, status)
                assert CANARY not in text, path
                assert "root:x:" not in text, path
    for address in LISTS:
        status, text = ask(app, f"/{address}")
        # A page's websocket tells who asks in the wrong form so before it looks for the kernel.
        assert status == (400 if address.endswith("/channels") else 404), (address, status)
    # Nobody can choose another look by the address: that would also be a way around the pool.
    for query in ("theme=dark", "template=reveal", "voila-theme=dark", "x=%00"):
        status, other = ask(app, f"/?{query}")
        assert (status, KERNEL_ID.sub("", other)) == (200, KERNEL_ID.sub("", page)), query
    assert not mark.exists()
    said = app.said()
    assert "Traceback" not in said
    assert not KERNEL_ID.search(said)


OPENING = (
    "--VoilaConfiguration.file_allowlist=.*",
    "--VoilaConfiguration.allow_template_override=YES",
    "--show_tracebacks=True",
    "--debug",
    "--MappingKernelManager.cull_connected=True",
    "--template=reveal",
)
# What the command starts, with one argument after the other: to start it takes seconds.
SERVERS = """
import contextlib, io, json, sys
from workbench.jupyter.voila_server import ClosedVoila, main
told = {}
for argument in sys.argv[2:]:
    ClosedVoila.clear_instance()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = main([sys.argv[1], argument])
    told[argument] = [status, said.getvalue()]
print(json.dumps(told))
"""


def ended(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
    )


def test_an_argument_that_would_open_it_ends_it_with_a_sentence(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("jupyter-workbench")
    options = ("--no-browser", "--workspace", tmp_path / "pictures", "--")
    done = ended(tmp_path, command, "app", *options, OPENING[0])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    sentence, last = done.stderr.splitlines()[:2]
    assert sentence.endswith("cannot be changed in this server.")
    assert last == "The server ended (status 2)."
    served = notebook(tmp_path / "mine.ipynb", "'a page'")
    told = json.loads(ended(tmp_path, sys.executable, "-c", SERVERS, served, *OPENING).stdout)
    assert list(told) == list(OPENING)
    for status, said in told.values():
        assert status == 2
        assert said.endswith("cannot be changed in this server.\n")
        assert len(said.splitlines()) == 1


def test_too_many_visitors_are_told_to_come_back_and_a_kernel_whose_page_never_came_ends(
    make: Any,
) -> None:
    few = ("--PageKernels.most_visitors=1", "--MappingKernelManager.cull_interval=1")
    app = make("--theme", "dark", "--", *few)
    status, page = ask(app, "/")
    assert status == 200
    # As the test of its colours makes it of a light one.
    assert '<body class="jp-Notebook theme-dark"' in page
    assert 'data-jp-theme-light="false" data-jp-theme-name="JupyterLab Dark"' in page
    assert "static/theme-dark.css" in page
    assert "theme-light.css" not in page
    status, text = ask(app, "/")
    assert status == 503
    assert "Too many visitors are here just now" in text
    assert "#111" in text
    app.expect_kernels(1)
    app.stop()
    # In another one, so that this kernel cannot end before somebody else has come.
    app = make("--", *few, "--PageKernels.never_seen_s=6")
    kernel_of(ask(app, "/")[1])
    app.expect_kernels(0, within_s=90)


@pytest.mark.req("APP-2")
def test_a_page_that_fails_says_so_in_words_and_shows_nothing_of_why(
    make: Any, tmp_path: Path
) -> None:
    fatal = {f"raise RuntimeError('{CANARY}')": CANARY, "import os; os._exit(3)": "DeadKernelError"}
    served = notebook(tmp_path / "mine.ipynb")
    app = make("--notebook", served)
    for cell, why in fatal.items():
        notebook(served, "'before'", cell, "'never'")
        assert why not in app.said()
        status, page = ask(app, "/")
        assert status == 200
        assert "This page cannot be shown just now." in page
        assert CANARY not in page
        assert "show_tracebacks" not in page
        assert why in app.said(), "whoever runs it must see why"


SHOW = (
    "import os\n"
    "names = [name for name, value in os.environ.items() if {canary!r} in value]\n"
    "print('seen:', sorted(names), os.environ['WORKBENCH_RUN_JOBS'])"
)


def test_a_page_kernel_has_no_key_and_what_the_proxy_says(make: Any, tmp_path: Path) -> None:
    served = notebook(tmp_path / "mine.ipynb", SHOW.format(canary=CANARY))
    secrets = {
        "SOME_API_KEY": f"{CANARY}-key-of-the-operator",
        "WORKBENCH_PROXY_SECRET": f"{CANARY}-secret-of-the-proxy",
    }
    app = make("--notebook", served, "--identity", "header", environment=secrets)
    headers = {
        "X-Forwarded-User": f"{CANARY}-alice",
        "X-Workbench-Secret": f"{CANARY}-secret-of-the-proxy",
        "X-Other": CANARY,
    }
    _, page = ask(app, "/", headers=headers)
    found = re.search(r"seen: (.*)", page)
    assert found
    assert html.unescape(found[1]) == (
        "['HTTP_X_FORWARDED_USER', 'HTTP_X_WORKBENCH_SECRET', 'WORKBENCH_PROXY_SECRET'] 0"
    )
