"""ZIP archives whose names are safe to unpack anywhere."""

from __future__ import annotations

import json
import os
import re
import time
import unicodedata
import uuid
import zipfile
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from workbench.media.files import disk_errors, read_nofollow, sync_folder

#: Name of the manifest within every archive.
MANIFEST = "manifest.json"

# NAME_MAX is 255 bytes nearly everywhere; unpackers add suffixes, and Windows counts the path.
_MAX_CHARACTERS = 80
_MAX_BYTES = 200
_MAX_FOLDER = 40  # characters of a folder's name, its number aside
_MAX_READ = 4_000
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])(?:\.|$)", re.IGNORECASE
)
# Separators and what Windows forbids; "%" because something on the way may decode it; "~" and
# "$" and "`" because names end up in shells.
_FORBIDDEN = frozenset('<>:"/\\|?*%~$`')
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def safe_name(text: str, fallback: str = "untitled") -> str:
    """Make a file name from any text: one path part, harmless on every system.

    Parameters
    ----------
    text:
        A title, prompt or file name of any length and content.
    fallback:
        The result when nothing is left; must be a safe name itself.

    Returns
    -------
    str
        1–80 characters, at most 200 bytes in UTF-8. No separators, control or direction
        characters, no leading or trailing dots and spaces, no leading hyphen, no reserved name.

    Examples
    --------
    >>> safe_name("../../etc/passwd")
    'etc passwd'
    >>> safe_name("CON.png")
    '_CON.png'
    """
    text = unicodedata.normalize("NFC", text[:_MAX_READ].encode("utf-8", "replace").decode())
    kept = "".join(_harmless(character) for character in text)
    name = " ".join(kept.split()).strip(". -")
    # "a/../b" has become "a .. b".
    name = re.sub(r"(?:^| )\.+(?= |$)", " ", name)
    name = " ".join(name.split()).strip(". -")
    suffix = _SUFFIX.search(name)
    ending = suffix[0] if suffix else ""
    stem = name[: len(name) - len(ending)][: _MAX_CHARACTERS - len(ending) - 1]
    while len((stem + ending).encode()) > _MAX_BYTES - 1:
        stem = stem[:-1]
    name = stem.strip(". -") + ending if stem.strip(". -") else ending.strip(". -")
    if _RESERVED.match(name):
        name = f"_{name}"
    # Cutting may have parted a letter from its accents; composed names compare equal later.
    return unicodedata.normalize("NFC", name) or fallback


class Folders:
    """Names for the folders of an archive: one for each key, and no two that could be confused.

    Examples
    --------
    >>> folders = Folders()
    >>> folders.name(1, "Foxes"), folders.name(2, "foxes"), folders.name(1, "Foxes")
    ('Foxes', 'foxes (2)', 'Foxes')
    """

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._taken = {_key(MANIFEST)}

    def name(self, key: Hashable, title: str) -> str:
        """Return the name of a folder; `title` is what it should be like when it is new."""
        if key not in self._names:
            # Short enough that no number is cut off again, in letters as well as in bytes.
            stem = safe_name(title)[:_MAX_FOLDER].strip(". -")
            name = _first_free("", stem, "", lambda key: key not in self._taken)
            self._taken.add(_key(name))
            self._names[key] = name
        return self._names[key]


Manifest = Mapping[str, Any] | Callable[[list[str]], Mapping[str, Any]]


def write_zip(
    target: str | os.PathLike[str] | IO[bytes],
    entries: Iterable[tuple[str, bytes | os.PathLike[str]]],
    manifest: Manifest,
) -> list[str]:
    """Write an archive of images and a manifest.

    Parameters
    ----------
    target:
        A path (written beside it and renamed when complete; an existing file is replaced), or an
        open binary file.
    entries:
        Pairs of wished-for name and content. Content is bytes or the path of a regular file.
        Names may have folders ("batch 1/0.png"); each part goes through `safe_name`, and names
        that a system without upper and lower case would confuse are numbered.
    manifest:
        Written as ``manifest.json``, with a list ``files`` of the names used. A function is asked
        for it when all names are known.

    Returns
    -------
    list of str
        The names used, in the order of the entries.

    Raises
    ------
    DiskFull
        The target is as it was before.
    OSError
        A source cannot be read, or the target not written; it is as it was before.

    Examples
    --------
    >>> import io
    >>> write_zip(io.BytesIO(), [("../a.png", b"1"), ("A.png", b"2")], {})
    ['a.png', 'A (2).png']
    """
    if not isinstance(target, (str, os.PathLike)):
        return _write(target, entries, manifest)
    path = Path(target)
    temporary = path.with_name(f".wb~{uuid.uuid4().hex}")
    with disk_errors("the archive"):
        descriptor = os.open(
            temporary,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
            0o666,  # the user's umask decides: this file is meant to be given away
        )
        try:
            with os.fdopen(descriptor, "w+b") as file:
                names = _write(file, entries, manifest)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)  # it has the name `path` now, if all went well
        sync_folder(path.parent)
    return names


def _write(
    file: IO[bytes],
    entries: Iterable[tuple[str, bytes | os.PathLike[str]]],
    manifest: Manifest,
) -> list[str]:
    taken = {_key(MANIFEST): False}
    names: list[str] = []
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for wished, content in entries:
            name = _unique(_safe_path(wished), taken)
            data = content if isinstance(content, bytes) else read_nofollow(Path(content))
            # Images are compressed already: deflating them costs time and saves nothing.
            archive.writestr(_member(name), data, zipfile.ZIP_STORED)
            names.append(name)
        said = manifest(names) if callable(manifest) else manifest
        text = json.dumps({**said, "files": names}, ensure_ascii=False, indent=2, default=str)
        archive.writestr(_member(MANIFEST), text.encode("utf-8", "replace"), zipfile.ZIP_DEFLATED)
    return names


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    # An ordinary file: unpackers that honour modes must not make links or programs of it.
    info.external_attr = 0o100644 << 16
    return info


def _safe_path(wished: str) -> str:
    parts = [safe_name(part, "") for part in wished.split("/")]
    return "/".join(part for part in parts if part) or "untitled"


def _unique(name: str, taken: dict[str, bool]) -> str:
    """Number names that differ only in case or in Unicode composition.

    `taken` maps what is in use to whether it is a folder: a folder may be used again, by files
    of other names, and a file must not have the name of a folder.
    """
    *folders, last = name.split("/")
    path = ""
    for folder in folders:
        path = _first_free(path, folder, "", lambda key: taken.get(key, True))
        taken[_key(path)] = True
        path += "/"
    suffix = _SUFFIX.search(last)
    ending = suffix[0] if suffix else ""
    path = _first_free(path, last[: len(last) - len(ending)], ending, lambda key: key not in taken)
    taken[_key(path)] = False
    return path


def _first_free(prefix: str, stem: str, ending: str, free: Callable[[str], bool]) -> str:
    candidate, number = f"{prefix}{stem}{ending}", 1
    while not free(_key(candidate)):
        number += 1
        candidate = f"{prefix}{stem} ({number}){ending}"
    return candidate


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _harmless(character: str) -> str:
    if character in _FORBIDDEN:
        return " "
    # Cc controls, Cf direction overrides and invisible joiners, Cs surrogates, Co private,
    # Cn unassigned, Zl/Zp line breaks.
    category = unicodedata.category(character)
    if category[0] == "C":
        return " " if category == "Cc" else ""
    return " " if category[0] == "Z" else character
