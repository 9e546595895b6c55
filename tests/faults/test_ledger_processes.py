"""Money and requests under many processes at once, on one real file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.store_world import ADA, changes_since, start_of_feed
from workbench.store.sqlite import ledger
from workbench.store.sqlite.store import SqliteStore

PROCESSES = 8
TRIES = 150
GRANTED = 400  # of 1,200 tries

# Every try is a whole request: batch, generation, job, reservation. One in ten is sent again under
# the key of the one before it, which must not cost again.
SPENDER = """
import sys
from pathlib import Path
from workbench.domain.records import Identity, Price
from workbench.domain.submissions import NewBatch
from workbench.errors import InsufficientBalance
from workbench.store.sqlite.store import SqliteStore

folder, name, tries = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = SqliteStore(folder)
me = Identity("ada")
topic = sys.argv[4]
print("ready", flush=True)
sys.stdin.readline()
got = refused = 0
for i in range(tries):
    new = NewBatch(
        identity=me, topic_id=topic, prompt=f"{name} {i}", negative_prompt=None,
        provider="painter", model="painter:oil", n=1, seed=None, seeds=(i,), width=64, height=64,
        params={}, price=Price(unit="token", amount_micro=1_000_000, version=1),
        client_key=f"{name}-{i // 2 * 2}" if i % 10 == 1 else f"{name}-{i}",
    )
    try:
        batch = store.submit_batch(new).result()
        got += batch.prompt == new.prompt
    except InsufficientBalance:
        refused += 1
store.close()
print(got, refused, flush=True)
"""


@pytest.mark.timeout(400)
@pytest.mark.req("TOK-2", "TOK-1")
def test_eight_processes_cannot_overspend_one_balance(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    store = SqliteStore(folder)
    start = start_of_feed(store)
    store.grant(ADA, "ada", "token", GRANTED * 1_000_000, "start").result()
    topic = store.create_topic(ADA, "all").result()
    script = tmp_path / "spender.py"
    script.write_text(SPENDER, encoding="utf-8")
    spenders = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder), f"p{i}", str(TRIES), topic.id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for i in range(PROCESSES)
    ]
    for spender in spenders:
        assert spender.stdout is not None
        assert spender.stdout.readline() == "ready\n"
    for spender in spenders:  # all of them before the first one is waited for
        assert spender.stdin is not None
        spender.stdin.write("go\n")
        spender.stdin.flush()
    ended = [spender.communicate(timeout=300) for spender in spenders]
    for spender, (_, errors) in zip(spenders, ended, strict=True):
        assert spender.returncode == 0, errors  # no lock error, no other error
    got = sum(int(output.split()[0]) for output, _ in ended)
    assert got == GRANTED
    assert store.balances("ada") == {"token": 0}
    entries = list(store.ledger(ADA))
    assert [e.kind for e in entries].count("reserve") == GRANTED
    assert sum(e.amount_micro for e in entries) == 0
    with store.database.reading() as reader:
        assert ledger.verify_chain(reader) == []
        assert reader.scalar("SELECT count(*) FROM generation") == GRANTED
    seqs = [c.seq for c in changes_since(store, ADA, start)]
    assert seqs == sorted(set(seqs))
    assert store.check(live_runners=lambda _runner: True) == []
    store.close()
