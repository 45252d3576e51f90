"""Decisions on pass rates: a minimum, and no regression against a baseline. Each is PASS, FAIL or INCONCLUSIVE, with the reason.

A gate never rounds ignorance up to PASS or down to FAIL. Missing verdicts (broken infrastructure, a judge without an answer)
are not failures, but they may hide some: whatever they could still overturn is INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from assay.stats.clusters import REFUSE_BELOW, Labels, chosen_labels
from assay.stats.flips import FlipTable
from assay.stats.intervals import Rate, clustered
from assay.stats.paired import PairedResult, compare
from assay.stats.power import cases_for_rate, cases_for_regression, cases_for_shift
from assay.stats.tallies import Tally

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]

DEFAULT_MARGIN = 0.05
"""Loss of pass rate that a regression gate must be able to rule out before it passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateDecision:
    """What a gate says, and why."""

    outcome: Outcome
    """PASS, FAIL or INCONCLUSIVE."""
    reason: str
    """One sentence for people, with the numbers that decided."""
    cases_needed: int | None
    """About how many more cases would decide if the rates stay; None when decided, or when more cases are no cure."""
    details: Mapping[str, float | int | str | None] = field(default_factory=dict[str, float | int | str | None])
    """The numbers behind the reason."""


def minimum_rate(
    cases: Sequence[Tally], minimum: float, *, clusters: Labels | None = None, confidence: float = 0.95
) -> GateDecision:
    """Decide whether the pass rate is at least a minimum.

    PASS when the one-sided lower bound reaches the minimum, FAIL when the one-sided upper bound is below it. The bounds are
    Clopper-Pearson: exact for yes/no cases, on the effective sample size for averaged attempts, scores and clusters.

    Args:
        cases: every planned case.
        minimum: required rate in [0, 1]. A sample can never prove 1.0, so that minimum can fail but not pass.
        clusters: label of each case; None, or None inside it, where a case shares its origin with no other.
        confidence: chance, at least, that a rate exactly at the minimum is not passed (and the same for failed).

    Raises:
        ValueError: minimum outside [0, 1], confidence outside (0.5, 1), or labels that do not match.

    """
    _check_confidence(confidence)
    if not 0.0 <= minimum <= 1.0:
        msg = f"minimum={minimum} must lie between 0 and 1, for instance 0.9"
        raise ValueError(msg)
    rate = _rate(cases, clusters, confidence)
    missing = sum(case.missing for case in cases)
    worst, best = _rate_extremes(cases, clusters, confidence) if missing else (rate, rate)
    details = {
        "rate": rate.value,
        "low": rate.interval.low,
        "high": rate.interval.high,
        "method": rate.interval.method,
        "minimum": minimum,
        "confidence": confidence,
        "cases": rate.n_cases,
        "clusters": rate.n_clusters,
        "missing": missing,
        "rate_if_missing_fail": worst.value,
        "rate_if_missing_pass": best.value,
    }
    outcome = _rate_outcome(rate, minimum)
    if outcome != "INCONCLUSIVE" and any(_rate_outcome(extreme, minimum) != outcome for extreme in (worst, best)):
        return _overturned(outcome, _rate_words(rate), missing, details)
    reason, needed = _rate_reason(outcome, rate, minimum, confidence)
    return GateDecision(outcome=outcome, reason=reason, cases_needed=needed, details=details)


def no_regression(
    baseline: Sequence[Tally],
    candidate: Sequence[Tally],
    *,
    clusters: Labels | None = None,
    margin: float = DEFAULT_MARGIN,
    confidence: float = 0.95,
) -> GateDecision:
    """Decide whether the candidate is worse than its baseline on the same cases.

    FAIL when the one-sided paired test finds it worse at alpha = 1 - confidence, however small the loss: the margin is a
    limit on ignorance, not an allowance. PASS when the one-sided lower bound of the difference lies above -margin.
    Otherwise INCONCLUSIVE: too few cases to exclude a loss of that size.

    Args:
        baseline: every case that both runs planned.
        candidate: the same cases in the same order.
        clusters: label of each case; None, or None inside it, where a case shares its origin with no other.
        margin: loss of pass rate that must be excluded before the gate passes, in [0, 1).
        confidence: one minus the chance of a false alarm between equal runs.

    Raises:
        ValueError: different lengths, margin or confidence out of range, or labels that do not match.

    """
    _check_confidence(confidence)
    if not 0.0 <= margin < 1.0:
        msg = f"margin={margin} must lie in [0, 1), for instance {DEFAULT_MARGIN}"
        raise ValueError(msg)
    if len(baseline) != len(candidate):
        msg = (
            f"{len(baseline)} baseline and {len(candidate)} candidate cases; align the runs on the cases of both plans"
        )
        raise ValueError(msg)
    result = _pairs(baseline, candidate, clusters, confidence)
    missing = sum(old.missing + new.missing for old, new in zip(baseline, candidate, strict=True))
    details = {"missing": missing, "margin": margin, "confidence": confidence}
    if result is None:
        reason = "no case was judged in both runs"
        return GateDecision(outcome="INCONCLUSIVE", reason=reason, cases_needed=None, details=details)
    details |= {
        "baseline": result.baseline,
        "candidate": result.candidate,
        "difference": result.difference,
        "low": result.interval.low,
        "high": result.interval.high,
        "method": result.interval.method,
        "p_value": result.p_value,
        "test": result.test,
        "regressed": result.regressed,
        "improved": result.improved,
        "cases": result.n_cases,
        "clusters": result.n_clusters,
    }
    outcome = regression_outcome(result, margin, confidence)
    extremes = _pair_extremes(baseline, candidate, clusters, confidence) if missing else ()
    if outcome != "INCONCLUSIVE" and any(regression_outcome(e, margin, confidence) != outcome for e in extremes):
        return _overturned(outcome, _pair_words(result), missing, details)
    reason, needed = _pair_reason(outcome, result, margin, confidence)
    return GateDecision(outcome=outcome, reason=reason, cases_needed=needed, details=details)


def regression_outcome(result: PairedResult | None, margin: float, confidence: float) -> Outcome:
    """Return what no_regression says of one comparison, made with alternative "worse" and level 2 * confidence - 1."""
    if result is None or result.p_value is None:
        return "INCONCLUSIVE"
    if result.difference < 0 and result.p_value <= 1.0 - confidence:
        return "FAIL"
    return "PASS" if result.interval.low > -margin else "INCONCLUSIVE"


def compare_for_regression(
    baseline: Sequence[float], candidate: Sequence[float], *, clusters: Labels | None = None, confidence: float = 0.95
) -> PairedResult:
    """Compare case means the way no_regression does: one-sided, exact where it can be, bound and test at the same alpha."""
    return compare(
        baseline, candidate, clusters=clusters, level=2.0 * confidence - 1.0, alternative="worse", is_strict=True
    )


def _rate(cases: Sequence[Tally], clusters: Labels | None, confidence: float) -> Rate:
    kept = [position for position, case in enumerate(cases) if case.judged]
    return clustered(
        [cases[position].mean for position in kept],
        clusters=chosen_labels(clusters, kept, len(cases)),
        attempts=sum(case.judged for case in cases),
        level=2.0 * confidence - 1.0,
        exact=True,
    )


def _rate_extremes(cases: Sequence[Tally], clusters: Labels | None, confidence: float) -> tuple[Rate, Rate]:
    worst, best = ([case.filled(passed=passed) for case in cases] for passed in (False, True))
    return _rate(worst, clusters, confidence), _rate(best, clusters, confidence)


def _pairs(
    baseline: Sequence[Tally], candidate: Sequence[Tally], clusters: Labels | None, confidence: float
) -> PairedResult | None:
    kept = [i for i, (old, new) in enumerate(zip(baseline, candidate, strict=True)) if old.judged and new.judged]
    labels = chosen_labels(clusters, kept, len(baseline))
    if not kept:
        return None
    old, new = [baseline[i].mean for i in kept], [candidate[i].mean for i in kept]
    return compare_for_regression(old, new, clusters=labels, confidence=confidence)


def _pair_extremes(
    baseline: Sequence[Tally], candidate: Sequence[Tally], clusters: Labels | None, confidence: float
) -> tuple[PairedResult | None, PairedResult | None]:
    low_old, high_old = ([case.filled(passed=passed) for case in baseline] for passed in (False, True))
    low_new, high_new = ([case.filled(passed=passed) for case in candidate] for passed in (False, True))
    return _pairs(high_old, low_new, clusters, confidence), _pairs(low_old, high_new, clusters, confidence)


def _rate_outcome(rate: Rate, minimum: float) -> Outcome:
    if not rate.can_decide:
        return "INCONCLUSIVE"
    if rate.interval.low >= minimum:
        return "PASS"
    return "FAIL" if rate.interval.high < minimum else "INCONCLUSIVE"


def _rate_reason(outcome: Outcome, rate: Rate, minimum: float, confidence: float) -> tuple[str, int | None]:
    words, sure = _rate_words(rate), f"with {_percent(confidence)} confidence"
    low, high, wanted = _percent(rate.interval.low), _percent(rate.interval.high), _percent(minimum)
    if outcome == "PASS":
        return f"{words}; {sure} at least {low}, and the minimum is {wanted}", None
    if outcome == "FAIL":
        return f"{words}; {sure} at most {high}, below the minimum of {wanted}", None
    if rate.value is None:
        needed = cases_for_rate(1.0, minimum, confidence=confidence)
        return f"{words}; it takes at least {needed} cases, even if all pass" if needed else words, needed
    if not rate.can_decide:
        return f"{words}; only {rate.n_clusters} independent clusters, and {REFUSE_BELOW} are needed to decide", None
    if minimum == 1.0 == rate.value:
        return f"{words}; a sample can't prove 100%, {sure} it is at least {low}: ask for a minimum below 1", None
    sides = f"one-sided {_percent(confidence)} bounds {low} and {high}"
    reason = f"{words}; {sides}, and the minimum of {wanted} lies between"
    total = cases_for_rate(rate.value, minimum, confidence=confidence)
    more = None if total is None else math.ceil(total * rate.n_cases / rate.n_effective) - rate.n_cases
    return _with_need(reason, more)


def _pair_reason(outcome: Outcome, result: PairedResult, margin: float, confidence: float) -> tuple[str, int | None]:
    words, sure = _pair_words(result), f"with {_percent(confidence)} confidence"
    loss = _percent(max(0.0, -result.interval.low))
    if result.p_value is None:
        return f"{words}; only {result.n_clusters} independent units, and {REFUSE_BELOW} are needed to decide", None
    if outcome == "FAIL":
        return f"{words}; equal runs would show such a loss with p = {result.p_value:.2g} ({result.test})", None
    if outcome == "PASS":
        return f"{words}; {sure} no loss beyond {loss}, within the margin of {_percent(margin)}", None
    reason = f"{words}; no proof of a loss (p = {result.p_value:.2g}), but it may be {loss}, beyond the margin of {_percent(margin)}"
    total = _cases_to_settle(result, margin, confidence)
    return _with_need(reason, None if total is None else total - result.n_cases)


def _cases_to_settle(result: PairedResult, margin: float, confidence: float) -> int | None:
    if result.interval.method != "newcombe-paired":
        half = result.difference - result.interval.low
        return cases_for_shift(result.difference, half, cases=result.n_cases, margin=margin)
    both = result.baseline * result.n_cases - result.regressed
    table = FlipTable(
        both=max(0.0, both),
        lost=result.regressed,
        gained=result.improved,
        neither=max(0.0, result.n_cases - both - result.regressed - result.improved),
    )
    return cases_for_regression(table, margin, confidence=confidence)


def _overturned(
    outcome: Outcome, words: str, missing: int, details: Mapping[str, float | int | str | None]
) -> GateDecision:
    reason = f"{words}: {outcome} as judged, but {missing} missing verdict(s) could change that; run them again"
    return GateDecision(outcome="INCONCLUSIVE", reason=reason, cases_needed=None, details=details)


def _with_need(reason: str, more: int | None) -> tuple[str, int | None]:
    if more is None:
        return f"{reason}; no affordable number of cases decides this if nothing else changes", None
    needed = max(1, more)
    return f"{reason}; about {needed} more cases would decide if nothing else changes", needed


def _rate_words(rate: Rate) -> str:
    return "no case was judged" if rate.value is None else f"pass rate {_percent(rate.value)} over {rate.n_cases} cases"


def _pair_words(result: PairedResult) -> str:
    change = f"{_percent(result.baseline)} to {_percent(result.candidate)} over {result.n_cases} cases"
    return f"pass rate {change} ({result.regressed} worse, {result.improved} better)"


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g}%"


def _check_confidence(confidence: float) -> None:
    if not 0.5 < confidence < 1.0:
        msg = f"confidence={confidence} must lie strictly between 0.5 and 1, for instance 0.95"
        raise ValueError(msg)
