"""``python -m benchmarks.emulated PAUSE_S IMAGE [TOGETHER]``: an emulator in a process of its own.

It says its address, and ends when its standard input does.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.emulators.server import Fault, Reply, Seen

_PATIENCE_S = 60.0


class Crowd(OpenAIEmulator):
    """Answers nobody until so many have asked, so that all of them are open at the same time."""

    def __init__(self, key: str, together: int) -> None:
        super().__init__(key=key)
        self._together = together
        self._all_here = threading.Event()
        # All of them connect at once; by default five may wait for a thread that is busy.
        self._server.socket.listen(max(5, together))

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        if len(self.requests) >= self._together:
            self._all_here.set()
        if not self._all_here.wait(_PATIENCE_S):
            return self.error(500, f"only {len(self.requests)} of {self._together} asked")
        return super().answer(seen, fault)


def main() -> None:
    pause_s, image = float(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    together = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with Crowd("sk-benchmark-0123456789", together) as server:
        server.fault_of = lambda _seen: Fault(pause_s=pause_s, image=image)
        print(server.base_url, server.key, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
