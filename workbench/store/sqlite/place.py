"""A user's place in the queue: how much stands before it, in the order of the claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.store.sqlite.queries import sql
from workbench.store.sqlite.rows import to_json

if TYPE_CHECKING:
    from workbench.store.sqlite.rows import Querying


def ahead(source: Querying, user: str) -> int | None:
    """Return how many images of others will be begun before the user's first waiting one.

    It is the order in which one claim would take the jobs of the user's lane, had it room for all
    of them: an owner's next job goes by how many of his jobs run or were taken before it, then by
    priority, then by age (see `claim.claim`). What ends meanwhile moves everybody up. A user with
    jobs in several lanes has his best place.

    Returns
    -------
        None: nothing of the user waits in the queue. (What is paused, or held until it is tried
        again, does not.)
    """
    mine = source.all(sql("jobs.heads_of"), {"owner": user})
    if not mine:
        return None
    running: dict[str, int] = {}
    for row in source.all(sql("jobs.running_counts")):
        running[row["owner"]] = running.get(row["owner"], 0) + row["jobs"]
    level = running.get(user, 0)
    return min(
        _before(source, user, head["lane"], (level, -head["priority"], head["seq"]), running)
        for head in mine
    )


def _before(
    source: Querying, user: str, lane: str, own: tuple[int, int, int], running: dict[str, int]
) -> int:
    """Return how many images are taken in a lane before the user's first job there."""
    jobs: list[int] = []
    for head in source.all(sql("jobs.lane_heads"), {"lane": lane}):
        owner = head["owner"]
        count = running.get(owner, 0)
        if owner == user or count > own[0]:
            continue
        following = [head]
        if count < own[0]:  # he is given more than one job until he has as many as the user
            parameters = {"lane": lane, "owner": owner, "limit": own[0] - count + 1}
            following = source.all(sql("jobs.next_heads"), parameters)
        jobs.extend(
            row["seq"]
            for place, row in enumerate(following)
            if (count + place, -row["priority"], row["seq"]) < own
        )
    return int(source.scalar(sql("jobs.open_images"), (to_json(jobs),))) if jobs else 0
