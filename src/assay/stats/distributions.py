"""The normal, beta, binomial and Student distributions, on the standard library alone.

scipy.special has them all, but importing it costs about a second of CPU on a small machine, which is more than everything
else that a gate does. The tests hold these functions to scipy's values.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_PRECISION = 1e-14
_MAX_TERMS = 100_000


def normal_quantile(probability: float) -> float:
    """Return z such that a standard normal value lies below z with this probability (strictly between 0 and 1)."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b) for a, b > 0: the share of Beta(a, b) below x.

    Evaluated by the continued fraction DLMF 8.17.22, on whichever side of the mean it converges quickly.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1.0) / (a + b + 2.0):
        return min(1.0, front * _beta_fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _beta_fraction(1.0 - x, b, a) / b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Sum the continued fraction of I_x(a, b) with the modified Lentz method."""
    numerator = 1.0
    denominator = _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    denominator = 1.0 / denominator
    total = denominator
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        step = 1.0
        for coefficient in (even, odd):
            denominator = 1.0 / _away_from_zero(1.0 + coefficient * denominator)
            numerator = _away_from_zero(1.0 + coefficient / numerator)
            step = numerator * denominator
            total *= step
        if abs(step - 1.0) < _PRECISION:
            return total
    msg = f"the incomplete beta function did not converge at x={x}, a={a}, b={b}"
    raise ArithmeticError(msg)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return x such that I_x(a, b) is this probability, by bisection to the last bits of a double."""
    low, high = 0.0, 1.0
    while high - low > 1e-15 * high:
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        if beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def binomial_cdf(successes: float, trials: float, probability: float) -> float:
    """Return P(X <= successes) for a binomial X; real-valued counts interpolate smoothly (for planning and effective n)."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return beta_cdf(1.0 - probability, trials - successes, successes + 1.0)


def t_tail(t: float, df: float) -> float:
    """Return P(T >= t) for Student's t with df > 0 degrees of freedom."""
    square = t * t
    if square < df:  # the smaller share keeps its digits
        half = (1.0 - beta_cdf(square / (df + square), 0.5, df / 2.0)) / 2.0
    else:
        half = beta_cdf(df / (df + square), df / 2.0, 0.5) / 2.0
    return half if t >= 0 else 1.0 - half


@lru_cache(maxsize=512)
def t_quantile(probability: float, df: float) -> float:
    """Return t such that Student's t with df degrees of freedom lies below t with this probability (kept: comparisons ask for the same few)."""
    share = beta_quantile(abs(2.0 * probability - 1.0), 0.5, df / 2.0)
    t = math.sqrt(df * share / (1.0 - share)) if share < 1.0 else math.inf
    return t if probability >= 0.5 else -t
