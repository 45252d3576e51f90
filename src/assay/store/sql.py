"""The store over SQLAlchemy: one query layer for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from assay.core.episode import Episode
from assay.core.errors import StoreError
from assay.core.plan import Claim, WorkItem
from assay.core.protocols import JudgeCount, RunTotals, Scored
from assay.core.report import FailureItem
from assay.core.run import RunInfo, RunManifest
from assay.core.trace import Trace
from assay.core.verdict import Verdict
from assay.store import figures, ledger, records, runs, scores
from assay.store.address import Address, locate
from assay.store.connect import make_engine, writing
from assay.store.faults import RETRIED, explained, sqlstate
from assay.store.migrate import ensure_schema

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 5


class SqlStore:
    """Implements `assay.core.protocols.Store`. Methods may be called from any thread, one at a time.

    Every method is one transaction, except `episodes`, which reads in pages. Errors of the database are `StoreError`s that
    name the store.
    """

    def __init__(self, url_or_path: str | PathLike[str]) -> None:
        """Open the store, made or migrated where that is due; see `assay.store.open.open_store` for what is raised."""
        address = locate(url_or_path)
        self.name = address.shown
        """Path or URL, without secrets."""
        _make_folder(address)
        self._engine = make_engine(address)
        self._ledger = ledger.Ledger(self._engine.dialect)
        try:
            with explained(self.name):
                ensure_schema(self._engine, self.name)
        except BaseException:
            self._engine.dispose()
            raise

    def create_run(self, manifest: RunManifest, items: Iterable[WorkItem]) -> None:
        """Write a run and all its ledger rows; `reuse` rows are settled at once."""
        with explained(self.name), self._engine.connect() as connection, writing(connection).begin():
            self._ledger.create_run(connection, manifest, items)  # never retried: the items are read once

    def claim(self, run_id: str, worker: str, limit: int, lease_s: float) -> list[Claim]:
        """Lease up to `limit` owed rows (pending, or with an expired lease) in order."""
        return self._write(self._ledger.claim, run_id, worker, limit, lease_s)

    def renew(self, run_id: str, worker: str, lease_s: float) -> int:
        """Extend all leases of a worker; returns how many it still holds."""
        return self._write(self._ledger.renew, run_id, worker, lease_s)

    def release(self, run_id: str, worker: str, seqs: Sequence[int], *, crashed: bool) -> None:
        """Give rows back; `crashed` counts a worker's death against each."""
        self._write(self._ledger.release, run_id, worker, seqs, crashed=crashed)

    def holders(self, run_id: str) -> dict[str, list[int]]:
        """Return worker -> the rows that it holds, in order, whether its leases have ended or not."""
        return self._read(ledger.holders, run_id)

    def commit(self, run_id: str, worker: str, packed: Sequence[bytes]) -> list[int]:
        """Write packed records in one transaction; returns the seqs settled. Rows whose lease was lost are skipped."""
        return self._write(self._ledger.commit, run_id, worker, packed)

    def finish_run(self, run_id: str, status: str) -> None:
        """Mark a run `finished`, `interrupted` or, when it is resumed, `running`. Raises `NotFoundError`."""
        self._write(runs.finish_run, run_id, status)

    def run(self, run_id: str) -> RunInfo:
        """Return one run; a unique prefix or `latest` will do. Raises `NotFoundError`."""
        return self._read(runs.run, run_id)

    def runs(self, *, eval_name: str = "", limit: int = 50) -> list[RunInfo]:
        """Return the newest runs first."""
        return self._read(runs.newest, eval_name, limit)

    def scored(self, run_id: str) -> list[Scored]:
        """Return every ledger row of a run with its verdicts, in order."""
        return self._read(scores.scored, run_id)

    def counts(self, run_id: str) -> dict[str, JudgeCount]:
        """Return judge name -> how its episodes came out, summed up by the database; "" stands for all judges."""
        return self._read(figures.counts, run_id)

    def totals(self, run_id: str) -> RunTotals:
        """Return sums over the settled episodes of a run."""
        return self._read(figures.totals, run_id)

    def failures(self, run_id: str, limit: int) -> tuple[list[FailureItem], int]:
        """Return the first failures in report order (failed, agent_error, unjudged, infra_error) and their number."""
        return self._read(figures.failures, run_id, limit)

    def episode(self, episode_id: str) -> Episode:
        """Return one episode with its trace; a unique prefix will do. Raises `NotFoundError`."""
        return self._read(records.episode, episode_id)

    def episodes(self, run_id: str) -> Iterator[Episode]:
        """Yield the settled episodes of a run with their traces, in ledger order, a few at a time in memory."""
        last = -1
        while some := self._read(records.page, run_id, last):
            yield from (episode for _, episode in some)
            last = some[-1][0]

    def trace(self, trace_id: str) -> Trace:
        """Return one trace; a unique prefix will do. Raises `NotFoundError`."""
        return self._read(records.trace, trace_id)

    def verdicts(self, episode_id: str) -> list[Verdict]:
        """Return all verdicts on an episode, of every judge version, oldest first."""
        return self._read(records.verdicts_on, episode_id)

    def reusable(self, locks: Sequence[str]) -> dict[str, str]:
        """Return lock -> newest settled episode id that did not end as `infra_error`. Empty locks never match."""
        return self._read(records.reusable, locks)

    def judged(self, episode_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return episode id -> digests of the judges that have a verdict (not unjudged) on it."""
        return self._read(records.judged, episode_ids)

    def detach(self) -> None:
        """Close all connections, so that the process may fork; the next call opens them again."""
        self._engine.dispose()

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()

    def _read(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with explained(self.name), self._engine.begin() as connection:
            return query(connection, *args, **kwargs)

    def _write(self, change: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change in one transaction; again, when it lost against another one (PostgreSQL's deadlocks)."""
        with explained(self.name):
            for left in reversed(range(_TRIES)):
                try:
                    with self._engine.connect() as connection, writing(connection).begin():
                        return change(connection, *args, **kwargs)
                except DBAPIError as error:
                    if sqlstate(error) not in RETRIED or not left:
                        raise
        raise AssertionError("unreachable")


def _make_folder(address: Address) -> None:
    """Make the folder of a new SQLite file; assay's own folder keeps itself out of git."""
    if address.path is None or address.path.exists():
        return
    folder = address.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if folder.name == ".assay" and not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the store {address.shown}: its folder cannot be made ({error.strerror})") from error
