"""``python -m benchmarks.streaming``: an emulator whose partial images have a size, and a time.

It says its address and key, answers "report" with a line of JSON (what was written when), and
ends when its standard input does.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.pictures import marked
from benchmarks.roles import say
from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.emulators.server import Fault, Reply, Seen

PARTIALS = 3  # of a call; the API's most
DISTINCT = 9  # pictures of a case; a mark comes again after three calls
# Longer than what a runner waits between two previews, so that none is passed over.
_PAUSE_S = (0.4, 0.6)
_TITLES = {"jpeg": "JPEG", "webp": "WebP", "png": "PNG"}


@dataclass(frozen=True)
class Case:
    """What the partial images of a phase are."""

    form: str  # as ipywidgets calls it
    side: int

    @property
    def name(self) -> str:
        return f"{self.form}-{self.side}"

    @property
    def label(self) -> str:
        return f"{_TITLES[self.form]} {self.side}²"


CASES = tuple(Case(form, side) for side in (512, 1024) for form in ("jpeg", "webp", "png"))
NO_PARTIALS = "none"  # the case whose calls only take as long


@dataclass(frozen=True)
class Asked:
    """What a call is for, as its prompt says it to the server."""

    kind: str  # ours | bare
    round: int
    case: str
    call: int

    def __str__(self) -> str:
        return f"{self.kind} {self.round} {self.case} {self.call}"

    @classmethod
    def of(cls, prompt: str) -> Asked:
        kind, round_, case, call = prompt.split()
        return cls(kind, int(round_), case, int(call))


class StreamingEmulator(OpenAIEmulator):
    """Sends each partial image after a pause of random length, and notes when."""

    def __init__(self, pictures: Mapping[str, Sequence[bytes]], key: str) -> None:
        super().__init__(key=key)
        self.written: list[dict[str, Any]] = []
        self._texts = {
            name: [base64.b64encode(one).decode() for one in some]
            for name, some in pictures.items()
        }
        self._draw = random.Random(7)

    def _made(
        self, seen: Seen, asked: Mapping[str, Any], references: int, fault: Fault, *, edit: bool
    ) -> Reply:
        reply = super()._made(seen, asked, references, fault, edit=edit)
        prompt = str(asked["prompt"])
        *sketches, end = reply.pieces
        numbered = [
            (Asked.of(prompt).call * PARTIALS + place) % DISTINCT for place in range(len(sketches))
        ]
        events = [
            self._with_picture(sketch, Asked.of(prompt).case, number)
            for sketch, number in zip(sketches, numbered, strict=True)
        ]
        return replace(reply, pieces=self._paced(prompt, events, numbered, end))

    def _with_picture(self, sketch: bytes, case: str, number: int) -> bytes:
        head, _, data = sketch.partition(b"data: ")
        event = json.loads(data) | {"b64_json": self._texts[case][number]}
        return b"%sdata: %s\n\n" % (head, json.dumps(event).encode())

    def _paced(
        self, prompt: str, events: Sequence[bytes], numbered: Sequence[int], end: bytes
    ) -> Iterator[bytes]:
        for place, (event, number) in enumerate(zip(events, numbered, strict=True)):
            self._pause()
            begun = time.time() * 1000
            yield event  # the handler writes it before it asks for more
            self.written.append(
                {
                    "prompt": prompt,
                    "place": place,
                    "mark": number,
                    "begun": begun,
                    "written": time.time() * 1000,
                }
            )
        # A call without partial images takes as long as one with them.
        for _ in range(PARTIALS + 1 - len(events)):
            self._pause()
        yield end

    def _pause(self) -> None:
        time.sleep(self._draw.uniform(*_PAUSE_S))


def main() -> None:
    pictures = {case.name: marked(DISTINCT, case.form, case.side) for case in CASES}
    with StreamingEmulator(pictures, "sk-benchmark-0123456789") as server:
        say(server.base_url, server.key)
        say("sizes", json.dumps({name: len(some[0]) for name, some in pictures.items()}))
        for line in sys.stdin:
            if line.strip() == "report":
                say("written", json.dumps(server.written))


if __name__ == "__main__":
    main()
