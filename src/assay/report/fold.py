"""Fold a run's ledger rows into the standard report.

The unit of every rate is the case: its judged attempts are averaged first, and cases of one cluster are never counted as
independent. Nothing that infrastructure lost and nothing unjudged is in a denominator; `bounds` says what it could have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

import msgspec

from assay.core.protocols import RunTotals, Scored
from assay.core.report import (
    REPORT_SCHEMA,
    Coverage,
    Decision,
    FailureItem,
    Fingerprint,
    Hermetic,
    JudgeReport,
    Rate,
    Repeat,
    Report,
    Slice,
)
from assay.core.run import RunInfo, RunManifest
from assay.report.caveats import caveats
from assay.report.counts import Counts, Series, count
from assay.stats import intervals, repeats

LEVEL = 0.95
"""Confidence of the intervals in a report; gate rules have their own."""

GUARANTEES = frozenset({"fs", "pids", "net", "ipc", "env"})
"""What must hold for an episode to be hermetic."""

_FEW_CASES = 10

UNDECIDED = Decision(outcome="NONE")
"""The decision of a run without gate rules."""


def fold(
    info: RunInfo,
    scored: Sequence[Scored],
    totals: RunTotals,
    failures: Iterable[FailureItem],
    failures_total: int,
    *,
    level: float = LEVEL,
) -> Report:
    """Make the report of a run, finished or not, without a decision (`assay.report.gate` makes that).

    The order of `scored` changes nothing; `failures` are kept in the order given. Raises `ValueError` for rows with an outcome
    that is not known.
    """
    manifest = info.manifest
    counts = count(scored, [judge.name for judge in manifest.judges])
    overall, notes = _rate(counts, counts.overall, level)
    report = Report(
        schema=REPORT_SCHEMA,
        manifest=manifest,
        status=info.status,
        finished_at=info.finished_at,
        coverage=_coverage(counts, totals),
        overall=overall,
        judges=tuple(_judge(ref.name, ref.digest, counts, totals, level) for ref in manifest.judges),
        repeats=_repeats(counts, manifest.attempts),
        slices=tuple(
            Slice(tag=tag, rate=_rate(counts, counts.overall, level, cases)[0]) for tag, cases in counts.tags.items()
        ),
        failures=tuple(failures),
        failures_total=failures_total,
        usage=totals.usage,
        judge_cost_usd=_sum(totals.judge_cost_usd.values()),
        hermetic=_hermetic(manifest, totals),
        fingerprint=Fingerprint(
            static=manifest.fingerprint, models=totals.models, prompts=totals.prompts, tools=totals.tools
        ),
        decision=UNDECIDED,
    )
    return msgspec.structs.replace(report, warnings=caveats(report, counts, notes))


def describe_drift(before: Fingerprint, after: Fingerprint) -> str:
    """Say in a line what of the agent is not what it was; empty when nothing that is known differs."""
    changes: list[str] = []
    if before.static and after.static and before.static != after.static:
        changes.append("files or settings")
    if before.models != after.models:
        changes.append(f"models ({', '.join(before.models) or 'none'} before, {', '.join(after.models) or 'none'} now)")
    if before.prompts != after.prompts:
        changes.append(f"number of system prompts ({before.prompts} before, {after.prompts} now)")
    if before.tools != after.tools:
        gone, new = sorted({*before.tools} - {*after.tools}), sorted({*after.tools} - {*before.tools})
        changes.append("tools used (" + ", ".join([f"-{name}" for name in gone] + [f"+{name}" for name in new]) + ")")
    return f"the agent differs from the baseline's: {'; '.join(changes)}" if changes else ""


def _rate(
    counts: Counts, series: Series, level: float, within: Sequence[int] | None = None
) -> tuple[Rate, tuple[str, ...]]:
    """Estimate one rate, over all cases or those at some positions; also return what its reader must know."""
    passed, judged = series.passed, series.judged
    if within is not None:
        passed, judged = [passed[case] for case in within], [judged[case] for case in within]
    labels = _labels(counts, judged, within)
    attempts, successes, most = sum(judged), sum(passed), max(judged, default=0)
    if labels is None and most == 1 and attempts >= _FEW_CASES:
        # one yes or no per case: the counts say all that `clustered` would find in 10,000 means
        found, value, cases, notes = intervals.wilson(successes, attempts, level), successes / attempts, attempts, ()
    else:
        means = [won / tried for won, tried in zip(passed, judged, strict=True) if tried]
        estimate = intervals.clustered(means, clusters=labels, attempts=attempts, level=level)
        found, value, cases, notes = estimate.interval, estimate.value, estimate.n_cases, estimate.warnings
    rate = Rate(
        value=value,
        low=found.low,
        high=found.high,
        level=level,
        method=found.method,
        cases=cases,
        judged=attempts,
        passed=successes,
    )
    return rate, notes


def _labels(counts: Counts, judged: Sequence[int], within: Sequence[int] | None) -> list[str | None] | None:
    if counts.clusters is None:
        return None
    chosen = counts.clusters if within is None else [counts.clusters[case] for case in within]
    return list(compress(chosen, judged))


def _coverage(counts: Counts, totals: RunTotals) -> Coverage:
    outcomes = counts.outcomes
    return Coverage(
        planned=outcomes.total() + counts.pending,
        finished=outcomes["finished"],
        agent_error=outcomes["agent_error"],
        infra_error=outcomes["infra_error"],
        pending=counts.pending,
        reused=totals.reused,
        retried=totals.retried,
    )


def _judge(name: str, digest: str, counts: Counts, totals: RunTotals, level: float) -> JudgeReport:
    series = counts.judges[name]
    rate, _ = _rate(counts, series, level)
    return JudgeReport(
        name=name,
        digest=digest,
        judged=rate.judged,
        passed=rate.passed,
        failed=rate.judged - rate.passed,
        unjudged=series.unjudged,
        rate=rate,
        bounds=series.bounds(),
        mean_score=totals.judge_scores.get(name),
        cost_usd=totals.judge_cost_usd.get(name, 0.0),
    )


def _repeats(counts: Counts, attempts: int) -> tuple[Repeat, ...]:
    """Return pass@k and pass^k of all judges together, each k over the cases with at least k judged attempts."""
    if attempts < 2:
        return ()
    series, points = counts.overall, list[Repeat]()
    for k in range(1, attempts + 1):
        cases = [case for case, judged in enumerate(series.judged) if judged >= k]
        if not cases:
            break
        pairs = [(series.judged[case], series.passed[case]) for case in cases]
        labels = None if counts.clusters is None else [counts.clusters[case] for case in cases]
        point = repeats.curve(pairs, max_k=k, clusters=labels)[-1]
        points.append(
            Repeat(
                k=k,
                pass_at=point.pass_at_k,
                pass_at_se=point.pass_at_k_se or 0.0,
                pass_hat=point.pass_hat_k,
                pass_hat_se=point.pass_hat_k_se or 0.0,
                cases=point.n_cases,
            )
        )
    return tuple(points)


def _hermetic(manifest: RunManifest, totals: RunTotals) -> Hermetic:
    return Hermetic(
        isolation=manifest.isolation,
        note=manifest.isolation_note,
        guarantees=manifest.guarantees,
        complete=GUARANTEES.issubset(manifest.guarantees) and totals.unequal_worlds == 0,
        world_digests=totals.unequal_worlds,
    )


def _sum(costs: Iterable[float | None]) -> float | None:
    """Sum costs; one that is unknown makes the sum unknown."""
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)
