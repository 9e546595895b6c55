"""The front end comes in parts: what a page is sent at first, and what it asks for by name."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import pytest

import workbench as wb
from tests.widgets.page_world import Page, wired
from workbench.widgets import bundle
from workbench.workspace.workspace import Workspace

FRONTEND = Path(bundle.__file__).parent.parent / "frontend"
#: PF-12, bytes
MINIFIED = 150_000
PACKED = 50_000


def files_of(packed: bytes) -> dict[str, str]:
    """Name -> code of the modules in a part."""
    return dict(json.loads(gzip.decompress(packed)))


def root() -> bytes:
    """The root part as it is packed in what the first widget carries."""
    found = re.search(r'"([A-Za-z0-9+/=]{1000,})"', bundle.esm())
    assert found is not None
    return base64.b64decode(found[1])


def minified(packed: bytes) -> int:
    return sum(len(code.encode()) for code in files_of(packed).values())


def test_the_root_part_is_at_most_150_kb_minified_and_50_kb_packed() -> None:
    assert 50_000 < minified(root()) <= MINIFIED
    assert len(root()) <= PACKED


def test_the_root_knows_the_name_that_parts_import_it_by() -> None:
    name, *_ = files_of(root())
    assert f'"{name}",import.meta.url' in files_of(root())[name]
    for part in bundle.PARTS:
        assert f'from"{name}"' in "".join(files_of(bundle.part(part, bundle.hash())).values())


def test_every_part_is_small_and_each_module_is_in_one_of_them() -> None:
    names: list[str] = list(files_of(root()))
    for part in bundle.PARTS:
        packed = bundle.part(part, bundle.hash())
        assert 10_000 < minified(packed) <= MINIFIED, part
        names += files_of(packed)
    assert len(names) == len(set(names))


def test_a_part_imports_the_root_and_what_is_there_before_it_only() -> None:
    builds_on = {"lightbox": "feed"}
    for part in bundle.PARTS:
        known = set(files_of(root()))
        if part in builds_on:
            known |= files_of(bundle.part(builds_on[part], bundle.hash())).keys()
        for name, code in files_of(bundle.part(part, bundle.hash())).items():
            assert set(re.findall(r'(?:from|import)\s*"(\./[^"]+)"', code)) <= known, name
            known.add(name)


def test_the_names_are_those_of_the_sources() -> None:
    sources = sorted(path.stem for path in (FRONTEND / "src" / "parts").iterdir())
    assert tuple(sources) == bundle.PARTS


def test_the_whole_has_everything_and_imports_nothing() -> None:
    """It is for pages that cannot import what they are sent."""
    assert not re.search(r'\bimport\s*[{*]|\b(from|import)\s*"\./', bundle.whole())
    for style in ("wbx-frame", "wbx-batch", "wbx-lightbox", "wbx-ask", "wbx-provider", "wbx-topic"):
        assert f".wbx .{style}" in bundle.whole()


def test_a_page_gets_a_part_by_its_name_before_it_says_hello(idle_ws: Workspace) -> None:
    with wired(idle_ws) as (_, wire):
        page = Page(wire)
        for part in bundle.PARTS:
            rid = page.send("bundle", {"hash": bundle.hash(), "part": part})
            assert page.answer(rid)["data"] == {"hash": bundle.hash(), "part": part}
            assert page.buffers(rid) == [bundle.part(part, bundle.hash())]


def test_without_a_name_it_gets_the_root(idle_ws: Workspace) -> None:
    with wired(idle_ws) as (_, wire):
        page = Page(wire)
        for more in ({}, {"part": None}):
            rid = page.send("bundle", {"hash": bundle.hash(), **more})
            assert page.answer(rid)["ok"]
            assert page.buffers(rid) == [bundle.esm().encode()]


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"part": "galleries"}, "part"),
        ({"part": "../loader.js"}, "part"),
        ({"part": ""}, "part"),
        ({"part": 3}, "part"),
        ({"part": "feed", "hash": "0" * 16}, "hash"),
    ],
)
def test_what_is_no_part_of_this_version_is_refused(
    idle_ws: Workspace, args: dict[str, object], field: str
) -> None:
    with wired(idle_ws) as (_, wire):
        error = Page(wire).error("bundle", **{"hash": bundle.hash(), **args})
    assert (error["code"], error["field"]) == ("invalid_request", field)


def test_a_front_end_that_was_not_built_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "static").mkdir()
    monkeypatch.setattr(bundle.resources, "files", lambda _package: tmp_path)
    for function in (bundle.esm, bundle.hash, bundle._packed):
        function.cache_clear()
    try:
        with pytest.raises(
            wb.ConfigurationError, match=r"workbench\.js cannot be read.*make frontend"
        ):
            bundle.hash()
        (tmp_path / "static" / "workbench.js").write_text("export default {};")
        with pytest.raises(wb.ConfigurationError, match="has no hash"):
            bundle.hash()
    finally:
        for function in (bundle.esm, bundle.hash, bundle._packed):
            function.cache_clear()
