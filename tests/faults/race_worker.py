"""One process of a race: opens the workspace, waits for the start signal, plays its part.

Run as ``python -m tests.faults.race_worker <part> <folder> <name> [<ids file>]``; prints one JSON
list at the end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.contract.job_world import ANN, LANES, World, picture
from workbench.domain.jobs import Fence
from workbench.ports import Selection


def claim(world: World, name: str, _given: list[dict[str, object]]) -> list[object]:
    """Claim one job after the other until none is left."""
    mine: list[object] = []
    while jobs := world.store.claim(name, lanes=LANES, limit=1).result():
        mine += [[job.id, job.attempt] for job in jobs]
    return mine


def sweep(world: World, _name: str, given: list[dict[str, object]]) -> list[object]:
    """Put the jobs of each dead runner back; answers how many."""
    return [world.store.requeue_dead(str(one["runner"])).result() for one in given]


def cancel(world: World, _name: str, given: list[dict[str, object]]) -> list[object]:
    """Cancel each generation; answers which became cancelled."""
    done: list[object] = []
    for one in given:
        selection = Selection(generation_ids=(str(one["generation"]),))
        done += world.store.cancel(ANN, selection).result().cancelled
    return done


def complete(world: World, _name: str, given: list[dict[str, object]]) -> list[object]:
    """Complete each generation; answers which became completed."""
    done: list[object] = []
    for one in given:
        fence = Fence(str(one["job"]), str(one["runner"]), 1)
        if world.store.complete(fence, picture(str(one["generation"]))).result():
            done.append(one["generation"])
    return done


PARTS: dict[str, Callable[[World, str, list[dict[str, object]]], list[object]]] = {
    "claim": claim,
    "sweep": sweep,
    "cancel": cancel,
    "complete": complete,
}


def main() -> None:
    part, folder, name, *rest = sys.argv[1:]
    given = json.loads(Path(rest[0]).read_text(encoding="utf-8")) if rest else []
    world = World(Path(folder))
    print("ready", flush=True)
    sys.stdin.readline()
    result = PARTS[part](world, name, given)
    world.close()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
