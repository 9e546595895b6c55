"""Repeatable random streams and noise for the painter.

Every stream is derived from named keys, so that a change in one part of a picture does not
disturb the others.  Only the raw bits of PCG64 are used: NumPy keeps those stable, while the
algorithms of its distributions may change between versions.  Array arithmetic in this package
is limited to operations that IEEE 754 defines exactly (``+ - * / sqrt floor``), which keeps
the pixels the same on other machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
_T = TypeVar("_T")


def hash_number(*keys: object) -> int:
    """Return a stable 64-bit number for ``keys`` (anything with a plain ``repr``).

    Example::

        >>> hash_number("sky", 3) == hash_number("sky", 3)
        True
    """
    digest = hashlib.blake2b(repr(keys).encode("utf-8", "backslashreplace"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


class Stream:
    """A random stream that depends on its keys only.

    Example::

        >>> Stream(1, "sky").number() == Stream(1, "sky").number()
        True
    """

    def __init__(self, *keys: object) -> None:
        self._keys = keys
        self._bits = np.random.PCG64(hash_number(*keys))

    def child(self, *keys: object) -> Stream:
        """Return an independent stream named below this one."""
        return Stream(*self._keys, *keys)

    def number(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return one number, ``low`` included, ``high`` not."""
        raw = int(self._bits.random_raw()) >> 11
        return low + (high - low) * (raw * 2.0**-53)

    def numbers(self, count: int, low: float = 0.0, high: float = 1.0) -> Array:
        """Return ``count`` numbers as a float64 array."""
        raw = np.asarray(self._bits.random_raw(count), dtype=np.uint64) >> np.uint64(11)
        return low + (high - low) * (raw.astype(np.float64) * 2.0**-53)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + int(self.number() * (high - low + 1))

    def pick(self, choices: Sequence[_T]) -> _T:
        """Return one of ``choices``."""
        return choices[self.whole(0, len(choices) - 1)]

    def chance(self, probability: float) -> bool:
        """Return true with the given probability."""
        return self.number() < probability

    def order(self, count: int) -> Array:
        """Return a permutation of ``range(count)``."""
        return np.argsort(np.asarray(self._bits.random_raw(count)), kind="stable")

    def bytes(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return an array of random bytes."""
        need = (height * width + 7) // 8
        raw = np.asarray(self._bits.random_raw(need), dtype="<u8")
        return raw.view(np.uint8)[: height * width].reshape(height, width).copy()


def noise(stream: Stream, height: int, width: int, cell_y: float, cell_x: float) -> Array:
    """Return smooth value noise, 0..1 as float32, with cells of the given size in pixels."""
    rows = max(2, int(height / max(cell_y, 1.0)) + 2)
    cols = max(2, int(width / max(cell_x, 1.0)) + 2)
    lattice = Image.fromarray(stream.bytes(rows, cols))
    smooth = lattice.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32) * np.float32(1 / 255)


def cloudy(stream: Stream, height: int, width: int, cell: float, stretch: float = 1.0) -> Array:
    """Return noise of four octaves, 0..1 as float32; ``stretch`` widens it sideways."""
    total = np.zeros((height, width), dtype=np.float32)
    weight = 0.5
    for octave in range(4):
        size = cell / 2**octave
        part = noise(stream.child(octave), height, width, size, size * stretch)
        total += np.float32(weight) * part
        weight /= 2
    return total * np.float32(1 / 0.9375)


def ridge(stream: Stream, width: int, cell: float, octaves: int = 5, sharp: float = 0.0) -> Array:
    """Return a ridge line of ``width`` heights, 0..1; ``sharp`` 0 is hills, 1 is peaks."""
    x = np.arange(width, dtype=np.float64)
    total = np.zeros(width)
    weight, reach = 1.0, 0.0
    for octave in range(octaves):
        size = max(cell / 2.1**octave, 2.0)
        knots = stream.child(octave).numbers(int(width / size) + 4)
        position = x / size + (knots[-1] if octave else 0.0)
        whole = np.floor(position).astype(np.int64)
        part = position - whole
        smooth = part * part * (3 - 2 * part)
        curve = smooth * (1 - sharp) + part * sharp
        level = knots[whole] * (1 - curve) + knots[whole + 1] * curve
        total += weight * level
        reach += weight
        weight *= 0.42 + 0.08 * sharp
    return total / reach
