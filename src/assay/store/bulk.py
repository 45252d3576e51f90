"""The statements of the hot path: rendered once per dialect from the tables, executed with rows of plain tuples.

SQLAlchemy's own executemany builds a dictionary per row, which costs several times what SQLite takes to insert it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from assay.store.schema import episodes, trace_chunks, traces, verdicts, work

Row = tuple[Any, ...]

PLANNED = (
    "run_id",
    "seq",
    "case_id",
    "case_index",
    "cluster",
    "tags",
    "attempt",
    "lock",
    "action",
    "state",
    "episode_id",
)
"""Columns of a ledger row that its plan fills."""

_UNTOUCHED: dict[str, sa.ColumnElement[Any]] = {
    "worker": sa.literal_column("''"),
    "retries": sa.literal_column("0"),
    "crashes": sa.literal_column("0"),
}


class Bulk:
    """Writes many rows per call. Rows are tuples in the order of the table's columns, unless it is said otherwise."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        insert = _insert_of(dialect)
        verdict = insert(verdicts)
        # A real verdict is never changed; one that could not be given may be tried again.
        replaced = {column.name: verdict.excluded[column.name] for column in verdicts.c if not column.primary_key}
        self._work = self._render(
            sa.insert(work).values({name: sa.bindparam(name) for name in PLANNED} | _UNTOUCHED), PLANNED
        )
        self._episodes = self._render(insert(episodes))
        self._verdicts = self._render(
            verdict.on_conflict_do_update(
                index_elements=list(verdicts.primary_key), set_=replaced, where=verdicts.c.passed.is_(None)
            )
        )
        self._traces = self._render(insert(traces).on_conflict_do_nothing())
        self._chunks = self._render(insert(trace_chunks).on_conflict_do_nothing())
        row = (work.c.run_id == sa.bindparam("of_run"), work.c.seq == sa.bindparam("of_seq"))
        done = sa.update(work).where(*row).values(state=sa.literal_column("'done'"), lease_until=sa.null())
        self._settle = self._render(
            done.values({name: sa.bindparam(name) for name in ("episode_id", "outcome", "trace_id")}),
            ("episode_id", "outcome", "trace_id", "of_run", "of_seq"),
        )
        self._close = self._render(done, ("of_run", "of_seq"))

    def insert_work(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Insert ledger rows that no one has touched: the columns `PLANNED`."""
        self._execute(connection, self._work, rows)

    def insert_episodes(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Insert episodes."""
        self._execute(connection, self._episodes, rows)

    def insert_verdicts(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Insert verdicts; one that exists is replaced only where it was unjudged."""
        self._execute(connection, self._verdicts, rows)

    def insert_traces(self, connection: sa.Connection, rows: Sequence[Row], chunks: Sequence[Row]) -> None:
        """Insert traces and their chunks; what is there already stays as it is."""
        self._execute(connection, self._traces, rows)
        self._execute(connection, self._chunks, chunks)

    def settle(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Settle ledger rows: (episode_id, outcome, trace_id, run_id, seq)."""
        self._execute(connection, self._settle, rows)

    def close(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Settle ledger rows that know their episode: (run_id, seq)."""
        self._execute(connection, self._close, rows)

    def _render(self, statement: sa.Insert | sa.Update, order: tuple[str, ...] | None = None) -> str:
        compiled: Any = statement.compile(dialect=self._dialect)
        expected = order if order is not None else tuple(statement.table.c.keys())
        if tuple(compiled.positiontup) != expected:
            raise AssertionError(f"parameters are rendered as {compiled.positiontup}, rows come as {expected}")
        return str(compiled)

    @staticmethod
    def _execute(connection: sa.Connection, sql: str, rows: Sequence[Row]) -> None:
        if rows:
            connection.exec_driver_sql(sql, list(rows))


def _insert_of(dialect: sa.Dialect) -> Any:
    """Return the dialect's own insert, which knows ON CONFLICT; the other dialect stays unloaded (0.1 s)."""
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert
