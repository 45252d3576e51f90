"""The gate: from a report, its evidence and rules to PASS, FAIL, INCONCLUSIVE or INVALID, with the numbers in the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from assay.core.protocols import Scored
from assay.core.report import Comparison, Decision, Report
from assay.core.run import GateRules
from assay.report.compare import common_cases
from assay.report.counts import Counts, Series, count, episode_passed
from assay.report.words import percent, plural
from assay.stats import gates, selftest
from assay.stats.tallies import Tally

_GRAVEST = ("INVALID", "FAIL", "INCONCLUSIVE", "PASS")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger rows behind a decision: a report's rates alone do not say how its cases cluster and repeat."""

    scored: Sequence[Scored]
    """Rows of the run."""
    baseline: Sequence[Scored] = ()
    """Rows of the run that must not be regressed against."""


class _Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule came to."""

    outcome: str
    """One of `_GRAVEST`."""
    reason: str
    """A sentence with the numbers in it."""
    cases_needed: int | None = None
    """For `INCONCLUSIVE`: cases in all that would settle it."""


def decide(report: Report, comparison: Comparison | None, rules: GateRules, evidence: Evidence) -> Decision:
    """Decide a run by its rules. INVALID beats FAIL beats INCONCLUSIVE beats PASS.

    INVALID: the run cannot answer (unfinished, too much lost to infrastructure, other judges than the baseline's). FAIL and PASS
    are each claimed at the confidence of the rules, per rule, and only where unjudged and lost episodes could not change them.
    Without a rule the outcome is `NONE` unless the run is INVALID. Raises `ValueError` for a confidence outside (0.5, 1) or a
    minimum outside [0, 1].
    """
    tainted = list(_taints(report, rules))
    if _is_unfinished(report):
        return Decision(outcome="INVALID", reasons=tuple(finding.reason for finding in tainted))
    counts = count(evidence.scored, [judge.name for judge in report.manifest.judges])
    checked = [*_minimums(report, counts, rules), *_regression(report, comparison, rules, counts, evidence)]
    findings = [*tainted, *checked]
    if not findings:
        return Decision(outcome="NONE")
    outcome = min((finding.outcome for finding in findings), key=_GRAVEST.index)
    reasons = [finding.reason for finding in sorted(findings, key=lambda finding: _GRAVEST.index(finding.outcome))]
    if len(checked) > 1:
        reasons.append(
            f"{len(checked)} rules were checked, each on its own at {100 * rules.confidence:.4g}% confidence; "
            "the chance that one of them errs is larger."
        )
    return Decision(
        outcome=outcome,
        reasons=tuple(reasons),
        cases_needed=_cases_needed(findings) if outcome == "INCONCLUSIVE" else None,
    )


def self_test(
    scored: Sequence[Scored], judges: Sequence[str], rules: GateRules, *, splits: int = 400, seed: int = 0
) -> tuple[str, ...]:
    """Measure how often the no-regression rule would accuse an agent of being worse than itself, on one run's own attempts.

    Returns sentences, the result first. The same rows in any order and the same seed give the same result. Raises
    `ValueError` when fewer than two cases have a verdict.
    """
    verdicts: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for row in sorted(scored, key=lambda row: (row.case_id, row.attempt)):
        passed = episode_passed(row, judges)
        clusters[row.case_id] = row.cluster
        if passed is not None:
            verdicts.setdefault(row.case_id, []).append(float(passed))
    labels = [clusters[case] or None for case in verdicts]
    result = selftest.self_test(
        list(verdicts.values()),
        clusters=labels if any(labels) else None,
        margin=rules.margin,
        confidence=rules.confidence,
        splits=splits,
        seed=seed,
    )
    attempts = max(map(len, verdicts.values()))
    size = plural(result.n_cases, "case") + (f" \u00d7 {attempts} attempts" if attempts > 1 else "")
    low, high = 100 * result.interval.low, 100 * result.interval.high
    word = "within" if result.keeps_promise else "MORE THAN"
    alarms = f"{percent(result.false_alarms)} false alarms (95% {low:.1f}\u2013{high:.1f})"
    open_splits = result.splits - result.passed - result.failed
    return (
        f"on {size}, A/A ({result.splits} splits): {alarms}, {word} the nominal {percent(result.promised)}",
        f"{result.passed} of {result.splits} splits passed, {open_splits} were inconclusive",
        *result.notes,
    )


def _is_unfinished(report: Report) -> bool:
    return report.status != "finished" or report.coverage.pending > 0


def _taints(report: Report, rules: GateRules) -> Iterator[_Finding]:
    """Yield why the run cannot answer at all."""
    coverage = report.coverage
    settled = coverage.planned - coverage.pending
    if _is_unfinished(report):
        state = f"{report.status}, {coverage.pending:,} of {plural(coverage.planned, 'episode')} not run"
        yield _Finding(outcome="INVALID", reason=f"the run is not complete ({state}): resume it first")
    elif not settled:
        yield _Finding(outcome="INVALID", reason="the run has no episodes")
    if settled and coverage.infra_error / settled > rules.max_infra:
        yield _Finding(
            outcome="INVALID",
            reason=(
                f"{coverage.infra_error:,} of {plural(settled, 'episode')} ({percent(coverage.infra_error / settled)}) were lost "
                f"to infrastructure, more than the {percent(rules.max_infra)} allowed: repair it and run again"
            ),
        )


def _minimums(report: Report, counts: Counts, rules: GateRules) -> Iterator[_Finding]:
    if rules.minimum is not None:
        yield _minimum("overall", counts.overall, rules.minimum, counts, rules)
    for name, minimum in rules.judges.items():
        if name in counts.judges:
            yield _minimum(f"judge {name}", counts.judges[name], minimum, counts, rules)
        else:
            known = ", ".join(judge.name for judge in report.manifest.judges) or "none"
            yield _Finding(outcome="INVALID", reason=f"judge {name}: the run has no such judge (it has: {known})")


def _minimum(label: str, series: Series, minimum: float, counts: Counts, rules: GateRules) -> _Finding:
    found = gates.minimum_rate(_tallies(series), minimum, clusters=counts.clusters, confidence=rules.confidence)
    return _finding(f"minimum {100 * minimum:.4g}% {label}", found, len(counts.cases))


def _regression(
    report: Report, comparison: Comparison | None, rules: GateRules, counts: Counts, evidence: Evidence
) -> Iterator[_Finding]:
    if not rules.baseline:
        return
    label = "no regression"
    if comparison is None:
        yield _Finding(
            outcome="INCONCLUSIVE", reason=f"{label}: no finished run to compare with was found for {rules.baseline!r}"
        )
        return
    label = f"no regression against {comparison.run_a}"
    if comparison.judges_differ:
        yield _Finding(
            outcome="INVALID",
            reason=(
                f"{label}: it was not judged by the same judges ({', '.join(comparison.judges_differ)}), "
                "so a difference may be theirs; rejudge it first"
            ),
        )
        return
    before = count(evidence.baseline, [judge.name for judge in report.manifest.judges])
    common = common_cases((before, counts))
    old, new = _tallies(before.overall), _tallies(counts.overall)
    found = gates.no_regression(
        [old[i] for i, _ in common.positions],
        [new[j] for _, j in common.positions],
        clusters=common.clusters,
        margin=rules.margin,
        confidence=rules.confidence,
    )
    yield _finding(label, found, len(common.positions))


def _tallies(series: Series) -> list[Tally]:
    rows = zip(series.passed, series.judged, series.missing, strict=True)
    return [Tally(passed=passed, judged=judged, missing=missing) for passed, judged, missing in rows]


def _finding(label: str, found: gates.GateDecision, cases: int) -> _Finding:
    needed = None if found.cases_needed is None else cases + found.cases_needed
    return _Finding(outcome=found.outcome, reason=f"{found.outcome}: {label}: {found.reason}", cases_needed=needed)


def _cases_needed(findings: Sequence[_Finding]) -> int | None:
    """Return the cases that settle every open rule; None when more cases do not settle one of them."""
    needed = [finding.cases_needed for finding in findings if finding.outcome == "INCONCLUSIVE"]
    known = [cases for cases in needed if cases is not None]
    return max(known) if len(known) == len(needed) else None
