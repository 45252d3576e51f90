"""The ledger: what a run owes, who holds a lease on it, and the one transaction that settles it.

Leases are compared with the clock of the server where there is one, so that machines need not agree on the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from assay.core.errors import NotFoundError, StoreError
from assay.core.plan import Action, Claim, WorkItem
from assay.core.run import RunManifest
from assay.store.bulk import Bulk, Row
from assay.store.pack import Packed, unpack
from assay.store.runs import insert_run
from assay.store.schema import OPEN, episodes, runs, work
from assay.store.text import plain

CHUNK = 1000
"""Keys in one IN list, and rows per call of the driver."""

_ACTIONS = {action.value: action for action in Action}
_SEQS = sa.bindparam("seqs", expanding=True)


def create_run(connection: sa.Connection, bulk: Bulk, manifest: RunManifest, items: Iterable[WorkItem]) -> None:
    """Write a run and its ledger rows; memory is bounded whatever the number of items."""
    insert_run(connection, manifest)
    rest, total, has_existing = iter(items), 0, False
    while rows := [_row(manifest.run_id, item) for item in islice(rest, CHUNK)]:
        bulk.insert_work(connection, rows)
        total += len(rows)
        has_existing = has_existing or any(row[-1] is not None for row in rows)
    if has_existing:
        _copy_outcomes(connection, manifest.run_id)
    connection.execute(sa.update(runs).where(runs.c.run_id == manifest.run_id).values(total=total))


def claim(connection: sa.Connection, run_id: str, worker: str, limit: int, lease_s: float) -> list[Claim]:
    """Lease rows that are pending, or whose lease has ended, in order."""
    if limit < 1:
        return []
    now = _now(connection)
    expired = _picked(
        sa.select(work.c.seq).where(work.c.run_id == run_id, work.c.worker > "", OPEN, work.c.lease_until < now)
    )
    connection.execute(_update(run_id, expired).values(state="pending", worker="", lease_until=None))
    pending = _picked(
        sa.select(work.c.seq)
        .where(work.c.run_id == run_id, work.c.worker == "", OPEN)
        .order_by(work.c.seq)
        .limit(limit)
    )
    leased: Iterable[tuple[Any, ...]] = connection.execute(
        _update(run_id, pending)
        .values(state="claimed", worker=worker, lease_until=now + lease_s)
        .returning(*(work.c[name] for name in _CLAIM))
    )
    claims = [
        Claim(
            seq=seq,
            case_index=case_index,
            attempt=attempt,
            retry=retries,
            crashes=crashes,
            lock=lock,
            action=_ACTIONS[action],
            episode_id=episode_id or "",
        )
        for seq, case_index, attempt, retries, crashes, lock, action, episode_id in leased
    ]
    claims.sort(key=_seq)
    return claims


def renew(connection: sa.Connection, run_id: str, worker: str, lease_s: float) -> int:
    """Extend all leases of a worker."""
    held = sa.update(work).where(work.c.run_id == run_id, work.c.worker == worker, OPEN)
    return connection.execute(held.values(lease_until=_now(connection) + lease_s)).rowcount


def release(connection: sa.Connection, run_id: str, worker: str, seqs: Sequence[int], *, crashed: bool) -> None:
    """Give rows back; those that the worker no longer holds are left alone."""
    statement = (
        sa.update(work)
        .where(work.c.run_id == run_id, work.c.worker == worker, OPEN, work.c.seq.in_(_SEQS))
        .values(state="pending", worker="", lease_until=None, crashes=work.c.crashes + int(crashed))
    )
    for some in _chunks(seqs):
        connection.execute(statement, {"seqs": some})


def holders(connection: sa.Connection, run_id: str) -> dict[str, list[int]]:
    """Return worker -> rows that it holds, ended leases included."""
    held: dict[str, list[int]] = {}
    query = sa.select(work.c.worker, work.c.seq).where(work.c.run_id == run_id, work.c.worker > "", OPEN)
    for worker, seq in connection.execute(query.order_by(work.c.worker, work.c.seq)):
        held.setdefault(worker, []).append(seq)
    return held


def commit(connection: sa.Connection, bulk: Bulk, run_id: str, worker: str, records: Sequence[bytes]) -> list[int]:
    """Write a group of packed records; returns the rows that are settled now. What the worker lost is dropped."""
    packed = [unpack(record) for record in records]
    held = _held(connection, run_id, worker, [record.seq for record in packed])
    kept: list[Packed] = []
    for record in packed:
        if record.seq in held:
            held.discard(record.seq)  # a second record for the row finds it settled
            kept.append(record)
    bulk.insert_episodes(connection, [(run_id, *record.episode) for record in kept if record.episode is not None])
    bulk.insert_verdicts(connection, [row for record in kept for row in record.verdicts])
    bulk.insert_traces(
        connection,
        [record.trace for record in kept if record.trace is not None],
        [record.chunk for record in kept if record.chunk is not None],
    )
    settled = [record for record in kept if record.settled]
    bulk.settle(
        connection,
        [(one.episode_id, one.outcome, one.trace_id, run_id, one.seq) for one in settled if one.episode is not None],
    )
    bulk.close(connection, [(run_id, one.seq) for one in settled if one.episode is None])
    _owe_again(connection, run_id, [record.seq for record in kept if not record.settled])
    return [record.seq for record in settled]


def _held(connection: sa.Connection, run_id: str, worker: str, seqs: Sequence[int]) -> set[int]:
    """Lock the rows that the worker still has a lease on, in order: the guard of everything that is written next."""
    if not seqs:
        return set()
    query = (
        sa.select(work.c.seq)
        .where(work.c.run_id == run_id, work.c.worker == worker, OPEN, work.c.seq.between(min(seqs), max(seqs)))
        .order_by(work.c.seq)
        .with_for_update()
    )
    return set(connection.execute(query).scalars())


def _owe_again(connection: sa.Connection, run_id: str, seqs: Sequence[int]) -> None:
    statement = (
        sa.update(work)
        .where(work.c.run_id == run_id, work.c.seq.in_(_SEQS))
        .values(state="pending", worker="", lease_until=None, retries=work.c.retries + 1)
    )
    for some in _chunks(seqs):
        connection.execute(statement, {"seqs": some})


def _copy_outcomes(connection: sa.Connection, run_id: str) -> None:
    """Give rows with an existing episode its outcome and trace; raises `NotFoundError` where there is no such episode."""
    its = sa.select(episodes.c.outcome).where(episodes.c.episode_id == work.c.episode_id)
    statement = (
        sa.update(work)
        .where(work.c.run_id == run_id, work.c.episode_id.is_not(None))
        .values(outcome=its.scalar_subquery(), trace_id=its.with_only_columns(episodes.c.trace_id).scalar_subquery())
    )
    connection.execute(statement)
    query = sa.select(work.c.episode_id).where(
        work.c.run_id == run_id, work.c.episode_id.is_not(None), work.c.outcome.is_(None)
    )
    missing = connection.execute(query.limit(1)).scalar()
    if missing is not None:
        raise NotFoundError(f"the run takes episode {missing!r} over, which is not in the store")


def _picked(query: sa.Select[int]) -> sa.CTE:
    """Lock the chosen rows and pass over those that another worker is choosing (SQLite has one writer anyway)."""
    return query.with_for_update(skip_locked=True).cte("picked")


def _update(run_id: str, picked: sa.CTE) -> sa.Update:
    return sa.update(work).where(work.c.run_id == run_id, work.c.seq.in_(sa.select(picked.c.seq)))


def _now(connection: sa.Connection) -> sa.ColumnElement[float]:
    if connection.dialect.name == "sqlite":
        return sa.literal(time.time(), sa.Double)
    return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)


def _row(run_id: str, item: WorkItem) -> Row:
    if item.action is not Action.run and not item.episode_id:
        raise StoreError(f"row {item.seq} is to {item.action} an episode and names none")
    return (
        run_id,
        item.seq,
        plain(item.case_id),
        item.case_index,
        plain(item.cluster),
        msgspec.json.encode([plain(tag) for tag in item.tags]).decode() if item.tags else None,
        item.attempt,
        item.lock,
        item.action.value,
        "done" if item.action is Action.reuse else "pending",
        item.episode_id or None,
    )


def _chunks(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def _seq(claimed: Claim) -> int:
    return claimed.seq


_CLAIM = ("seq", "case_index", "attempt", "retries", "crashes", "lock", "action", "episode_id")
