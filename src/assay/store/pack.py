"""Finished episodes as bytes that a worker makes and the store only has to insert. No database library is loaded here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from assay.core.case import Case
from assay.core.effects import NO_EFFECTS, Effects
from assay.core.episode import Failure
from assay.core.errors import StoreError
from assay.core.plan import Finished
from assay.core.trace import Span, Trace
from assay.core.verdict import Verdict
from assay.store.blob import compress, encode, reader
from assay.store.summary import summarize
from assay.store.text import bounded, count, finite, plain

Row = tuple[Any, ...]


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What of an episode has no column. Fields may only be added at the end, with a default."""

    case: Case
    """The case that was attempted."""
    outputs: tuple[Any, ...] = ()
    """What the agent answered."""
    effects: Effects = NO_EFFECTS
    """What it changed."""
    failure: Failure | None = None
    """Why it did not finish; columns repeat all but the detail."""
    logs: str = ""
    """Tail of stdout and stderr."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Spans of one trace that arrived together. Fields may only be added at the end, with a default."""

    spans: tuple[Span, ...]
    """The spans, in order."""
    resource: dict[str, Any] = {}
    """Resource attributes."""
    dropped_spans: int = 0
    """Spans that were counted and not kept."""


class Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One settled ledger row, or one try at it, as rows of the tables (in the order of their columns)."""

    seq: int
    """Ledger row."""
    settled: bool
    """False when an infrastructure failure will be retried."""
    episode_id: str
    """The episode."""
    verdicts: tuple[Row, ...]
    """Rows of `verdicts`."""
    outcome: str = ""
    """How the episode ended."""
    trace_id: str = ""
    """Its trace."""
    episode: Row | None = None
    """Row of `episodes` without the run; None when an existing episode was judged again."""
    trace: Row | None = None
    """Row of `traces`; None for a trace without content."""
    chunk: Row | None = None
    """Row of `trace_chunks`."""


def pack(finished: Finished, lock: str) -> bytes:
    """Encode one finished episode with its verdicts for `Store.commit`. Text that no database holds is replaced visibly."""
    episode, trace = finished.episode, finished.episode.trace
    has_trace = bool(trace.spans or trace.resource or trace.dropped_spans)
    return _encode(
        Packed(
            seq=finished.seq,
            settled=finished.settled,
            episode_id=episode.id,
            verdicts=_verdict_rows(episode.id, finished.verdicts),
            outcome=episode.outcome.value,
            trace_id=plain(trace.trace_id),
            episode=_episode_row(finished, lock),
            trace=summarize(trace) if has_trace else None,
            chunk=_chunk_row(trace) if has_trace else None,
        )
    )


def pack_verdicts(seq: int, episode_id: str, verdicts: Sequence[Verdict]) -> bytes:
    """Encode new verdicts on an existing episode, which settle the `rejudge` row `seq`, for `Store.commit`."""
    return _encode(Packed(seq=seq, settled=True, episode_id=episode_id, verdicts=_verdict_rows(episode_id, verdicts)))


def unpack(data: bytes) -> Packed:
    """Decode what `pack` and `pack_verdicts` made."""
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        raise StoreError(f"a worker sent a record that cannot be read: {error}") from error


def _episode_row(finished: Finished, lock: str) -> Row:
    episode = finished.episode
    failure, usage = episode.failure, episode.usage
    record = Record(episode.case, episode.outputs, episode.effects, failure, episode.logs)
    return (
        episode.id,
        finished.seq,
        plain(episode.case.id),
        episode.attempt,
        episode.retry,
        finished.settled,
        episode.outcome.value,
        lock,
        bounded(episode.seed),
        finite(episode.started_at) or 0.0,
        finite(episode.duration_s) or 0.0,
        count(usage.input_tokens),
        count(usage.output_tokens),
        count(usage.cache_read_tokens),
        count(usage.cache_write_tokens),
        count(usage.reasoning_tokens),
        count(usage.model_calls),
        count(usage.tool_calls),
        finite(usage.cost_usd),
        plain(episode.trace.trace_id),
        episode.isolation,
        episode.world_digest,
        plain(f"{failure.boundary}: {failure.kind}: {failure.message}") if failure else "",
        *compress(encode(record)),
    )


def _verdict_rows(episode_id: str, verdicts: Sequence[Verdict]) -> tuple[Row, ...]:
    now = time.time()
    return tuple(
        [
            (
                episode_id,
                verdict.judge_digest,
                plain(verdict.judge),
                verdict.passed,
                finite(verdict.score),
                plain(verdict.reason),
                _json([plain(span_id) for span_id in verdict.evidence]) if verdict.evidence else "[]",
                finite(verdict.cost_usd),
                finite(verdict.latency_s) or 0.0,
                now,
            )
            for verdict in verdicts
        ]
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _chunk_row(trace: Trace) -> Row:
    payload = encode(Chunk(trace.spans, trace.resource, trace.dropped_spans))
    # Named by its content: what is delivered twice is stored once, and two batches of one trace never displace each other.
    name = hashlib.blake2b(payload, digest_size=8).hexdigest()
    return (plain(trace.trace_id), name, len(trace.spans), *compress(payload))


read_record = reader(Record, "an episode")
read_chunk = reader(Chunk, "a trace")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode
