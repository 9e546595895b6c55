"""Clients that are npm packages: a node does calls with them, against an emulator.

They are development dependencies of the front end, whose lock file pins them, so that they are
there wherever the widgets were built.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_BUILD = _HERE.parents[1] / "workbench" / "frontend" / "hatch_build.py"


class ClientError(Exception):
    """What a client threw.

    Attributes
    ----------
    name:
        Its class there.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@functools.cache
def _node() -> Path:
    """Return the node that builds the widgets, with the packages of the lock file."""
    spec = importlib.util.spec_from_file_location("frontend_build", _BUILD)
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    build.run_scripts([])
    found = build.find_node()
    assert found is not None
    program: Path = found.program
    return program


def called(
    script: str, server: Any, calls: Sequence[Mapping[str, Any]], *, folder: Path, key: str = ""
) -> list[dict[str, Any] | ClientError]:
    """Return what each call returned, or threw.

    Parameters
    ----------
    script:
        Path of the file that has the client, in this folder.
    server:
        A running emulator.
    calls:
        What the file takes, one after the other.
    folder:
        For files that it leaves.
    key:
        The key that it has; "": that of the emulator.
    """
    told = {"address": server.base_url, "key": key or server.key, "calls": calls}
    # A proxy would be asked for an address of this machine, too.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment |= {"TMPDIR": str(folder), "TEMP": str(folder)}
    done = subprocess.run(
        [str(_node()), str(_HERE / script)],
        input=json.dumps(told),
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return [
        ClientError(**one["error"]) if "error" in one else one["value"]
        for one in json.loads(done.stdout)
    ]


def text_of(picture: bytes) -> str:
    """Return a picture in base64."""
    return base64.b64encode(picture).decode()
