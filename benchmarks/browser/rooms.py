"""Workspaces with thousands of pictures in one topic, each with its own thumbnail on the disk.

Rows are real and all different; their pictures are 16 distinct ones, given to each row as a hard
link under a name of its own: neither the page nor the kernel can tell that from as many pictures.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pictures import photo_like
from benchmarks.workspaces import PER_BATCH, fill
from workbench.media import FileStore
from workbench.media.thumbnails import thumbnail

_DISTINCT = 16
_SIDE = 512
_GRAIN = 12
_WITH_ORIGINALS = 800  # the newest; enough for a lightbox


def room(scratch: Path, rows: int) -> Path:
    """A workspace with `rows` pictures in its one topic; made once for a run."""
    folder = scratch / f"room-{rows}"
    if not folder.exists():
        half = scratch / f"room-{rows}-unfinished"
        fill(half, rows, topics=1)
        _hang(half, rows)
        half.rename(folder)
    return folder


def served(scratch: Path, root: Path, count: int) -> Path:
    """Thumbnails as files below the server's root, for pages that use addresses."""
    folder = root / f"thumbs-{count}"
    if not folder.exists():
        folder.mkdir()
        sources = _sources(scratch)
        for number in range(count):
            os.link(sources[number % _DISTINCT][1], folder / f"{number:06d}.webp")
    return folder


def distinct(scratch: Path) -> Path:
    """The folder with the thumbnails that all the others are links to."""
    return _sources(scratch)[0][1].parent


def _hang(folder: Path, rows: int) -> None:
    sources = _sources(folder.parent)
    files = FileStore(folder)
    made: set[Path] = set()

    def link(source: Path, path: Path) -> None:
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        os.link(source, path)

    for place in range(rows):
        number, index = divmod(place, PER_BATCH)
        asset = hashlib.sha256(f"{number} {index}".encode()).hexdigest()
        original, small, middle = sources[place % _DISTINCT]
        link(small, files.variant_path(asset, 256))
        if rows - place <= _WITH_ORIGINALS:
            link(middle, files.variant_path(asset, 768))
            link(original, files.path(asset))


def _sources(scratch: Path) -> list[tuple[Path, Path, Path]]:
    """Original, thumbnail of 256 and of 768 pixels, 16 times."""
    folder = scratch / "pictures"
    paths = [
        (folder / f"{i}.png", folder / f"{i}-256.webp", folder / f"{i}-768.webp")
        for i in range(_DISTINCT)
    ]
    if not folder.exists():
        folder.mkdir()
        draw = np.random.default_rng(5)
        photo = np.asarray(Image.open(io.BytesIO(photo_like())).resize((_SIDE, _SIDE)))
        for i, (original, small, middle) in enumerate(paths):
            turned = np.rot90(np.roll(photo, i * 37, axis=1), i)
            # Grain that a thumbnail keeps: with it they are as heavy as those of photographs.
            grain = draw.normal(scale=_GRAIN, size=(_SIDE // 2, _SIDE // 2, 1))
            grained = turned + grain.repeat(2, axis=0).repeat(2, axis=1)
            file = io.BytesIO()
            Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8)).save(file, "PNG")
            original.write_bytes(file.getvalue())
            small.write_bytes(thumbnail(file.getvalue(), 256))
            middle.write_bytes(thumbnail(file.getvalue(), 768))
    return paths
