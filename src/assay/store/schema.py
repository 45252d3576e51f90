"""The tables, the same in SQLite and PostgreSQL.

There are no foreign keys: every write comes through this package, and checking them would cost more than the insert. Indexes
are few; each one serves a query that is named beside it. Rows are written by position, so the order of columns here is the
order of `assay.store.pack`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

REVISION = "0001"
"""The migration that leads to these tables; stamped on a new store."""

VERSION_TABLE = "assay_version"
"""Where Alembic keeps the revision: not its usual name, which belongs to the team's own tables where a database is shared."""

metadata = sa.MetaData()

# Ids compare by byte in both databases, whatever the server's collation: order, ranges and the newest depend on it.
_Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

versions = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),  # Alembic's own: no table of ours
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def _required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", _Key, primary_key=True),
    _required("eval_name", sa.Text),
    _required("kind", sa.Text),
    _required("status", sa.Text),
    _required("created_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    _required("total", sa.Integer),  # ledger rows
    _required("manifest", sa.Text),  # JSON
)

work = sa.Table(
    "work",  # the ledger: one row per attempt at a case in a run
    metadata,
    sa.Column("run_id", _Key, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    _required("case_id", sa.Text),
    _required("case_index", sa.Integer),
    _required("cluster", sa.Text),
    sa.Column("tags", sa.Text),  # JSON list; null for none
    _required("attempt", sa.Integer),
    _required("lock", _Key),  # empty: cannot be reused
    _required("action", sa.Text),  # reuse, rejudge, run
    _required("state", sa.Text),  # pending, claimed, done
    _required("worker", _Key),  # who holds the lease, or settled it; empty while pending
    sa.Column("lease_until", sa.Double),  # Unix time in seconds
    _required("retries", sa.Integer),  # tries that were recorded and not settled
    _required("crashes", sa.Integer),  # workers that died holding it
    # The episode, once there is one, with what every rate needs of it: opening a report reads no episode.
    sa.Column("episode_id", _Key),
    sa.Column("outcome", sa.Text),
    sa.Column("trace_id", _Key),
)

OPEN = work.c.state != sa.literal_column("'done'")
"""Rows that are owed or leased. Spelled as in the index, or neither database would use it."""

# claim, renew, holders, and how many rows of a run are left
sa.Index("work_open", work.c.run_id, work.c.worker, work.c.seq, sqlite_where=OPEN, postgresql_where=OPEN)

ORIGINAL = sa.and_(work.c.lock != sa.literal_column("''"), work.c.action == sa.literal_column("'run'"))
"""Rows whose episode was run under a lock, not taken from elsewhere."""

# reusable; on the ledger and not on episodes: keys in random order cost least when a whole run is inserted at once
sa.Index("work_lock", work.c.lock, sqlite_where=ORIGINAL, postgresql_where=ORIGINAL)

episodes = sa.Table(
    "episodes",
    metadata,
    _required("run_id", _Key),  # the run that made it; others may point at it too
    sa.Column("episode_id", _Key, primary_key=True),
    _required("seq", sa.Integer),
    _required("case_id", sa.Text),
    _required("attempt", sa.Integer),
    _required("retry", sa.Integer),
    _required("settled", sa.Boolean),  # false: infrastructure failed, and it was tried again
    _required("outcome", sa.Text),
    _required("lock", _Key),
    _required("seed", sa.BigInteger),
    _required("started_at", sa.Double),
    _required("duration_s", sa.Double),
    _required("input_tokens", sa.BigInteger),
    _required("output_tokens", sa.BigInteger),
    _required("cache_read_tokens", sa.BigInteger),
    _required("cache_write_tokens", sa.BigInteger),
    _required("reasoning_tokens", sa.BigInteger),
    _required("model_calls", sa.BigInteger),
    _required("tool_calls", sa.BigInteger),
    sa.Column("cost_usd", sa.Double),  # null: unknown
    _required("trace_id", _Key),
    _required("isolation", sa.Text),
    _required("world_digest", sa.Text),
    _required("failure", sa.Text),  # boundary, kind and message; empty when it finished
    _required("codec", sa.Text),
    _required("record", sa.LargeBinary),  # everything else
)

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("episode_id", _Key, primary_key=True),
    sa.Column("judge_digest", _Key, primary_key=True),
    _required("judge", sa.Text),
    sa.Column("passed", sa.Boolean),  # null: unjudged
    sa.Column("score", sa.Double),
    _required("reason", sa.Text),
    _required("evidence", sa.Text),  # JSON list of span ids
    sa.Column("cost_usd", sa.Double),  # null: unknown
    _required("latency_s", sa.Double),
    _required("judged_at", sa.Double),
    sqlite_with_rowid=False,  # small rows that are read by key
)

traces = sa.Table(
    "traces",
    metadata,
    sa.Column("trace_id", _Key, primary_key=True),
    _required("started_ns", sa.BigInteger),
    _required("ended_ns", sa.BigInteger),
    _required("root_name", sa.Text),
    _required("service", sa.Text),
    _required("service_version", sa.Text),
    _required("status", sa.Text),
    _required("spans", sa.Integer),
    _required("errors", sa.Integer),
    _required("dropped_spans", sa.BigInteger),
    _required("models", sa.Text),  # JSON lists of names
    _required("tools", sa.Text),
    _required("prompts", sa.Text),  # digests of system prompts
    _required("input_tokens", sa.BigInteger),
    _required("output_tokens", sa.BigInteger),
    sa.Column("cost_usd", sa.Double),  # null: unknown
)

trace_chunks = sa.Table(
    "trace_chunks",  # append-only
    metadata,
    sa.Column("trace_id", _Key, primary_key=True),
    sa.Column("chunk", _Key, primary_key=True),  # digest of the content: what is delivered twice is stored once
    _required("spans", sa.Integer),
    _required("codec", sa.Text),
    _required("blob", sa.LargeBinary),
)
