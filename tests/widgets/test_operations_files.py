"""Downloads and uploads in pieces, what they leave behind, and references."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import workbench as wb
from tests.widgets.pages import MISSING, Page, Studio
from tests.workspace.odd_world import png
from tests.workspace.workspace_world import everything
from workbench.widgets import protocol
from workbench.widgets.operations import handles


def noise(side: int) -> bytes:
    """A PNG that cannot be made small."""
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(file, "PNG")
    return file.getvalue()


def images_of(page, prompt="a red fox", **args):
    answer = page.submit(prompt, **args)
    page.workspace.batch(answer["batch"]["id"]).wait(60)
    return answer["batch"]["id"], [row["id"] for row in answer["generations"]]


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- downloads --------------------------------------------------------------------------------


@pytest.mark.req("FEED-6", "RES-6")
def test_an_original_leaves_with_its_settings_inside_under_a_harmless_name(page):
    _, (id,) = images_of(page, "../../<b>Füchse</b> in snow\r\nat dawn", n=1, seed="7")
    opened, data = page.download("original", id)
    assert (opened["mime"], opened["size"]) == ("image/png", len(data))
    assert opened["name"].endswith("-1-s7.png")
    assert not set(opened["name"]) & set('/\\<>:"\r\n')
    image = Image.open(io.BytesIO(data))
    assert json.loads(image.info["workbench"])["seed"] == 7
    assert "parameters" in image.info
    stored = page.workspace.generation(id).asset
    assert page.download("image", id)[1] == stored.read() != data


@pytest.mark.req("FEED-7")
def test_a_batch_leaves_as_a_zip_of_what_is_finished(page):
    page.desk.config.fail = [1]
    batch, ids = images_of(page, "a red fox", n=3)
    opened, data = page.download("zip", batch)
    assert (opened["name"], opened["mime"]) == ("a-red-fox.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 3
    assert [entry["generation_id"] for entry in manifest["images"]] == [ids[0], ids[2]]
    assert [entry["index"] for entry in manifest["missing"]] == [1]


@pytest.mark.req("FEED-7")
def test_a_large_file_comes_in_pieces(page):
    uploaded = [noise(700), noise(701)]
    batch = page.workspace.import_images(uploaded)
    _, data = page.download("zip", batch.id)
    assert len(data) > 2 * protocol.FILE_CHUNK_BYTES
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    id = batch.generations[0].id
    assert page.download("image", id)[1] == uploaded[0]
    opened = page.ask("file.open", kind="image", id=id)
    handle = opened["handle"]
    piece = page.answer("file.read", handle=handle, offset=opened["size"])
    assert (piece.data["size"], piece.data["end"], piece.buffers) == (0, True, (b"",))
    for offset in (-1, opened["size"] + 1, 2**60):
        with pytest.raises(wb.InvalidRequest):
            page.ask("file.read", handle=handle, offset=offset)
    piece = page.answer("file.read", handle=handle, offset=5)
    assert piece.buffers[0] == uploaded[0][5 : 5 + protocol.FILE_CHUNK_BYTES]


@pytest.mark.req("TOP-5")
def test_a_handle_is_worth_nothing_in_another_page(page):
    batch, (id,) = images_of(page, n=1)
    other = Page(page.workspace, client="page-two")
    for kind, what in (("original", id), ("image", id), ("zip", batch)):
        handle = page.ask("file.open", kind=kind, id=what)["handle"]
        assert len(handle) >= 20
        with pytest.raises(wb.NotFound):
            other.ask("file.read", handle=handle, offset=0)
        assert other.ask("file.close", handle=handle) == {}
        page.ask("file.read", handle=handle, offset=0)
        page.ask("file.close", handle=handle)
        page.ask("file.close", handle=handle)
        with pytest.raises(wb.NotFound):
            page.ask("file.read", handle=handle, offset=0)
    assert len(page.files) == 0


@pytest.mark.req("TOP-5")
def test_files_of_others_and_of_the_trash_are_not_given(page, bob):
    batch, (id,) = images_of(page, n=1)
    theirs = Page(bob)
    for kind, what in (("original", id), ("image", id), ("zip", batch)):
        for reader, name in ((theirs, what), (page, MISSING)):
            with pytest.raises(wb.NotFound):
                reader.ask("file.open", kind=kind, id=name)
    for kind in ("../etc/passwd", "", "path", "zip\0"):
        with pytest.raises(wb.InvalidRequest):
            page.ask("file.open", kind=kind, id=id)
    page.ask("delete", entity="generation", id=id)
    for kind, what in (("original", id), ("image", id), ("zip", batch)):
        with pytest.raises(wb.NotFound):
            page.ask("file.open", kind=kind, id=what)


def test_what_has_no_picture_cannot_be_downloaded(idle):
    answer = idle.submit(n=1)
    id = answer["generations"][0]["id"]
    for kind in ("original", "image"):
        with pytest.raises(wb.NotFound):
            idle.ask("file.open", kind=kind, id=id)
    with pytest.raises(wb.NotAllowed, match="finished"):
        idle.ask("file.open", kind="zip", id=answer["batch"]["id"])
    assert len(idle.files) == 0


def test_a_lost_file_is_a_sentence(page):
    imported = page.workspace.import_images([png("red")])
    batch, id = imported.id, imported.generations[0].id
    page.workspace.generation(id).path.unlink()
    for kind, what in (("original", id), ("image", id), ("zip", batch)):
        with pytest.raises(wb.NotFound):
            page.ask("file.open", kind=kind, id=what)
    assert len(page.files) == 0


@pytest.mark.req("FEED-6")
def test_a_page_has_eight_files_open_and_forgotten_ones_make_room(page, monkeypatch):
    _, (id,) = images_of(page, n=1)
    opened = [page.ask("file.open", kind="image", id=id)["handle"] for _ in range(8)]
    with pytest.raises(wb.NotAllowed, match="8 files"):
        page.ask("file.open", kind="image", id=id)
    monkeypatch.setattr(handles, "IDLE_S", -1.0)
    page.ask("file.read", handle=opened[0], offset=0)
    page.ask("file.open", kind="image", id=id)
    page.ask("file.read", handle=opened[0], offset=0)
    with pytest.raises(wb.NotFound):
        page.ask("file.read", handle=opened[1], offset=0)
    assert len(page.files) == 8


def test_what_a_page_prepares_is_capped(page, monkeypatch):
    batch, (id,) = images_of(page, n=1)
    monkeypatch.setattr(handles, "MOST_BYTES", 10)
    for kind, what in (("original", id), ("image", id), ("zip", batch)):
        with pytest.raises(wb.NotAllowed, match="too large"):
            page.ask("file.open", kind=kind, id=what)
    with pytest.raises(wb.NotAllowed, match="too large"):
        page.ask("upload.begin", name="x", size=11)
    assert len(page.files) == 0


def test_nothing_is_left_of_a_page_that_closes(page):
    batch = page.workspace.import_images([noise(1000)])
    before = files_in(page.workspace.path)
    page.ask("file.open", kind="zip", id=batch.id)
    handle = page.ask("upload.begin", name="x", size=3_000_000)["handle"]
    for offset in range(0, 2_500_000, 500_000):
        page.ask("upload.chunk", b"x" * 500_000, handle=handle, offset=offset)
    assert files_in(page.workspace.path) == before, "temporary files have no names"
    page.files.close()
    page.files.close()
    assert len(page.files) == 0
    with pytest.raises(wb.NotFound):
        page.ask("upload.chunk", b"x", handle=handle, offset=0)
    with pytest.raises(wb.EngineClosed):
        page.ask("file.open", kind="zip", id=batch.id)


# -- uploads ----------------------------------------------------------------------------------


@pytest.mark.req("CFG-6")
def test_an_uploaded_image_becomes_a_reference_of_the_next_requests(idle):
    data = png("teal")
    before = everything(idle.workspace), files_in(idle.workspace.path)
    answer = idle.upload(data, piece=50)
    assert tuple(answer["asset"]) == protocol.ASSET_FIELDS
    assert answer["asset"]["size_bytes"] == len(data)
    assert (everything(idle.workspace), files_in(idle.workspace.path)) == before
    for key in ("a", "b"):
        id = idle.submit(key=key, n=1, references=[answer["reference"]])["generations"][0]["id"]
        (used,) = idle.workspace.generation(id).inputs
        assert used.asset_id == answer["asset"]["id"]
    assert idle.workspace._engine.media.read(used.asset_id) == data
    idle.ask("upload.abort", handle=answer["reference"])
    with pytest.raises(wb.InvalidRequest, match="not there any more"):
        idle.submit(key="c", references=[answer["reference"]])


@pytest.mark.req("CFG-6", "FEED-6")
def test_a_result_can_be_a_reference(page, bob):
    _, (id,) = images_of(page, n=1)
    again = page.submit(key="k2", n=1, references=[id])["generations"][0]["id"]
    (used,) = page.workspace.generation(again).inputs
    assert used.asset_id == page.workspace.generation(id).asset.id
    for reader, name in ((Page(bob), id), (page, MISSING)):
        with pytest.raises(wb.InvalidRequest) as caught:
            reader.submit(key="k3", references=[name])
        assert caught.value.field == "references[0]"
    page.ask("delete", entity="generation", id=id)
    with pytest.raises(wb.InvalidRequest):
        page.submit(key="k4", references=[id])


@pytest.mark.req("CFG-6", "TOP-5")
def test_a_reference_works_in_its_own_page_only(idle):
    reference = idle.upload(png("red"))["reference"]
    other = Page(idle.workspace, client="page-two")
    before = everything(idle.workspace)
    wrong = [reference, "/etc/passwd", "file:///etc/passwd", "a" * 64, ""]
    for page, names in ((other, wrong), (idle, wrong[1:])):
        for name in names:
            with pytest.raises(wb.InvalidRequest) as caught:
                page.submit(references=[name])
            assert caught.value.field == "references[0]"
    assert everything(idle.workspace) == before


@pytest.mark.req("CFG-6")
def test_a_refused_request_keeps_the_reference_and_leaves_no_file(idle):
    reference = idle.upload(png("red"))["reference"]
    before = files_in(idle.workspace.path / "files")
    with pytest.raises(wb.InvalidRequest, match="at most"):
        idle.submit(references=[reference, reference])
    idle.workspace.set_price("sketch", 5)
    with pytest.raises(wb.InsufficientBalance):
        idle.submit(references=[reference])
    assert files_in(idle.workspace.path / "files") == before
    idle.workspace.set_price("sketch", 0)
    assert idle.submit(references=[reference])["batch"]


@pytest.mark.req("CFG-6")
@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        png("red")[:-20],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
    ],
)
def test_the_image_door_refuses_at_the_end_and_nothing_stays(idle, data):
    before = everything(idle.workspace), files_in(idle.workspace.path)
    with pytest.raises(wb.InvalidRequest):
        idle.upload(data)
    assert len(idle.files) == 0
    assert (everything(idle.workspace), files_in(idle.workspace.path)) == before


@pytest.mark.req("CFG-6")
def test_pieces_come_in_order_and_a_repeated_one_changes_nothing(idle):
    handle = idle.ask("upload.begin", name="x", size=100)["handle"]
    send = lambda offset, data: idle.ask("upload.chunk", data, handle=handle, offset=offset)  # noqa: E731
    assert send(0, b"a" * 40) == {"received": 40}
    assert send(0, b"a" * 40) == {"received": 40}, "its answer was lost"
    wrong = [
        (41, b"b"),
        (39, b"bb"),
        (-1, b"b"),
        (2**60, b"b"),
        (40, b"b" * 61),
        (40, b""),
        (40, b"b" * (protocol.MAX_BUFFER_BYTES + 1)),
    ]
    for offset, data in wrong:
        with pytest.raises(wb.InvalidRequest):
            send(offset, data)
    with pytest.raises(wb.InvalidRequest, match="40 of 100"):
        idle.ask("upload.end", handle=handle)
    with pytest.raises(wb.NotFound):
        idle.ask("file.read", handle=handle, offset=0)
    assert idle.ask("upload.abort", handle=handle) == idle.ask("upload.abort", handle=handle) == {}
    with pytest.raises(wb.NotFound):
        send(40, b"b")


@pytest.mark.req("CFG-6")
def test_the_size_of_an_upload_is_limited_by_the_settings(workspace_home):
    folder = workspace_home / "ws"
    folder.mkdir()
    (folder / "config.toml").write_text("[media]\nmax_bytes = 2000\n")
    with wb.open(folder, user="ada", run_jobs=False) as ws:
        page = Page(ws)
        for size in (0, -1, 2001, 10**15):
            with pytest.raises(wb.InvalidRequest) as caught:
                page.ask("upload.begin", name="x", size=size)
            assert caught.value.field == "size"
        page.ask("upload.begin", name="x", size=2000)
        page.files.close()


@pytest.mark.req("CFG-6")
def test_references_have_a_number_and_a_model_that_takes_none_says_so(idle):
    references = [idle.upload(png("red"))["reference"] for _ in range(handles.MOST_REFERENCES)]
    assert len(set(references)) == len(references)
    with pytest.raises(wb.InvalidRequest, match="remove one"):
        idle.upload(png("red"))
    idle.workspace.add_provider(Studio())
    answer = idle.submit(
        model="studio:picture", params={}, references=references[:2], n=1, width=64, height=64
    )
    assert len(idle.workspace.generation(answer["generations"][0]["id"]).inputs) == 2


def test_a_page_that_closes_while_it_reads_gets_a_sentence(page):
    batch = page.workspace.import_images([noise(700)])
    handle = page.ask("file.open", kind="zip", id=batch.id)["handle"]
    failures = []

    def read():
        try:
            while True:
                page.ask("file.read", handle=handle, offset=0)
        except (wb.NotFound, wb.EngineClosed) as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    page.files.close()
    for thread in threads:
        thread.join(45)
    assert len(failures) == 4
