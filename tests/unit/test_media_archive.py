"""ZIP archives: names that are safe to unpack anywhere, written whole or not at all (B20–B28)."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DiskFull
from workbench.media.archive import safe_name, write_zip

HOSTILE = [
    "",
    ".",
    "..",
    "...",
    "../../x.png",
    "../..",
    "/abs",
    "a/b",
    "a/../../b",
    "C:\\x",
    "C:x",
    "\\\\h\\s",
    "a\0b",
    "CON",
    "con.png",
    "NUL.tar.gz",
    "COM1",
    "LPT¹.txt",
    "aux.",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fx",
    "x" * 5000,
    "🦊" * 100_000,
    "é" * 300,
    "-rf",
    "~root",
    "$HOME",
    "`id`",
    "trailing. . .",
    " \t\n ",
    "a\nb\tc",
    "txt\u202egnp.exe",
    "\u200b\u200d",
    "\ud800",
    "ファイル",
    "name.png",
    ".png",
    "<img src=x onerror=alert(1)>",
    "a:b|c?d*e\"f'g",
    "fullwidth／slash．．",
    "z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞" * 20,
]
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


def assert_safe(name: str) -> None:
    assert 1 <= len(name) <= 81
    assert len(name.encode()) <= 200
    assert not set(name) & set('<>:"/\\|?*%~$`\0')
    assert name == name.strip(". ")
    assert not name.startswith("-")
    assert name not in (".", "..")
    assert name.split(".", 1)[0].rstrip().casefold() not in RESERVED
    assert all(unicodedata.category(c)[0] != "C" for c in name)
    assert unicodedata.normalize("NFC", name) == name


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_becomes_a_harmless_name(text: str) -> None:
    assert_safe(safe_name(text))
    assert_safe(safe_name(text, "0"))


@given(st.text(max_size=300))
def test_whatever_people_type_becomes_a_harmless_name(text: str) -> None:
    name = safe_name(text)
    assert_safe(name)
    assert safe_name(name) == name


@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "/", "\\", " ", "CON", "-", "a", "é", "e\u0301", "%", ".png", "~"]
        ),
        max_size=12,
    )
)
def test_combinations_of_evil_pieces_become_harmless_names(pieces: list[str]) -> None:
    assert_safe(safe_name("".join(pieces)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a red fox", "a red fox"),
        ("Ünïcode — 狐.png", "Ünïcode — 狐.png"),
        ("x" * 500 + ".webp", "x" * 74 + ".webp"),
        ("../../etc/passwd", "etc passwd"),
        ("", "untitled"),
        ("...", "untitled"),
        ("CON", "_CON"),
        ("line\nbreak", "line break"),
    ],
)
def test_ordinary_names_stay_and_others_stay_readable(text: str, name: str) -> None:
    assert safe_name(text) == name


# --- Archives ------------------------------------------------------------------------------------


def opened(target: Path | io.BytesIO) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(target)
    assert archive.testzip() is None
    return archive


@pytest.mark.req("FEED-7a")
def test_images_are_stored_and_the_manifest_tells_their_names(tmp_path: Path) -> None:
    image = tmp_path / "asset"
    image.write_bytes(b"pixels" * 1000)
    target = tmp_path / "batch.zip"
    names = write_zip(target, [("0.png", image), ("1.png", b"more")], {"prompt": "a fox 🦊"})
    assert names == ["0.png", "1.png"]
    archive = opened(target)
    assert archive.namelist() == ["0.png", "1.png", "manifest.json"]
    assert archive.read("0.png") == image.read_bytes()
    assert archive.getinfo("0.png").compress_type == zipfile.ZIP_STORED
    assert archive.getinfo("manifest.json").compress_type == zipfile.ZIP_DEFLATED
    assert json.loads(archive.read("manifest.json")) == {"prompt": "a fox 🦊", "files": names}


def test_a_batch_without_a_finished_image_is_an_archive_too() -> None:
    target = io.BytesIO()
    assert write_zip(target, [], {}) == []
    assert opened(target).namelist() == ["manifest.json"]


@pytest.mark.req("FEED-7a")
def test_hostile_names_unpack_inside_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    names = write_zip(target, [(text, bytes([n])) for n, text in enumerate(HOSTILE)], {})
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    for name in names:
        for part in name.split("/"):
            assert_safe(part)
    archive = opened(target)
    place = tmp_path / "deep" / "deeper"
    place.mkdir(parents=True)
    archive.extractall(place)
    unpacked = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(unpacked) == len(HOSTILE) + 2
    for number, name in enumerate(names):
        assert (place / name).read_bytes() == bytes([number])


def test_names_that_some_systems_confuse_are_numbered() -> None:
    wished = [
        "a.png",
        "A.PNG",
        "a.png",
        "e\u0301.png",
        "\u00e9.png",
        "manifest.json",
        "a.png/inside",
        "folder/x",
        "FOLDER",
    ]
    names = write_zip(io.BytesIO(), [(name, b"") for name in wished], {})
    assert names[:3] == ["a.png", "A (2).PNG", "a (3).png"]
    assert names[4] == "é (2).png"
    assert names[5] == "manifest (2).json"
    assert names[8] == "FOLDER (2)"
    folders = {name.rsplit("/", 1)[0].casefold() for name in names if "/" in name}
    assert not folders & {name.casefold() for name in names}


def test_members_are_ordinary_files() -> None:
    target = io.BytesIO()
    write_zip(target, [("a.png", b"x")], {})
    for info in opened(target).infolist():
        assert stat.S_ISREG(info.external_attr >> 16)
        assert stat.S_IMODE(info.external_attr >> 16) == 0o644


def test_an_existing_archive_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    write_zip(target, [("a", b"old")], {})
    before = target.read_bytes()

    def failing() -> Iterator[tuple[str, bytes]]:
        yield "a", b"new"
        raise RuntimeError("the engine stopped")

    with pytest.raises(RuntimeError):
        write_zip(target, failing(), {})
    with pytest.raises(FileNotFoundError):
        write_zip(target, [("a", tmp_path / "missing")], {})
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
    write_zip(target, [("a", b"new")], {})
    assert opened(target).read("a") == b"new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_no_half_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(number, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFull):
            write_zip(tmp_path / "x.zip", [("a", b"x")], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform == "win32", reason="Not on Windows: the test makes symbolic links."
)
def test_links_are_neither_followed_nor_written_through(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(secret)
    with pytest.raises(OSError, match=r".+"):
        write_zip(tmp_path / "x.zip", [("a", link)], {})
    target = tmp_path / "y.zip"
    target.symlink_to(secret)
    write_zip(target, [("a", b"x")], {})
    assert secret.read_bytes() == b"secret"
    assert not target.is_symlink()


def test_a_stream_that_cannot_seek_is_a_target_too() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.out = io.BytesIO()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return self.out.write(data)

    pipe = Pipe()
    write_zip(pipe, [("a.png", b"x" * 1000)], {"n": 1})  # type: ignore[arg-type]
    assert opened(pipe.out).read("a.png") == b"x" * 1000
