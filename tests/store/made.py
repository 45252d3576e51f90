"""Runs, episodes and verdicts for tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from assay.core.case import Case
from assay.core.episode import Episode, Failure, Outcome
from assay.core.plan import Action, Claim, Finished, WorkItem
from assay.core.run import JudgeRef, RunManifest
from assay.core.trace import ModelCall, Span, ToolCall, Trace
from assay.core.usage import Usage
from assay.core.verdict import Verdict
from assay.store import SqlStore
from assay.store.pack import pack

EXACT = JudgeRef(name="exact", digest="digest-of-exact")
POLITE = JudgeRef(name="polite", digest="digest-of-polite")


def manifest(run_id: str = "run-1", **fields: Any) -> RunManifest:
    """A manifest; every field can be set."""
    given = {
        "eval_name": "booking",
        "kind": "run",
        "created_at": 1000.0,
        "dataset": "desk",
        "tier": "golden",
        "dataset_digest": "d",
        "dataset_path": "",
        "cases": 1,
        "attempts": 1,
        "harness": "desk",
        "harness_kind": "function",
        "harness_digest": "h",
        "fingerprint": "f",
        "judges": (EXACT, POLITE),
        "isolation": "task",
    }
    return RunManifest(run_id=run_id, **{**given, **fields})


def item(seq: int, **fields: Any) -> WorkItem:
    """A ledger row to be."""
    given = {"case_id": f"case-{seq}", "case_index": seq, "attempt": 0, "lock": "", "action": Action.run}
    return WorkItem(seq=seq, **{**given, **fields})


def items(count: int, **fields: Any) -> list[WorkItem]:
    """Rows 0 to count - 1."""
    return [item(seq, **fields) for seq in range(count)]


def verdict(passed: bool | None, judge: JudgeRef = EXACT, **fields: Any) -> Verdict:
    """A verdict of one of the judges."""
    reason = {True: "as expected", False: "not as expected", None: "could not tell"}[passed]
    return Verdict(**{"passed": passed, "reason": reason, "judge": judge.name, "judge_digest": judge.digest, **fields})


def span(span_id: str = "a" * 16, **fields: Any) -> Span:
    """A span."""
    return Span(**{"span_id": span_id, "name": "agent", "start_ns": 10, "end_ns": 20, **fields})


def model_span(model: str, *, span_id: str = "b" * 16, system: str = "", tool: str = "", **usage: Any) -> Span:
    """A call to a model, beside the tool that it led to."""
    call = ModelCall(model=model, system=system, usage=Usage(**usage))
    return span(span_id, model=call, tool=ToolCall(name=tool) if tool else None)


def trace_of(episode_id: str, *spans: Span) -> Trace:
    """A trace with an id made from the episode's."""
    return Trace(trace_id=episode_id.encode().hex().rjust(32, "0")[-32:], spans=spans or (span(),))


def episode(episode_id: str = "ep-1", case_id: str = "case-0", **fields: Any) -> Episode:
    """An episode; every field can be set."""
    given: dict[str, Any] = {
        "case": Case(id=case_id, input="hello"),
        "outcome": Outcome.finished,
        "trace": trace_of(episode_id),
    }
    if fields.get("outcome", Outcome.finished) is not Outcome.finished:
        given["failure"] = Failure(boundary="agent", kind="ValueError", message="it broke", detail="Traceback")
    return Episode(id=episode_id, **{**given, **fields})


def finished(claim: Claim, verdicts: Sequence[Verdict] = (), *, settled: bool = True, **fields: Any) -> bytes:
    """A packed episode for a claim."""
    given = {"episode_id": f"ep-{claim.seq}-{claim.retry}", "case_id": f"case-{claim.seq}", **fields}
    played = episode(**{**given, "attempt": claim.attempt, "retry": claim.retry})
    return pack(Finished(seq=claim.seq, episode=played, verdicts=tuple(verdicts), settled=settled), claim.lock)


def run_all(
    store: SqlStore, made: RunManifest, rows: Iterable[WorkItem], judged: Sequence[Verdict] = (), **fields: Any
) -> list[str]:
    """Create a run and settle all its rows with equal episodes; returns the episodes' ids in order."""
    store.create_run(made, rows)
    claims = store.claim(made.run_id, "w", 1_000_000, 60)
    ids = [f"{made.run_id}-{claim.seq}" for claim in claims]
    packed = [finished(claim, judged, episode_id=name, **fields) for claim, name in zip(claims, ids, strict=True)]
    assert store.commit(made.run_id, "w", packed) == [claim.seq for claim in claims]
    return ids


def one_claim(store: SqlStore, run_id: str = "run-1", worker: str = "w") -> Claim:
    """Lease the next row, and no other."""
    (claim,) = store.claim(run_id, worker, 1, 60)
    return claim
