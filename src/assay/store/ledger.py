"""The ledger: what a run owes, who holds a lease on it, and the one transaction that settles it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from assay.core.errors import NotFoundError, StoreError
from assay.core.plan import Action, Claim, WorkItem
from assay.core.run import RunManifest
from assay.store.bulk import Bulk, Row
from assay.store.pack import unpack
from assay.store.runs import insert_run
from assay.store.schema import OPEN, episodes, runs, work
from assay.store.text import plain

CHUNK = 1000
"""Keys in one IN list, and rows per call of the driver."""

_ACTIONS = {action.value: action for action in Action}
_CLAIM = ("seq", "case_index", "attempt", "retries", "crashes", "lock", "action", "episode_id")


class Ledger:
    """Changes the ledger through statements that are built once.

    Leases are compared with the clock of the database's own machine, so that workers need not agree on the time.
    """

    def __init__(self, dialect: sa.Dialect) -> None:
        now = _clock(dialect)
        run_id, by = sa.bindparam("of_run"), sa.bindparam("by")
        in_run = work.c.run_id == run_id
        held = sa.and_(in_run, work.c.worker == by, OPEN)
        listed = work.c.seq.in_(sa.bindparam("seqs", expanding=True))
        owed: dict[str, Any] = {"state": "pending", "worker": "", "lease_until": None}
        until = now + sa.bindparam("lease_s", type_=sa.Double)

        expired = sa.select(work.c.seq).where(in_run, work.c.worker > "", OPEN, work.c.lease_until < now)
        pending = sa.select(work.c.seq).where(in_run, work.c.worker == "", OPEN).order_by(work.c.seq)
        self._expire = _update_picked(expired, in_run).values(owed)
        self._claim = (
            _update_picked(pending.limit(sa.bindparam("most")), in_run)
            .values(state="claimed", worker=by, lease_until=until)
            .returning(*(work.c[name] for name in _CLAIM))
        )
        self._renew = sa.update(work).where(held).values(lease_until=until)
        self._release = (
            sa.update(work).where(held, listed).values({**owed, "crashes": work.c.crashes + sa.bindparam("deaths")})
        )
        self._owe_again = sa.update(work).where(in_run, listed).values({**owed, "retries": work.c.retries + 1})
        between = work.c.seq.between(sa.bindparam("first"), sa.bindparam("last"))
        # Locked in order: the guard of everything that a commit writes next.
        self._held = sa.select(work.c.seq).where(held, between).order_by(work.c.seq).with_for_update()
        self._bulk = Bulk(dialect)

    def create_run(self, connection: sa.Connection, manifest: RunManifest, items: Iterable[WorkItem]) -> None:
        """Write a run and its ledger rows; memory is bounded whatever the number of items."""
        insert_run(connection, manifest)
        rest, total, has_existing = iter(items), 0, False
        while rows := [_row(manifest.run_id, item) for item in islice(rest, CHUNK)]:
            self._bulk.insert_work(connection, rows)
            total += len(rows)
            has_existing = has_existing or any(row[-1] is not None for row in rows)
        if has_existing:
            _copy_outcomes(connection, manifest.run_id)
        connection.execute(sa.update(runs).where(runs.c.run_id == manifest.run_id).values(total=total))

    def claim(self, connection: sa.Connection, run_id: str, worker: str, limit: int, lease_s: float) -> list[Claim]:
        """Lease rows that are pending, or whose lease has ended, in order."""
        if limit < 1:
            return []
        connection.execute(self._expire, {"of_run": run_id})
        asked = {"of_run": run_id, "by": worker, "most": limit, "lease_s": lease_s}
        leased: Iterable[tuple[Any, ...]] = connection.execute(self._claim, asked)
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

    def renew(self, connection: sa.Connection, run_id: str, worker: str, lease_s: float) -> int:
        """Extend all leases of a worker; returns how many there are."""
        return connection.execute(self._renew, {"of_run": run_id, "by": worker, "lease_s": lease_s}).rowcount

    def release(
        self, connection: sa.Connection, run_id: str, worker: str, seqs: Sequence[int], *, crashed: bool
    ) -> None:
        """Give rows back; those that the worker no longer holds are left alone."""
        for some in _chunks(seqs):
            asked = {"of_run": run_id, "by": worker, "seqs": some, "deaths": int(crashed)}
            connection.execute(self._release, asked)

    def commit(self, connection: sa.Connection, run_id: str, worker: str, records: Sequence[bytes]) -> list[int]:
        """Write a group of packed records; returns the rows that are settled now. What the worker lost is dropped."""
        packed = [unpack(record) for record in records]
        held = self._still_held(connection, run_id, worker, [record.seq for record in packed])
        played: list[Row] = []
        verdicts: list[Row] = []
        traces: list[Row] = []
        chunks: list[Row] = []
        settled: list[Row] = []
        closed: list[Row] = []
        owed: list[int] = []
        for record in packed:
            if record.seq not in held:
                continue
            held.discard(record.seq)  # a second record for the row finds it settled
            verdicts += record.verdicts
            if record.episode is not None:
                played.append((run_id, *record.episode))
            if record.trace is not None and record.chunk is not None:
                traces.append(record.trace)
                chunks.append(record.chunk)
            if not record.settled:
                owed.append(record.seq)
            elif record.episode is not None:
                settled.append((record.episode_id, record.outcome, record.trace_id, run_id, record.seq))
            else:
                closed.append((run_id, record.seq))
        self._bulk.insert_episodes(connection, played)
        self._bulk.insert_verdicts(connection, verdicts)
        self._bulk.insert_traces(connection, traces, chunks)
        self._bulk.settle(connection, settled)
        self._bulk.close(connection, closed)
        for some in _chunks(owed):
            connection.execute(self._owe_again, {"of_run": run_id, "seqs": some})
        return [row[-1] for row in (*settled, *closed)]

    def _still_held(self, connection: sa.Connection, run_id: str, worker: str, seqs: Sequence[int]) -> set[int]:
        if not seqs:
            return set()
        asked = {"of_run": run_id, "by": worker, "first": min(seqs), "last": max(seqs)}
        return set(connection.execute(self._held, asked).scalars())


def holders(connection: sa.Connection, run_id: str) -> dict[str, list[int]]:
    """Return worker -> rows that it holds, ended leases included."""
    held: dict[str, list[int]] = {}
    query = sa.select(work.c.worker, work.c.seq).where(work.c.run_id == run_id, work.c.worker > "", OPEN)
    for worker, seq in connection.execute(query.order_by(work.c.worker, work.c.seq)):
        held.setdefault(worker, []).append(seq)
    return held


def _copy_outcomes(connection: sa.Connection, run_id: str) -> None:
    """Give rows with an existing episode its outcome and trace; raises `NotFoundError` where there is no such episode."""
    its = sa.select(episodes.c.outcome).where(episodes.c.episode_id == work.c.episode_id)
    taken = (work.c.run_id == run_id, work.c.episode_id.is_not(None))
    statement = sa.update(work).values(
        outcome=its.scalar_subquery(), trace_id=its.with_only_columns(episodes.c.trace_id).scalar_subquery()
    )
    connection.execute(statement.where(*taken))
    query = sa.select(work.c.episode_id).where(*taken, work.c.outcome.is_(None)).limit(1)
    missing = connection.execute(query).scalar()
    if missing is not None:
        raise NotFoundError(f"the run takes episode {missing!r} over, which is not in the store")


def _update_picked(chosen: sa.Select[int], in_run: sa.ColumnElement[bool]) -> sa.Update:
    """Update the chosen rows, passing over those that another worker is choosing (SQLite has one writer anyway)."""
    picked = chosen.with_for_update(skip_locked=True).cte("picked")
    return sa.update(work).where(in_run, work.c.seq.in_(sa.select(picked.c.seq)))


def _clock(dialect: sa.Dialect) -> sa.ColumnElement[float]:
    """Return Unix time in seconds, as the database's machine has it."""
    if dialect.name == "sqlite":
        return sa.literal_column("(julianday('now') - 2440587.5) * 86400.0", sa.Double)
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


def _chunks(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def _seq(claimed: Claim) -> int:
    return claimed.seq
