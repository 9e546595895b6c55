"""What every test shares: a clean environment, guards around the engine, marks."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = [
    "tests.plugins.requirement_marks",
    "tests.plugins.engine_guards",
    "tests.plugins.stuck_tests",
]

# Reproducible runs: the same examples each time, no example database, and no time limit per
# example (two busy cores); pytest-timeout limits the whole test.
hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, database=None, print_blob=True
)
hypothesis.settings.load_profile("house")

# A test that moves HOME must still find the browser that Playwright keeps below it.
os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(Path.home() / ".cache" / "ms-playwright"))

_OURS = re.compile(r"^WORKBENCH_")
_PROVIDERS = re.compile(
    r"^(FAL_KEY|HF_TOKEN|COG_URL|COMFYUI_URL|SDWEBUI_(URL|AUTH))$|^AZURE_OPENAI_"
    r"|_(API_KEY|API_TOKEN|BASE_URL)$"
)
# A shell that runs the tests in the background has it ignored, by them and by all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Each folder gets its mark. What is slow comes first, and what is short fills the gaps at the end.
# The tests of a module of the browser stay together, and those of the package share one install.
_MARK_OF_FOLDER = {"faults": pytest.mark.faults}
_SLOW_FOLDERS = ("package", "browser")
_FAULTS_S = 400  # they wait for processes, each up to 90 s
_NOT_REAL = (
    "Needs a server that is not ours: start one, and give --real (CONTRIBUTING, Real servers)."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("image-workbench").addoption(
        "--real",
        action="store_true",
        help="also run the tests that call real providers with real keys (they cost money)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_is_short)
    for item in items:
        folder = _room_of(item)
        if mark := _MARK_OF_FOLDER.get(folder):
            item.add_marker(mark)
        if folder in _SLOW_FOLDERS:
            group = folder if folder == "package" else item.path.stem
            item.add_marker(pytest.mark.xdist_group(group))
        if folder == "faults" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_FAULTS_S))
        if item.get_closest_marker("real") and not config.getoption("--real"):
            item.add_marker(pytest.mark.skip(reason=_NOT_REAL))


def _is_short(item: pytest.Item) -> int:
    room = _room_of(item)
    return (*_SLOW_FOLDERS, room).index(room)


def _room_of(item: pytest.Item) -> str:
    below = item.path.relative_to(Path(__file__).parent)
    return below.parts[0]


@pytest.fixture(autouse=True)
def no_keys_or_settings(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """No test sees the settings or the provider keys of whoever runs it."""
    real = request.node.get_closest_marker("real") is not None
    for name in list(os.environ):
        if _OURS.search(name) or (_PROVIDERS.search(name) and not real):
            monkeypatch.delenv(name)
    # Nor the keys and the models that they keep at home.
    monkeypatch.setenv("WORKBENCH_PROVIDERS", str(tmp_path_factory.getbasetemp() / "no-providers"))
    return


@pytest.fixture
def workspace_home(
    no_keys_or_settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty folder that is HOME and the current folder of this test.

    No WORKBENCH_* variable and no provider key is set, and the XDG folders follow HOME. A
    default workspace opened now comes to lie in `workspace_home / ".workbench"`.
    """
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith(("JUPYTERHUB_", "JUPYTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(home)
    return home
