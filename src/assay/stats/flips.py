"""Flips: the cases that one run passes and the other fails, which hold all the evidence of a paired yes/no comparison.

Differences are candidate minus baseline throughout: positive is better.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from assay.stats.distributions import binomial_cdf, normal_quantile
from assay.stats.intervals import Interval, wilson

Alternative = Literal["two-sided", "worse", "better"]
"""What a small p value speaks for: a difference, a candidate worse than its baseline, a candidate better than it."""

SIGN_FLIP_LIMIT = 30
"""The sign-flip test enumerates all 2^m sign patterns of up to this many changed units."""

_TIE = 1e-9
_HALVINGS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class FlipTable:
    """The 2 x 2 table of one pair of runs over the same cases; fractional counts serve planning."""

    both: float
    """Passed by baseline and candidate."""
    lost: float
    """Passed by the baseline, failed by the candidate."""
    gained: float
    """Failed by the baseline, passed by the candidate."""
    neither: float
    """Failed by both."""

    def __post_init__(self) -> None:
        if min(self.both, self.lost, self.gained, self.neither) < 0 or self.cases <= 0:
            msg = f"{self} is impossible; a table holds at least one case and no negative count"
            raise ValueError(msg)

    @property
    def cases(self) -> float:
        """All cases of the table."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def difference(self) -> float:
        """Pass rate of the candidate minus that of the baseline."""
        return (self.gained - self.lost) / self.cases

    def scaled(self, factor: float) -> FlipTable:
        """Return the table of factor times as many cases with the same shares."""
        return FlipTable(
            both=self.both * factor,
            lost=self.lost * factor,
            gained=self.gained * factor,
            neither=self.neither * factor,
        )


def mcnemar(lost: float, gained: float, *, alternative: Alternative = "two-sided", mid_p: bool = False) -> float:
    """Return the exact p value of McNemar's test: given the flips, each direction is as likely as the other.

    The mid-p variant counts half of the observed outcome's own probability; it is less conservative and in practice keeps
    its size (Fagerland, Lydersen and Laake 2013). Without flips p = 1.

    Raises:
        ValueError: a count is negative.

    """
    if min(lost, gained) < 0:
        msg = f"lost={lost}, gained={gained}: flips can't be negative"
        raise ValueError(msg)
    flips = lost + gained
    if flips == 0:
        return 1.0
    against = {"worse": gained, "better": lost, "two-sided": min(lost, gained)}[alternative]
    tail = binomial_cdf(against, flips, 0.5)
    half = (tail - binomial_cdf(against - 1, flips, 0.5)) / 2.0 if mid_p else 0.0
    if alternative != "two-sided":
        return tail - half
    shared = half if lost == gained else 0.0  # the middle outcome belongs to both tails
    return min(1.0, 2.0 * (tail - half)) - shared


def smallest_significant(alpha: float = 0.05, *, alternative: Alternative = "two-sided") -> int:
    """Return how many flips, all in one direction, the exact test needs for p <= alpha: 6 two-sided, 5 one-sided at 0.05.

    Raises:
        ValueError: alpha is not strictly between 0 and 1.

    """
    if not 0.0 < alpha < 1.0:
        msg = f"alpha={alpha} must lie strictly between 0 and 1, for instance 0.05"
        raise ValueError(msg)
    sides = 2 if alternative == "two-sided" else 1
    return max(1, math.ceil(math.log2(sides / alpha) - _TIE))


def newcombe(table: FlipTable, level: float = 0.95) -> Interval:
    """Return the interval of the difference by squaring and adding Wilson limits (Newcombe 1998, method 10).

    It never collapses: without a single flip it still has the width that the number of cases allows.
    """
    n = table.cases
    candidate, baseline = table.both + table.gained, table.both + table.lost
    new, old = wilson(min(candidate, n), n, level), wilson(min(baseline, n), n, level)
    new_down, new_up = candidate / n - new.low, new.high - candidate / n
    old_down, old_up = baseline / n - old.low, old.high - baseline / n
    phi = _correlation(table)
    down = math.sqrt(max(0.0, new_down**2 - 2.0 * phi * new_down * old_up + old_up**2))
    up = math.sqrt(max(0.0, new_up**2 - 2.0 * phi * new_up * old_down + old_down**2))
    difference = table.difference
    return Interval(
        low=max(-1.0, difference - down), high=min(1.0, difference + up), method="newcombe-paired", level=level
    )


def _correlation(table: FlipTable) -> float:
    """Return phi of the table, with Newcombe's continuity correction when it is positive; 0 on an empty margin."""
    n = table.cases
    candidate, baseline = table.both + table.gained, table.both + table.lost
    margins = candidate * (n - candidate) * baseline * (n - baseline)
    if margins <= 0:
        return 0.0
    product = table.both * table.neither - table.lost * table.gained
    if product > 0:
        product = max(product - n / 2.0, 0.0)
    return product / math.sqrt(margins)


def tango(table: FlipTable, level: float = 0.95) -> Interval:
    """Return the score interval of the difference (Tango 1998), found by bisection on the score statistic."""
    z = normal_quantile((1.0 + level) / 2.0)
    n = table.cases
    low = -_tango_limit(table.gained, table.lost, n, z)
    return Interval(low=low, high=_tango_limit(table.lost, table.gained, n, z), method="tango", level=level)


def _tango_limit(lost: float, gained: float, n: float, z: float) -> float:
    """Return the largest difference that the score statistic does not reject at z."""
    low, high = (gained - lost) / n, 1.0
    for _ in range(_HALVINGS):
        delta = (low + high) / 2.0
        linear = (2.0 * n - gained + lost) * delta - gained - lost
        product = -lost * delta * (1.0 - delta)
        loss_rate = (math.sqrt(max(0.0, linear**2 - 8.0 * n * product)) - linear) / (4.0 * n)
        variance = n * (2.0 * loss_rate + delta * (1.0 - delta))
        if n * delta - (gained - lost) < z * math.sqrt(max(0.0, variance)):
            low = delta
        else:
            high = delta
    return high


def sign_flip(unit_sums: Sequence[float], *, alternative: Alternative = "two-sided") -> float:
    """Return the exact p value of the sign-flip test on paired differences, one sum per independent unit.

    If the runs are interchangeable, every unit's difference could as well have had the other sign: p is the share of the 2^m
    sign patterns whose total is at least as extreme. Units without a difference change nothing and are left out.

    Raises:
        ValueError: more than SIGN_FLIP_LIMIT units differ; a t test serves there.

    """
    changed = [value for value in unit_sums if value != 0.0]
    if len(changed) > SIGN_FLIP_LIMIT:
        msg = f"{len(changed)} units differ; the exact test lists patterns of up to {SIGN_FLIP_LIMIT}, use a t test"
        raise ValueError(msg)
    if not changed:
        return 1.0
    largest = max(abs(value) for value in changed)
    steps = [round(value / largest / _TIE) for value in changed]  # whole numbers, so that equal totals are equal
    total = sum(steps)
    extreme = {"worse": -total, "better": total, "two-sided": abs(total)}[alternative]
    share = _share_at_least(extreme - len(steps), [abs(step) for step in steps])
    return min(1.0, 2.0 * share) if alternative == "two-sided" else share


def _share_at_least(threshold: int, sizes: Sequence[int]) -> float:
    """Return the share of sign patterns whose total reaches the threshold, by joining the totals of two halves."""
    half = len(sizes) // 2
    left, right = _signed_totals(sizes[:half]), _signed_totals(sizes[half:])
    totals = sorted(right)
    reached = [0, *accumulate(right[total] for total in reversed(totals))]
    hits = sum(count * reached[len(totals) - bisect_left(totals, threshold - total)] for total, count in left.items())
    return hits / 2 ** len(sizes)


def _signed_totals(sizes: Sequence[int]) -> dict[int, int]:
    """Count the sign patterns that lead to each total."""
    counts = {0: 1}
    for size in sizes:
        grown: dict[int, int] = {}
        for total, count in counts.items():
            grown[total + size] = grown.get(total + size, 0) + count
            grown[total - size] = grown.get(total - size, 0) + count
        counts = grown
    return counts
