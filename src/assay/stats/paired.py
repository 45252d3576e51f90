"""Two runs over the same cases: the difference, its interval and a test, on case means (or their clusters)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.stats.clusters import REFUSE_BELOW, Labels, cluster_warnings, standard_error, unit_sums
from assay.stats.distributions import t_quantile, t_tail
from assay.stats.flips import (
    SIGN_FLIP_LIMIT,
    Alternative,
    FlipTable,
    mcnemar,
    newcombe,
    sign_flip,
    smallest_significant,
)
from assay.stats.intervals import Interval, check_level, check_means

_SAME = 1e-12
_FEW_CASES = 10
_FEW_CHANGES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedResult:
    """The comparison of a candidate with its baseline on the same cases."""

    baseline: float
    """Mean of the baseline's case means."""
    candidate: float
    """Mean of the candidate's case means."""
    difference: float
    """Candidate minus baseline; positive is better."""
    interval: Interval
    """Two-sided interval of the difference."""
    p_value: float | None
    """Chance of a result at least this extreme between equal runs; None when there are too few units to test."""
    test: str
    """Name of the test: "mcnemar-exact", "mcnemar-mid-p", "sign-flip", "paired-t" or "none"."""
    alternative: Alternative
    """What a small p value speaks for."""
    regressed: int
    """Cases whose mean fell."""
    improved: int
    """Cases whose mean rose."""
    n_cases: int
    """Compared cases."""
    n_clusters: int
    """Independent units: clusters, or cases where no two share one."""
    se: float | None
    """Standard error of the difference; None with fewer than two units."""
    can_decide: bool
    """False when there are too few independent units to call anything significant."""
    notes: tuple[str, ...]
    """What a reader must know beside the numbers."""


def compare(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    alternative: Alternative = "two-sided",
    is_strict: bool = False,
) -> PairedResult:
    """Compare two runs over the same cases.

    Yes/no cases without clusters: Newcombe's paired interval and McNemar's test, mid-p, or exact when fewer than ten cases
    flipped. Scores, averaged attempts and clusters: a t interval, with the sign-flip test up to 30 changed units and the
    paired t test above. Where fewer than ten units changed, the t interval gets two imagined units that changed completely,
    one each way (Bonett and Price 2012): cases that could have changed but did not are no proof that none would.

    Args:
        baseline: mean verdict or score in [0, 1] of each case, its attempts averaged.
        candidate: the same cases in the same order.
        clusters: label of each case; None, or None inside it, where a case shares its origin with no other.
        level: nominal coverage of the interval. Each end is a one-sided bound at (1 + level) / 2.
        alternative: side of the test; a one-sided test belongs to a level of 1 - 2 * alpha.
        is_strict: always take the exact McNemar test, as a gate must.

    Raises:
        ValueError: no cases, different lengths, a mean outside [0, 1], labels that do not match, or an impossible level.

    """
    before, after = check_means(baseline), check_means(candidate)
    if len(before) != len(after) or not before:
        msg = f"{len(before)} baseline and {len(after)} candidate cases; align the runs on the cases that both judged"
        raise ValueError(msg)
    changes = [_change(old, new) for old, new in zip(before, after, strict=True)]
    sums = unit_sums(changes, clusters)
    is_plain = len(sums) == len(changes) and {0.0, 1.0}.issuperset(before) and {0.0, 1.0}.issuperset(after)
    if is_plain:
        table = _table(before, changes)
        interval = newcombe(table, level)
        p_value, test = _flip_test(table, alternative, is_strict=is_strict)
    else:
        interval = _t_interval(changes, clusters, level)
        p_value, test = _change_test(changes, sums, clusters, alternative)
    n = len(changes)
    return PairedResult(
        baseline=math.fsum(before) / n,
        candidate=math.fsum(after) / n,
        difference=math.fsum(changes) / n,
        interval=interval,
        p_value=p_value,
        test=test,
        alternative=alternative,
        regressed=sum(change < 0 for change in changes),
        improved=sum(change > 0 for change in changes),
        n_cases=n,
        n_clusters=len(sums),
        se=standard_error(changes, clusters),
        can_decide=p_value is not None,
        notes=_notes(n, sums, level, alternative),
    )


def _change(old: float, new: float) -> float:
    """Return the difference, without the dust that averaging leaves on equal means."""
    return 0.0 if abs(new - old) < _SAME else new - old


def _table(before: Sequence[float], changes: Sequence[float]) -> FlipTable:
    lost, gained = changes.count(-1.0), changes.count(1.0)
    both = math.fsum(before) - lost
    return FlipTable(both=both, lost=lost, gained=gained, neither=len(changes) - both - lost - gained)


def _flip_test(table: FlipTable, alternative: Alternative, *, is_strict: bool) -> tuple[float, str]:
    mid_p = not is_strict and table.lost + table.gained >= _FEW_CHANGES
    p_value = mcnemar(table.lost, table.gained, alternative=alternative, mid_p=mid_p)
    return p_value, "mcnemar-mid-p" if mid_p else "mcnemar-exact"


def _change_test(
    changes: Sequence[float], sums: Sequence[float], clusters: Labels | None, alternative: Alternative
) -> tuple[float | None, str]:
    if len(sums) < REFUSE_BELOW:
        return None, "none"
    changed = sum(value != 0 for value in sums)
    if changed <= SIGN_FLIP_LIMIT:
        return sign_flip(sums, alternative=alternative), "sign-flip"
    mean, se = math.fsum(changes) / len(changes), standard_error(changes, clusters)
    t = mean / se if se else math.copysign(math.inf, mean)
    df, least = len(sums) - 1, 0.5**changed  # no sign pattern is rarer than this, whatever t says
    if alternative == "two-sided":
        return min(1.0, 2.0 * max(least, t_tail(abs(t), df))), "paired-t"
    return max(least, t_tail(-t if alternative == "worse" else t, df)), "paired-t"


def _t_interval(changes: Sequence[float], clusters: Labels | None, level: float) -> Interval:
    n = len(changes)
    sums, sizes = unit_sums(changes, clusters), unit_sums([1.0] * n, clusters)
    units, difference = len(sums), math.fsum(changes) / n
    quantile = t_quantile((1.0 + check_level(level)) / 2.0, units - 1) if units > 1 else math.inf
    method = "paired-t"
    if sum(value != 0 for value in sums) < _FEW_CHANGES or len(set(changes)) == 1:
        method = "paired-t-plus-two"
        sums, sizes = [*sums, n / units, -n / units], [*sizes, n / units, n / units]
    total = math.fsum(sizes)
    center = math.fsum(sums) / total
    squares = math.fsum((value - size * center) ** 2 for value, size in zip(sums, sizes, strict=True))
    half = quantile * math.sqrt(squares * len(sums) / (len(sums) - 1)) / total
    low, high = max(-1.0, center - half), min(1.0, center + half)
    return Interval(low=min(low, difference), high=max(high, difference), method=method, level=level)


def _notes(n_cases: int, sums: Sequence[float], level: float, alternative: Alternative) -> tuple[str, ...]:
    units = len(sums)
    unit = "case" if units == n_cases else "cluster"
    changed = sum(value != 0 for value in sums)
    alpha = (1.0 - level) if alternative == "two-sided" else (1.0 - level) / 2.0
    needed = smallest_significant(alpha, alternative=alternative)
    notes: list[str] = []
    if changed == 0:
        notes.append(f"no change in any {unit}")
    elif changed < needed:
        notes.append(
            f"{changed} {unit}(s) changed: with fewer than {needed}, all in one direction, nothing can be significant"
        )
    if n_cases < _FEW_CASES:
        notes.append(f"only {n_cases} cases: read the changes one by one")
    return (*notes, *cluster_warnings(n_cases, units))
