"""A model for Cog's own server: coloured tiles, with steps. `pictures` is copied beside it."""

import os
import sys
import tempfile
import time
from pathlib import Path as Folder

from cog import BaseRunner, Path
from pictures import png

BARS = "##########"


class Runner(BaseRunner):
    def setup(self) -> None:
        if "PAINTER_WAITS_FOR" in os.environ:
            while not Folder(os.environ["PAINTER_WAITS_FOR"]).exists():
                time.sleep(0.02)

    def run(
        self,
        prompt: str,
        steps: int = 4,
        seed: int = 0,
        pause: float = 0.01,
        style: str = "plain",
        image: Path = None,
        references: list[Path] = (),
    ) -> list[Path]:
        with Folder(os.environ["PAINTER_BOOK"]).open("a+", encoding="utf-8") as book:
            book.write(f"{prompt}\n")
            book.seek(0)
            if "slow once" in prompt and book.read().count(f"{prompt}\n") > 1:
                pause = 0.0
        if "forbidden" in prompt:
            raise ValueError("NSFW content detected. Try running it again.")
        if "broken" in prompt:
            raise ValueError("The brush is broken")
        given = [Folder(one).read_bytes() for one in ([image] if image else []) + list(references)]
        for step in range(1, steps + 1):
            # Step by step: each waits until it is called, by a file of its number beside the book.
            called = Folder(os.environ["PAINTER_BOOK"]).with_name(f"step-{step}")
            while "step by step" in prompt and not called.exists():
                time.sleep(0.02)
            time.sleep(pause)
            bar = f"{100 * step // steps:3d}%|{BARS[: 10 * step // steps]:10}| {step}/{steps}"
            print(f"\r{bar} [00:00<00:00, 9.9it/s]", end="", file=sys.stderr, flush=True)
        if "nothing" in prompt:
            return []
        folder = Folder(tempfile.mkdtemp())
        (folder / "out.png").write_bytes(png(f"{prompt}|{seed}|{style}|{len(given)}|{given!r}"))
        return [Path(folder / "out.png")]
