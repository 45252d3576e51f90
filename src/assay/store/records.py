"""Reading episodes, verdicts and traces back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from assay.core.episode import Episode, Outcome
from assay.core.trace import Span, Trace
from assay.core.usage import Usage
from assay.core.verdict import Verdict
from assay.store.pack import Chunk, read_chunk, read_record
from assay.store.runs import find
from assay.store.schema import ORIGINAL, episodes, trace_chunks, traces, verdicts, work
from assay.store.text import plain

PAGE = 16
"""Episodes that are read at once: each may hold megabytes."""

_KEYS = 1000
_USAGE = Usage.__struct_fields__


def episode(connection: sa.Connection, episode_id: str) -> Episode:
    """Return one episode by id or unique prefix."""
    whole = find(connection, episodes.c.episode_id, plain(episode_id), "episode")
    row = connection.execute(sa.select(episodes).where(episodes.c.episode_id == whole)).one()
    return _episode(row, _traces(connection, [row.trace_id])[row.trace_id])


def page(connection: sa.Connection, run_id: str, after: int) -> list[tuple[int, Episode]]:
    """Return the next settled episodes of a run, with their ledger rows, after the row `after`."""
    query = (
        sa.select(work.c.seq.label("row"), episodes)
        .join(episodes, episodes.c.episode_id == work.c.episode_id)
        .where(work.c.run_id == run_id, work.c.seq > after, work.c.state == "done")
        .order_by(work.c.seq)
        .limit(PAGE)
    )
    rows = connection.execute(query).all()
    found = _traces(connection, [row.trace_id for row in rows])
    return [(row.row, _episode(row, found[row.trace_id])) for row in rows]


def trace(connection: sa.Connection, trace_id: str) -> Trace:
    """Return one trace by id or unique prefix."""
    whole = find(connection, traces.c.trace_id, plain(trace_id), "trace")
    return _traces(connection, [whole])[whole]


def verdicts_on(connection: sa.Connection, episode_id: str) -> list[Verdict]:
    """Return all verdicts on an episode, oldest first."""
    query = sa.select(verdicts).where(verdicts.c.episode_id == plain(episode_id))
    return [
        Verdict(
            passed=row.passed,
            reason=row.reason,
            score=row.score,
            evidence=msgspec.json.decode(row.evidence, type=tuple[str, ...]),
            cost_usd=row.cost_usd,
            latency_s=row.latency_s,
            judge=row.judge,
            judge_digest=row.judge_digest,
        )
        for row in connection.execute(query.order_by(verdicts.c.judged_at, verdicts.c.judge))
    ]


def reusable(connection: sa.Connection, locks: Sequence[str]) -> dict[str, str]:
    """Return lock -> newest settled episode that infrastructure did not lose."""
    query = (
        sa.select(work.c.lock, sa.func.max(work.c.episode_id))
        .where(
            work.c.lock.in_(sa.bindparam("locks", expanding=True)),
            ORIGINAL,
            work.c.state == "done",
            work.c.outcome != Outcome.infra_error.value,
        )
        .group_by(work.c.lock)
    )
    found: dict[str, str] = {}
    wanted = [lock for lock in locks if lock]
    for start in range(0, len(wanted), _KEYS):
        found |= dict(connection.execute(query, {"locks": wanted[start : start + _KEYS]}).all())
    return found


def judged(connection: sa.Connection, episode_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return episode id -> digests of the judges that gave a real verdict on it."""
    query = sa.select(verdicts.c.episode_id, verdicts.c.judge_digest).where(
        verdicts.c.episode_id.in_(sa.bindparam("ids", expanding=True)), verdicts.c.passed.is_not(None)
    )
    found: dict[str, set[str]] = {}
    for start in range(0, len(episode_ids), _KEYS):
        for episode_id, digest in connection.execute(query, {"ids": episode_ids[start : start + _KEYS]}):
            found.setdefault(episode_id, set()).add(digest)
    return {episode_id: frozenset(digests) for episode_id, digests in found.items()}


def _traces(connection: sa.Connection, trace_ids: Sequence[str]) -> dict[str, Trace]:
    chunks: dict[str, list[Chunk]] = {trace_id: [] for trace_id in trace_ids}
    query = sa.select(trace_chunks).where(trace_chunks.c.trace_id.in_(chunks)).order_by(trace_chunks.c.chunk)
    for row in connection.execute(query):
        chunks[row.trace_id].append(read_chunk(row.codec, row.blob))
    return {trace_id: _assemble(trace_id, found) for trace_id, found in chunks.items()}


def _assemble(trace_id: str, chunks: Sequence[Chunk]) -> Trace:
    """Put a trace together. A span that several chunks hold is kept once."""
    if len(chunks) == 1:
        only = chunks[0]
        return Trace(trace_id=trace_id, spans=only.spans, resource=only.resource, dropped_spans=only.dropped_spans)
    spans: list[Span] = []
    resource: dict[str, Any] = {}
    for chunk in chunks:
        seen = {span.span_id for span in spans}
        spans += [span for span in chunk.spans if span.span_id not in seen]
        resource.update(chunk.resource)
    spans.sort(key=lambda span: span.start_ns)
    dropped = sum(chunk.dropped_spans for chunk in chunks)
    return Trace(trace_id=trace_id, spans=tuple(spans), resource=resource, dropped_spans=dropped)


def _episode(row: sa.Row[Any], its_trace: Trace) -> Episode:
    record = read_record(row.codec, row.record)
    return Episode(
        id=row.episode_id,
        case=record.case,
        outcome=Outcome(row.outcome),
        trace=its_trace,
        outputs=record.outputs,
        effects=record.effects,
        failure=record.failure,
        usage=Usage(**{name: getattr(row, name) for name in _USAGE}),
        attempt=row.attempt,
        retry=row.retry,
        seed=row.seed,
        started_at=row.started_at,
        duration_s=row.duration_s,
        isolation=row.isolation,
        world_digest=row.world_digest,
        logs=record.logs,
    )
