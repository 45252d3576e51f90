"""SIGKILL at random moments: nothing that was committed is lost, nothing is doubled, what was leased is claimed again."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from assay.core.episode import Outcome
from assay.store import SqlStore, open_store
from assay.store.address import locate
from assay.store.connect import make_engine
from tests.store.made import finished, items, manifest, verdict

ROWS = 600
WORKERS = 3
KILLS = 12
LEASE_S = 0.5

_forks = multiprocessing.get_context("fork")


def work(url: str, name: str, acknowledged: int) -> None:
    """Claim and commit until nothing is owed; say of each row that it is settled once the store said so."""
    chance = random.Random(name)
    store = open_store(url)
    while store.run("run-1").done < ROWS:
        claims = store.claim("run-1", name, chance.randint(1, 12), LEASE_S)
        time.sleep(chance.random() * 0.02)
        packed = []
        for claim in claims:
            loses = claim.retry == 0 and claim.seq % 7 == 0
            packed.append(
                finished(
                    claim,
                    [verdict(claim.seq % 3 == 0)],
                    episode_id=f"{claim.seq}-{claim.retry}-{name}",
                    settled=not loses,
                    outcome=Outcome.infra_error if loses else Outcome.finished,
                )
            )
        if len(packed) > 6:
            store.renew("run-1", name, LEASE_S)
        for seq in store.commit("run-1", name, packed):
            retry = next(claim.retry for claim in claims if claim.seq == seq)
            os.write(acknowledged, f"{seq} {seq}-{retry}-{name}\n".encode())
    os._exit(0)


def drive(store: SqlStore, url: str, acknowledged: int) -> int:
    """Keep workers running and kill some; returns how many died with leases in hand."""
    chance = random.Random(url)
    names = (f"worker-{number}" for number in range(1000))
    alive = {}
    kills = hits = 0
    while store.run("run-1").done < ROWS:
        store.detach()
        while len(alive) < WORKERS:
            name = next(names)
            alive[name] = _forks.Process(target=work, args=(url, name, acknowledged))
            alive[name].start()
        time.sleep(chance.random() * 0.2)
        if kills < KILLS:
            name = chance.choice(sorted(alive))
            process = alive.pop(name)
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += process.exitcode == -signal.SIGKILL
            hits += name in store.holders("run-1")
    for process in alive.values():
        process.join()
    return hits


@pytest.mark.slow
def test_workers_may_die_at_any_moment(store_url):
    store = open_store(store_url)
    store.create_run(manifest(), items(ROWS))
    reader, writer = os.pipe()
    hits = drive(store, store_url, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        acknowledged = [line.split() for line in pipe]

    assert hits > 0, "no worker died with a lease: this run proved nothing"
    rows = store.scored("run-1")
    assert len(rows) == ROWS
    assert store.claim("run-1", "late", ROWS, 60) == []
    # nothing that was acknowledged is lost, and no row was acknowledged twice
    assert Counter(seq for seq, _ in acknowledged).most_common(1)[0][1] == 1
    settled = {row.seq: row.episode_id for row in rows}
    assert all(settled[int(seq)] == episode_id for seq, episode_id in acknowledged)
    # nothing is doubled: one settled episode, one trace and one verdict per row, one more for the tries that were lost
    assert all(row.outcome == "finished" and row.verdicts == {"exact": (row.seq % 3 == 0, None)} for row in rows)
    lost = len(range(0, ROWS, 7))
    assert store.totals("run-1").retried == lost
    engine = make_engine(locate(store_url))
    with engine.begin() as connection:
        count = {
            table: connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("episodes", "verdicts", "traces", "trace_chunks")
        }
    engine.dispose()
    assert count == dict.fromkeys(count, ROWS + lost)
    assert {found.id for found in store.episodes("run-1")} == set(settled.values())
    store.close()
