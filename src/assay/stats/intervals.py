"""Intervals for one pass rate: Wilson by default, Clopper-Pearson where a guarantee is given, both with effective n for clusters.

The unit is the case (or its cluster), never the attempt. Wald intervals are not offered: on 50 cases near 95 % their real coverage
falls far below the nominal one, and at 0 or 100 % they claim certainty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.stats.clusters import REFUSE_BELOW, Labels, cluster_warnings, count_units, standard_error
from assay.stats.distributions import beta_quantile, normal_quantile, t_quantile

_FEW_CASES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A two-sided confidence interval; both ends belong to it."""

    low: float
    """Lower end, in the unit of the estimate."""
    high: float
    """Upper end, in the unit of the estimate."""
    method: str
    """Name of the formula, for instance "wilson"."""
    level: float
    """Nominal coverage in (0, 1); each end is also a one-sided bound at (1 + level) / 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A mean over cases, with what it is worth."""

    value: float | None
    """Mean of the case means in [0, 1]; None when no case was judged."""
    interval: Interval
    """Interval of the mean; (0, 1) when no case was judged."""
    se: float | None
    """Standard error of the mean (clustered where there are clusters); None with fewer than two units."""
    n_cases: int
    """Judged cases."""
    n_clusters: int
    """Independent units: clusters, or cases where no two share one."""
    n_effective: float
    """Number of independent yes/no answers that carry the same information."""
    can_decide: bool
    """False when there are too few independent units to call anything significant."""
    warnings: tuple[str, ...]
    """What a reader must know beside the number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The pass rate if every missing verdict had failed, and if every one had passed."""

    low: float
    """Rate with all missing counted as failed."""
    high: float
    """Rate with all missing counted as passed."""


def wilson(passed: float, judged: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval (Wilson 1927) of passed out of judged; (0, 1) for 0 of 0.

    Raises:
        ValueError: the counts or the level are impossible.

    """
    _check(passed, judged, level)
    return _wilson(passed, judged, level, "wilson")


def clopper_pearson(passed: float, judged: float, level: float = 0.95) -> Interval:
    """Return the exact interval (Clopper and Pearson 1934): its coverage is never below the level, whatever the rate.

    Raises:
        ValueError: the counts or the level are impossible.

    """
    _check(passed, judged, level)
    return _clopper_pearson(passed, judged, level, "clopper-pearson")


def jeffreys(passed: float, judged: float, level: float = 0.95) -> Interval:
    """Return the Jeffreys interval, quantiles of Beta(passed + 1/2, failed + 1/2); its ends reach 0 and 1 at 0 % and 100 %.

    Raises:
        ValueError: the counts or the level are impossible.

    """
    _check(passed, judged, level)
    tail = (1.0 - level) / 2.0
    a, b = passed + 0.5, judged - passed + 0.5
    low = 0.0 if passed == 0 else beta_quantile(tail, a, b)
    high = 1.0 if passed == judged else beta_quantile(1.0 - tail, a, b)
    return Interval(low=low, high=high, method="jeffreys", level=level)


def bounds(passed: float, judged: float, missing: float) -> Bounds:
    """Return the rates that the missing verdicts could still turn the observed one into; (0, 1) when there is nothing at all.

    Raises:
        ValueError: the counts are impossible.

    """
    _check(passed, judged, 0.95)
    if missing < 0:
        msg = f"missing={missing} is negative; it counts planned verdicts that were never given"
        raise ValueError(msg)
    planned = judged + missing
    if planned == 0:
        return Bounds(low=0.0, high=1.0)
    return Bounds(low=passed / planned, high=(passed + missing) / planned)


def clustered(
    means: Sequence[float],
    *,
    clusters: Labels | None = None,
    attempts: int | None = None,
    level: float = 0.95,
    exact: bool = False,
) -> Rate:
    """Estimate the rate from one mean per case (its attempts averaged), each in [0, 1].

    Yes/no cases without clusters get the plain interval. All else gets it on the effective sample size of Korn and Graubard
    (1998): n* = p(1-p)/SE^2 * (t_{m-1}/t_{G-1})^2, never more than the m attempts; n* = G when every case agrees.

    Args:
        means: mean verdict or score of each judged case.
        clusters: label of each case; None, or None inside it, where a case shares its origin with no other.
        attempts: number of verdicts behind the means over all cases (m); one per case when not given. Repeats can make
            a rate more precise than its number of cases, but never more than their own number.
        level: nominal coverage of the interval.
        exact: Clopper-Pearson in place of Wilson, for a guarantee.

    Raises:
        ValueError: a mean outside [0, 1], labels that do not match, fewer attempts than cases, or an impossible level.

    """
    values = check_means(means)
    n = len(values)
    m = n if attempts is None else attempts
    if m < n:
        msg = f"{m} attempts for {n} judged cases; a judged case has at least one"
        raise ValueError(msg)
    name, formula = ("clopper-pearson", _clopper_pearson) if exact else ("wilson", _wilson)
    units = count_units(n, clusters)
    if n == 0:
        interval = formula(0, 0, check_level(level), name)
        return Rate(
            value=None,
            interval=interval,
            se=None,
            n_cases=0,
            n_clusters=0,
            n_effective=0.0,
            can_decide=False,
            warnings=("no case was judged",),
        )
    rate = math.fsum(values) / n
    se = standard_error(values, clusters)
    is_plain = units == n and all(value in {0.0, 1.0} for value in values)
    size = float(n) if is_plain else _effective_size(rate, se, m, units, check_level(level))
    return Rate(
        value=rate,
        interval=formula(rate * size, size, level, name if is_plain else f"{name}-effective-n"),
        se=se,
        n_cases=n,
        n_clusters=units,
        n_effective=size,
        can_decide=is_plain or units >= REFUSE_BELOW,
        warnings=_warnings(rate, n, units),
    )


def check_means(means: Sequence[float]) -> list[float]:
    """Return case means as floats.

    Raises:
        ValueError: one of them is not a number in [0, 1].

    """
    values = [float(mean) for mean in means]
    for position, value in enumerate(values):
        if not 0.0 <= value <= 1.0:
            msg = f"case {position} has mean {value}; verdicts and scores lie in [0, 1]; leave out unjudged cases"
            raise ValueError(msg)
    return values


def _effective_size(rate: float, se: float | None, attempts: int, units: int, level: float) -> float:
    if rate in {0.0, 1.0} or se is None:
        return float(units)
    if se == 0.0:
        return float(attempts)
    tail = (1.0 + level) / 2.0
    widening = t_quantile(tail, attempts - 1) / t_quantile(tail, units - 1)
    ratio = math.sqrt(rate * (1.0 - rate)) / se * widening
    return min(float(attempts), ratio * ratio)


def _warnings(rate: float, n_cases: int, n_units: int) -> tuple[str, ...]:
    few = (f"only {n_cases} cases: read the counts ({rate * n_cases:.3g} of {n_cases}) before the rate",)
    return (few if n_cases < _FEW_CASES else ()) + cluster_warnings(n_cases, n_units)


def _wilson(passed: float, judged: float, level: float, method: str) -> Interval:
    if judged == 0:
        return Interval(low=0.0, high=1.0, method=method, level=level)
    z2 = normal_quantile((1.0 + level) / 2.0) ** 2
    rate = passed / judged
    center = (rate + z2 / (2.0 * judged)) / (1.0 + z2 / judged)
    half = math.sqrt(z2 * rate * (1.0 - rate) / judged + (z2 / (2.0 * judged)) ** 2) / (1.0 + z2 / judged)
    low = 0.0 if passed == 0 else min(rate, max(0.0, center - half))
    high = 1.0 if passed == judged else max(rate, min(1.0, center + half))
    return Interval(low=low, high=high, method=method, level=level)


def _clopper_pearson(passed: float, judged: float, level: float, method: str) -> Interval:
    tail = (1.0 - level) / 2.0
    failed = judged - passed
    low = 0.0 if passed <= 0 else beta_quantile(tail, passed, failed + 1.0)
    high = 1.0 if failed <= 0 else beta_quantile(1.0 - tail, passed + 1.0, failed)
    return Interval(low=low, high=high, method=method, level=level)


def _check(passed: float, judged: float, level: float) -> None:
    check_level(level)
    if not 0 <= passed <= judged or math.isinf(judged):
        msg = f"{passed} passed of {judged} judged is impossible; passed must lie between 0 and judged"
        raise ValueError(msg)


def check_level(level: float) -> float:
    """Return the level of an interval.

    Raises:
        ValueError: it is not strictly between 0 and 1.

    """
    if not 0.0 < level < 1.0:
        msg = f"level={level} must lie strictly between 0 and 1, for instance 0.95"
        raise ValueError(msg)
    return level
