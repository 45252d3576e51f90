"""How many cases a question needs, and the smallest difference that a number of cases can show."""

from __future__ import annotations

import math
from collections.abc import Callable

from assay.stats.distributions import beta_cdf, binomial_cdf, normal_quantile
from assay.stats.flips import FlipTable, mcnemar, newcombe

CASES_LIMIT = 1_000_000
"""A question that needs more cases than this is answered with None: not with this kind of evidence."""


def detectable_difference(cases: int, flip_rate: float, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest difference of pass rates that a paired comparison of this many cases detects.

    Solves n = ((z_{a/2} sqrt(psi) + z_b sqrt(psi - d^2))/d)^2 for d. None when even flips in one direction only would not be enough.

    Args:
        cases: number of cases, each judged in both runs.
        flip_rate: expected share psi of cases that flip in either direction, from the history of runs.
        alpha: two-sided size of the test.
        power: chance to detect it.

    """
    z_a, z_b = normal_quantile(1.0 - alpha / 2.0), normal_quantile(power)
    root = z_a * math.sqrt(cases) + z_b * math.sqrt(max(0.0, cases + z_b**2 - z_a**2))
    difference = math.sqrt(flip_rate) * root / (cases + z_b**2)
    return difference if difference <= flip_rate else None


def cases_for_difference(difference: float, flip_rate: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many cases a paired comparison needs to detect this difference of pass rates (Connor 1987).

    Raises:
        ValueError: the difference is 0, or larger than the share of cases that flip.

    """
    size = abs(difference)
    if not 0.0 < size <= flip_rate <= 1.0:
        msg = f"difference={difference} with flip_rate={flip_rate}: need 0 < difference <= flip_rate <= 1"
        raise ValueError(msg)
    z_a, z_b = normal_quantile(1.0 - alpha / 2.0), normal_quantile(power)
    return math.ceil(((z_a * math.sqrt(flip_rate) + z_b * math.sqrt(flip_rate - size**2)) / size) ** 2)


def cases_for_scores(
    difference: float,
    *,
    variance: float,
    noise: tuple[float, float] = (0.0, 0.0),
    attempts: tuple[int, int] = (1, 1),
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Return how many cases a paired comparison of means needs: (z_{a/2}+z_b)^2 (w^2 + s_A^2/K_A + s_B^2/K_B)/d^2 (Miller 2024).

    Args:
        difference: difference of means to detect.
        variance: w^2, variance over cases of the true difference between the two runs.
        noise: s^2 of each run, the mean variance of one attempt around its case's own mean.
        attempts: K of each run, attempts per case.
        alpha: two-sided size of the test.
        power: chance to detect it.

    Raises:
        ValueError: the difference is 0.

    """
    if difference == 0:
        msg = "a difference of 0 can't be detected with any number of cases; name the smallest difference that matters"
        raise ValueError(msg)
    z = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)
    total = variance + noise[0] / attempts[0] + noise[1] / attempts[1]
    return math.ceil(z**2 * total / difference**2)


def cases_for_rate(rate: float, minimum: float, *, confidence: float = 0.95) -> int | None:
    """Return how many independent cases settle whether a rate clears a minimum, if it stays what it is now.

    Settled means that the one-sided Clopper-Pearson bound has left the minimum on the rate's side. None when that never
    happens: the rate is the minimum, or the two are too close for CASES_LIMIT cases.
    """

    def is_settled(cases: int) -> bool:
        passed = rate * cases
        if rate >= minimum:
            return passed > 0 and beta_cdf(minimum, passed, cases - passed + 1.0) <= 1.0 - confidence
        return binomial_cdf(passed, cases, minimum) < 1.0 - confidence

    return None if rate == minimum else _smallest(is_settled)


def cases_for_regression(table: FlipTable, margin: float, *, confidence: float = 0.95) -> int | None:
    """Return how many cases settle a regression gate if the shares of flips stay what they are now.

    Settled means either that the one-sided Newcombe bound of the difference lies above -margin, or that the one-sided exact
    McNemar test finds the candidate worse. None when neither happens within CASES_LIMIT cases.
    """

    def is_settled(cases: int) -> bool:
        grown = table.scaled(cases / table.cases)
        if newcombe(grown, 2.0 * confidence - 1.0).low > -margin:
            return True
        return mcnemar(grown.lost, grown.gained, alternative="worse") <= 1.0 - confidence

    return _smallest(is_settled)


def cases_for_shift(difference: float, half_width: float, *, cases: int, margin: float) -> int | None:
    """Return how many cases settle a regression gate on scores, averaged attempts or clusters, if all else stays.

    Settled means that the interval, which shrinks with the square root of the cases, leaves -margin or 0 outside. None when
    that takes more than CASES_LIMIT cases.

    Args:
        difference: candidate minus baseline now.
        half_width: distance from the difference to the one-sided bound now.
        cases: cases compared now.
        margin: loss that is tolerated.

    """
    distance = max(difference + margin, -difference)
    if distance <= 0:
        return None
    needed = math.ceil(cases * (half_width / distance) ** 2)
    return needed if needed <= CASES_LIMIT else None


def _smallest(is_settled: Callable[[int], bool]) -> int | None:
    """Return the smallest number of cases that settles a question which stays settled with more, by bisection."""
    high = 1
    while not is_settled(high):
        high *= 2
        if high > CASES_LIMIT:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_settled(middle) else (middle, high)
    return high
