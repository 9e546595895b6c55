"""The lock file pins everything by hash and records no address."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"

PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==[^ ;]+( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def test_every_line_is_a_pin_or_one_of_its_hashes() -> None:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    strangers = [line for line in lines if not PIN.match(line) and not HASH.match(line)]
    assert strangers == []
    for line, following in pairwise(lines):
        if PIN.match(line):
            assert HASH.match(following), f"{line} has no hash"


def test_no_large_engine_is_installed_for_everybody() -> None:
    text = LOCK.read_text(encoding="utf-8")
    names = {match["name"] for line in text.splitlines() if (match := PIN.match(line))}
    assert {"jupyterlab", "pillow", "hatchling", "pytest"} <= names
    assert not names & {"torch", "diffusers", "transformers", "accelerate"}
