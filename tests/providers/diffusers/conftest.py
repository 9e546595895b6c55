"""Emulators of diffusers, and how soon its jobs are tried again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench.providers import local_diffusers
from workbench.providers.local_diffusers import Diffusers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test imports torch and what belongs to it, which may take over a minute.

    A fixture of the session that ran out of time has failed for all.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def installed(monkeypatch) -> None:
    """The state of a machine that has the libraries (they are not imported)."""
    monkeypatch.setattr(local_diffusers, "find_spec", lambda name: object())


@pytest.fixture(scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # as in `run`


@pytest.fixture(scope="session")
def tiny(one_thread, tmp_path_factory) -> Path:
    from workbench.testing.tiny_pipeline import make_tiny_pipeline

    return make_tiny_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture
async def made():
    """Makes providers, and closes them."""
    providers = []

    def make(device: str | None = "cpu", **models: Path) -> Diffusers:
        providers.append(Diffusers(models=models, device=device))
        return providers[-1]

    yield make
    for one in providers:
        await one.close()


@pytest.fixture
def provider(made, tiny) -> Diffusers:
    return made(tiny=tiny)
