"""Workspaces with many rows, filled fast with SQL: what a long life of a workspace leaves.

Four pictures per request, all completed; every tenth word of a prompt is rare. The change feed has
a row for each request and picture of the newest 100,000 (older ones count as pruned).
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

from workbench.domain.ids import new_id
from workbench.domain.records import AssetRecord, Identity
from workbench.domain.submissions import NewBatch
from workbench.store.sqlite.store import SqliteStore

ME = Identity("bench")
LANE = "painter"
PER_BATCH = 4
_CHANGES = 100_000
_CHUNK = 2_500  # requests per transaction
_TOPICS = 20
_DAY_MS = 86_400_000
_NOW_MS = 1_800_000_000_000


def _words(text: str) -> list[str]:
    return text.split()


_THINGS = _words(
    "harbour lighthouse orchard glacier tram violin heron bakery comet quarry "
    "caravan lantern mill reef observatory stairwell kite fjord market greenhouse"
)
_MANNERS = _words(
    "gouache etching linocut pastel fresco collage charcoal isometric risograph tempera "
    "backlit overcast misty panoramic closeup nocturnal faded crisp ornate sparse"
)
_RARE = [a + b for a in _words("vel tor mak sun pri ola") for b in _words("ando ixe ura ennis oth")]
COMMON_WORD = "harbour"  # in about every seventh prompt
PAIR = "lighthouse gouache"  # in about every fiftieth
RARE_WORD = "velando"  # in about every three-hundredth
RAREST = "seldomseen"  # in eight requests, spread over the whole age


def folder_with(rows: int, scratch: Path, name: str) -> Path:
    """A new workspace folder with `rows` generations, copied from one that is made once."""
    template = scratch / f"template-{rows}"
    if not template.exists():
        half = scratch / f"template-{rows}-unfinished"
        shutil.rmtree(half, ignore_errors=True)
        fill(half, rows)
        half.rename(template)
    folder = scratch / f"{name}-{rows}-{new_id()[-6:]}"
    shutil.copytree(template, folder)
    return folder


def fill(folder: Path, rows: int, *, topics: int = _TOPICS) -> None:
    """Make a workspace with `rows` generations (a multiple of 4)."""
    if rows % PER_BATCH:
        raise ValueError(f"rows must be a multiple of {PER_BATCH}, not {rows}")
    store = SqliteStore(folder)
    try:
        draw = random.Random(7)
        ids = [store.create_topic(ME, f"Topic {i}").result().id for i in range(topics)]
        batches = rows // PER_BATCH
        for start in range(0, batches, _CHUNK):
            chunk = range(start, min(start + _CHUNK, batches))
            tables = _tables(chunk, batches, ids, draw)

            def work(tx: Any, tables: dict[str, list[tuple[Any, ...]]] = tables) -> None:
                for table, found in tables.items():
                    if found:
                        tx.executemany(_INSERT[table], found)

            store.submit_write(work).result()
        with store.database.reading() as reader:
            counted = reader.scalar("SELECT count(*) FROM generation")
        if counted != rows:
            raise RuntimeError(f"{counted} rows were written instead of {rows}")
    finally:
        store.close()


_COLUMNS = {
    "batch": "id topic_id operation source prompt provider model width height n seed params "
    "provenance owner created_at",
    "job": "id batch_id provider model lane owner state attempt runner_id created_at claimed_at "
    "ended_at",
    "asset": "id mime width height size_bytes source created_at",
    "generation": "id batch_id topic_id job_id idx operation source status progress step "
    "total_steps attempt provider model width height seed asset_id owner created_at started_at "
    "finished_at rev",
    "change": "entity entity_id kind rev data topic_id owner at",
}
_INSERT = {
    table: f"INSERT INTO {table} ({', '.join(names.split())}) "
    f"VALUES ({', '.join('?' * len(names.split()))})"
    for table, names in _COLUMNS.items()
}


def _tables(
    chunk: range, batches: int, topics: list[str], draw: random.Random
) -> dict[str, list[tuple[Any, ...]]]:
    made: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}

    def add(table: str, *values: object) -> None:
        made[table].append(values)

    model = f"{LANE}:oil"
    params = json.dumps({"steps": 20, "style": "painterly"})
    every = max(1, batches // 8)
    for number in chunk:
        at = _NOW_MS - 300 * _DAY_MS + number * 1000
        batch, topic = new_id(), topics[number * len(topics) // batches]
        text = prompt(draw)
        if number % every == every // 2:
            text += f", {RAREST}"
        about = (LANE, model, 512, 512)
        owner = (ME.user, at)
        add("batch", batch, topic, *_MADE, text, *about, PER_BATCH, number, params, "{}", *owner)
        changed = (batches - number) * PER_BATCH <= _CHANGES
        if changed:
            data = json.dumps({"topic_id": topic, "prompt": text, "n": PER_BATCH})
            add("change", "batch", batch, "insert", 1, data, topic, *owner)
        for index in range(PER_BATCH):
            job, generation = new_id(), new_id()
            asset = hashlib.sha256(f"{number} {index}".encode()).hexdigest()
            ran = (at, at + 5, at + 900)
            add("job", job, batch, LANE, model, LANE, ME.user, "ended", 1, None, *ran)
            add("asset", asset, "image/png", 512, 512, 300_000, "generation", at + 900)
            place = (generation, batch, topic, job, index, *_MADE)
            state = ("completed", 1.0, 20, 20, 1)
            seed = number + index
            add("generation", *place, *state, *about, seed, asset, ME.user, *ran, 1)
            if changed:
                data = _shown(batch, index, seed, asset, at)
                add("change", "generation", generation, "insert", 1, data, topic, *owner)
    return made


_MADE = ("generate", "api")


def _shown(batch: str, index: int, seed: int, asset: str, at: int) -> str:
    return json.dumps(
        {
            "batch_id": batch,
            "idx": index,
            "status": "completed",
            "progress": 1.0,
            "step": 20,
            "total_steps": 20,
            "attempt": 1,
            "seed": seed,
            "asset_id": asset,
            "finished_at": at + 900,
        }
    )


def prompt(draw: random.Random) -> str:
    """A prompt of about a dozen words."""
    text = (
        f"a {draw.choice(_MANNERS)} {draw.choice(_THINGS)} beside a {draw.choice(_THINGS)}, "
        f"{draw.choice(_MANNERS)}, {draw.choice(_THINGS)} in the {draw.choice(_MANNERS)} light"
    )
    if draw.random() < 0.1:
        text += f", {draw.choice(_RARE)} style"
    return text


def request(topic_id: str | None, *, n: int = 1) -> NewBatch:
    """A checked request for `n` free pictures, as the store takes it."""
    return NewBatch(
        identity=ME,
        topic_id=topic_id,
        prompt="a gouache lighthouse beside a harbour, misty, heron in the faded light",
        negative_prompt=None,
        provider=LANE,
        model=f"{LANE}:oil",
        n=n,
        seed=7,
        seeds=tuple(range(7, 7 + n)),
        width=512,
        height=512,
        params={"steps": 20, "style": "painterly"},
        lane=LANE,
        topic_title="Benchmark",
    )


def new_topic(store: SqliteStore) -> str:
    """The id of a new topic."""
    return store.create_topic(ME, "Benchmark").result().id


def asset_of(generation_id: str) -> AssetRecord:
    """The record of a picture that need not be there."""
    id = hashlib.sha256(generation_id.encode()).hexdigest()
    return AssetRecord(id, "image", "image/png", 512, 512, 300_000, 1, None, "generation", _NOW_MS)
