"""Runs, rows and episodes made by hand, for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assay.core.case import Case
from assay.core.effects import Effects, FileChange, RowChange, TableDiff
from assay.core.episode import Episode, Failure, Outcome
from assay.core.protocols import RunTotals, Scored
from assay.core.report import FailureItem, Report
from assay.core.run import GateRules, JudgeRef, RunInfo, RunManifest
from assay.core.trace import Message, ModelCall, Span, ToolCall, Trace
from assay.core.usage import Usage
from assay.report.fold import fold

ALL_HELD = ("fs", "pids", "net", "ipc", "env")

TAU_AIRLINE = {0: 14, 1: 12, 2: 10, 3: 4, 4: 10}
"""tau-bench, gpt-4o on airline: passes in 4 trials -> tasks. Published pass^1..4: .420 .273 .220 .200."""


def manifest(judges: Sequence[str] = ("exact",), **settings: object) -> RunManifest:
    given: dict[str, object] = {
        "run_id": "run-b",
        "eval_name": "booking",
        "kind": "run",
        "created_at": 1_763_800_000.0,
        "dataset": "frontdesk",
        "tier": "golden",
        "dataset_digest": "d" * 32,
        "dataset_path": "datasets/frontdesk",
        "cases": 1,
        "attempts": 1,
        "harness": "desk",
        "harness_kind": "function",
        "harness_digest": "e" * 32,
        "fingerprint": "f" * 32,
        "judges": tuple(JudgeRef(name=name, digest=f"digest of {name}") for name in judges),
        "isolation": "jail",
        "guarantees": ALL_HELD,
    }
    return RunManifest(**(given | settings))  # type: ignore[arg-type] - names are checked at run time


def info(made: RunManifest, status: str = "finished") -> RunInfo:
    return RunInfo(manifest=made, status=status, done=0, total=0, finished_at=1_763_800_300.0)


def totals(**settings: object) -> RunTotals:
    given: dict[str, object] = {
        "usage": Usage(),
        "judge_cost_usd": {},
        "judge_scores": {},
        "retried": 0,
        "reused": 0,
        "unequal_worlds": 0,
        "models": (),
        "prompts": 0,
        "tools": (),
    }
    return RunTotals(**(given | settings))  # type: ignore[arg-type] - names are checked at run time


def row(
    case: str,
    *said: bool | None,
    outcome: str = "finished",
    attempt: int = 0,
    cluster: str = "",
    tags: tuple[str, ...] = (),
    judges: Sequence[str] = ("exact", "tone", "policy"),
    prefix: str = "e",
) -> Scored:
    """One ledger row; `said` is what the judges said, in their order."""
    return Scored(
        seq=0,
        case_id=case,
        cluster=cluster,
        tags=tags,
        attempt=attempt,
        outcome=outcome,
        episode_id=f"{prefix}-{case}-{attempt}",
        trace_id="a" * 32,
        reused=False,
        verdicts={name: (passed, None) for name, passed in zip(judges, said, strict=False)},
    )


def single(verdicts: Iterable[bool | None], **settings: object) -> list[Scored]:
    """One judge, one attempt, one row per verdict."""
    return [row(f"case-{at:04d}", passed, **settings) for at, passed in enumerate(verdicts)]  # type: ignore[arg-type]


def repeated(passes: dict[int, int], attempts: int) -> list[Scored]:
    """One judge and several attempts: `passes` maps passed attempts to the number of cases."""
    counts = [passed for passed, cases in passes.items() for _ in range(cases)]
    return [
        row(f"task-{case:03d}", attempt < passed, attempt=attempt)
        for case, passed in enumerate(counts)
        for attempt in range(attempts)
    ]


def report(
    rows: Sequence[Scored],
    judges: Sequence[str] = ("exact",),
    *,
    failures: Sequence[FailureItem] = (),
    status: str = "finished",
    rules: GateRules | None = None,
    **settings: object,
) -> Report:
    attempts = max((found.attempt for found in rows), default=0) + 1
    cases = len({found.case_id for found in rows})
    made = manifest(judges, cases=cases, attempts=attempts, gate=rules, **settings)
    return fold(info(made, status), rows, totals(), failures, len(failures))


def failure(
    case: str, judge: str = "exact", *, kind: str = "failed", reason: str = "wrong", **more: str
) -> FailureItem:
    return FailureItem(
        case_id=case,
        attempt=0,
        judge=judge,
        kind=kind,
        reason=reason,
        episode_id=more.get("episode_id", f"e-{case}-0"),
        trace_id="a" * 32,
        link=more.get("link", ""),
    )


def episode(text: str = "hello", **settings: object) -> Episode:
    """An episode that has something in every field, `text` in each of its texts."""
    call = ToolCall(name=text, arguments={text: [text]}, result={text: text}, error=text, id="c1", span_id="s1")
    said = (
        Message(role=text, text=text, reasoning=text, name=text, tool_calls=(call,)),
        Message(role="tool", text=text, tool_call_id="c1", attachments=({"type": text},)),
    )
    spans = (
        Span(span_id="s0", name=text, start_ns=1, end_ns=9, kind="agent"),
        Span(span_id="s1", name=text, start_ns=2, end_ns=3, parent_id="s0", tool=call),
        Span(span_id="s2", name=text, start_ns=4, end_ns=5, parent_id="s0", model=ModelCall(model=text, output=said)),
    )
    changed = RowChange(key={"id": 1}, before={"id": 1, text: text}, after={"id": 1, text: text + "!"})
    tables = (TableDiff(database=text, table=text, added=({text: text},), removed=({text: text},), changed=(changed,)),)
    files = (FileChange(path=text, change="added", size=3, text=text), FileChange(path="gone", change="removed"))
    given: dict[str, object] = {
        "id": "e-case-0",
        "case": Case(id=text, input=text, expected={text: text}, tags=(text,)),
        "outcome": Outcome.agent_error,
        "trace": Trace(trace_id="a" * 32, spans=spans),
        "outputs": (text,),
        "effects": Effects(tables=tables, files=files, dropped_files=2, problems=(text,)),
        "failure": Failure(boundary="agent", kind=text, message=text, detail=text),
        "usage": Usage(input_tokens=1, output_tokens=2, model_calls=1, tool_calls=1, cost_usd=0.01),
        "duration_s": 1.5,
        "isolation": "jail",
        "logs": text,
    }
    return Episode(**(given | settings))  # type: ignore[arg-type] - names are checked at run time
