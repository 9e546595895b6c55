"""``python -m benchmarks.emulated PAUSE_S IMAGE``: an emulator in a process of its own.

It says its address, and ends when its standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.testing.emulators.openai import OpenAIEmulator
from workbench.testing.emulators.server import Fault


def main() -> None:
    pause_s, image = float(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    with OpenAIEmulator(key="sk-benchmark-0123456789") as server:
        server.fault_of = lambda _seen: Fault(pause_s=pause_s, image=image)
        print(server.base_url, server.key, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
