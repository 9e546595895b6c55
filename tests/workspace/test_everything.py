"""One ZIP of everything: one's finished pictures in folders by topic, with their settings."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.media import metadata
from workbench.workspace import everything
from workbench.workspace.workspace import Workspace

SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 2}

pytestmark = pytest.mark.req("FEED-7", "APP-7")


@pytest.fixture
def ws(workspace_home: Path) -> Any:
    with wb.open(workspace_home / "ws", user="ada") as workspace:
        yield workspace


def contents(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of an archive."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("manifest.json")), files


def test_all_pictures_lie_in_folders_by_topic(ws: Workspace, tmp_path: Path) -> None:
    foxes = ws.generate("a red fox", n=2, seed=7, topic=ws.create_topic("Foxes"), **SMALL)
    hares = ws.generate("a hare", seed=9, topic=ws.create_topic("Hares"), **SMALL).wait(60)
    foxes.wait(60)
    foxes.generations[0].rating = 5
    path = ws.to_zip(tmp_path / "all.zip")
    assert path == tmp_path / "all.zip"
    manifest, files = contents(path)
    names = {"Foxes/a-red-fox-1-s7.png", "Foxes/a-red-fox-2-s8.png", "Hares/a-hare-1-s9.png"}
    assert set(files) == set(manifest["files"]) == names
    assert [
        (t["title"], t["folder"]) for t in sorted(manifest["topics"], key=lambda t: t["title"])
    ] == [
        ("Foxes", "Foxes"),
        ("Hares", "Hares"),
    ]
    images = {image["file"]: image for image in manifest["images"]}
    assert set(images) == names
    hare = images["Hares/a-hare-1-s9.png"]
    assert (hare["prompt"], hare["seed"], hare["params"]["steps"]) == ("a hare", 9, 2)
    assert hare["topic_id"] == hares.topic.id
    assert images["Foxes/a-red-fox-1-s7.png"]["rating"] == 5
    assert manifest["missing"] == []
    for name, data in files.items():
        inside = metadata.read(data)
        assert inside is not None
        assert inside["seed"] == images[name]["seed"], "the settings lie in the file as well"
    assert "ada" not in json.dumps(manifest)


def test_topics_of_one_title_do_not_share_a_folder(ws: Workspace, tmp_path: Path) -> None:
    titles = [
        "Foxes",
        "foxes",
        "manifest.json",
        "../../etc",
        "",
        "CON",
        "x" * 300,
        "x" * 300,
        "🦊" * 90,
    ]
    for title in titles:
        ws.generate("a fox", seed=1, topic=ws.create_topic(title), **SMALL)
    ws.wait(60)
    manifest, files = contents(ws.to_zip(tmp_path / "all.zip"))
    assert len(files) == len(titles)
    folders = [name.split("/")[0] for name in files]
    assert len({folder.casefold() for folder in folders}) == len(titles)
    assert all(name.count("/") == 1 and not name.startswith((".", "/")) for name in files)
    assert all(len(folder.encode()) <= 200 for folder in folders)
    assert {image["file"] for image in manifest["images"]} == set(files)
    assert {topic["folder"] for topic in manifest["topics"]} == set(folders)


def test_pictures_of_one_name_are_all_there(ws: Workspace, tmp_path: Path) -> None:
    topic = ws.create_topic("Foxes")
    for steps in (2, 3, 4):
        ws.generate("a fox", seed=1, topic=topic, width=64, height=64, steps=steps)
    ws.wait(60)
    manifest, files = contents(ws.to_zip(tmp_path / "all.zip"))
    assert len(files) == 3
    assert sorted(image["params"]["steps"] for image in manifest["images"]) == [2, 3, 4]
    for image in manifest["images"]:
        inside = metadata.read(files[image["file"]])
        assert inside is not None
        assert inside["generation_id"] == image["generation_id"]


def test_only_what_is_finished_live_and_own_is_in_it(
    ws: Workspace, workspace_home: Path, tmp_path: Path
) -> None:
    topic = ws.create_topic("Foxes")
    kept = ws.generate("kept", topic=topic, **SMALL).wait(60)
    ws.generate("failed", topic=topic, fail=1.0, **SMALL).wait(60)
    deleted = ws.generate("deleted", topic=topic, **SMALL).wait(60)
    deleted.delete()
    gone = ws.generate("gone with its topic", **SMALL).wait(60)
    gone.topic.delete()
    with wb.open(workspace_home / "ws", user="bob", run_jobs=False) as bob:
        hers = bob.generate("hers", **SMALL).wait(60)
        bob.topic(hers.topic.id).visibility = "workspace"
        assert ws.topic(hers.topic.id).title == "hers"
        manifest, _ = contents(ws.to_zip(tmp_path / "all.zip"))
        assert [image["generation_id"] for image in manifest["images"]] == [kept.generations[0].id]
        theirs, _ = contents(bob.to_zip(tmp_path / "bob.zip"))
        assert [image["prompt"] for image in theirs["images"]] == ["hers"]


def test_nothing_finished_is_a_sentence(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(wb.NotAllowed, match="nothing to put in"):
        ws.to_zip(tmp_path / "all.zip")
    assert list(tmp_path.glob("*.zip")) == []


def test_too_much_is_a_sentence(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ws.generate("a fox", n=2, **SMALL).wait(60)
    _, size = ws._store.own_size(ws.identity)
    assert size == sum(
        ws._store.asset(str(one.record.asset_id)).size_bytes for one in batch.generations
    )
    monkeypatch.setattr(everything, "MOST_BYTES", size - 1)
    with pytest.raises(wb.NotAllowed, match="Download them batch by batch"):
        ws.to_zip(tmp_path / "all.zip")
    assert list(tmp_path.iterdir()) == [] or not (tmp_path / "all.zip").exists()
    monkeypatch.setattr(everything, "MOST_BYTES", size)
    ws.to_zip(tmp_path / "all.zip")


def test_pictures_that_come_meanwhile_do_not_pass_the_limit(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.generate("a fox", n=2, **SMALL).wait(60)
    _, size = ws._store.own_size(ws.identity)
    monkeypatch.setattr(everything, "MOST_BYTES", size - 1)
    monkeypatch.setattr(ws._store, "own_size", lambda _identity: (1, 1))
    (tmp_path / "all.zip").write_bytes(b"before")
    with pytest.raises(wb.NotAllowed):
        ws.to_zip(tmp_path / "all.zip")
    assert (tmp_path / "all.zip").read_bytes() == b"before"
    assert [path.name for path in tmp_path.glob(".wb~*")] == []


def test_a_picture_that_cannot_be_read_is_named_and_the_others_come(
    ws: Workspace, tmp_path: Path
) -> None:
    batch = ws.generate("a fox", n=3, **SMALL).wait(60)
    lost, broken, kept = (generation.record for generation in batch.generations)
    ws._engine.media.path(str(lost.asset_id)).unlink()
    path = ws._engine.media.path(str(broken.asset_id))
    path.chmod(0o600)
    path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    manifest, files = contents(ws.to_zip(tmp_path / "all.zip"))
    assert [image["generation_id"] for image in manifest["images"]] == [kept.id]
    assert {missing["generation_id"] for missing in manifest["missing"]} == {lost.id, broken.id}
    assert str(tmp_path) not in json.dumps(manifest)
    assert len(files) == 1


def test_the_path_may_be_a_folder_and_must_be_usable(ws: Workspace, tmp_path: Path) -> None:
    ws.generate("a fox", **SMALL).wait(60)
    path = ws.to_zip(tmp_path)
    assert path.parent == tmp_path
    assert path.name.startswith("pictures-")
    assert zipfile.is_zipfile(path)
    for bad in (tmp_path / "none" / "a.zip", tmp_path / "a.png", "a\0b.zip"):
        with pytest.raises(wb.InvalidRequest):
            ws.to_zip(bad)


def test_many_pages_of_pictures_come_in_their_order(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ws.generate("a fox", n=5, seed=1, **SMALL).wait(60)
    real = ws._store.own_pictures
    monkeypatch.setattr(
        ws._store, "own_pictures", lambda identity, *, after: real(identity, after=after, limit=2)
    )
    manifest, _ = contents(ws.to_zip(tmp_path / "all.zip"))
    assert [image["seed"] for image in manifest["images"]] == [1, 2, 3, 4, 5]
    assert [image["generation_id"] for image in manifest["images"]] == [
        g.id for g in batch.generations
    ]
