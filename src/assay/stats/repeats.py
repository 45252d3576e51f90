"""Several attempts at the same cases: pass@k, pass^k, and how much of the spread is the agent's own flakiness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.stats.clusters import Labels, standard_error
from assay.stats.distributions import beta_cdf

Counts = Sequence[tuple[int, int]]
"""Per case: attempts judged, attempts passed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatPoint:
    """pass@k and pass^k at one k, averaged over cases."""

    k: int
    """Number of attempts the two rates speak about."""
    pass_at_k: float
    """Chance that at least one of k attempts passes."""
    pass_at_k_se: float | None
    """Standard error over cases; None with fewer than two independent cases."""
    pass_hat_k: float
    """Chance that all k attempts pass."""
    pass_hat_k_se: float | None
    """Standard error over cases; None with fewer than two independent cases."""
    n_cases: int
    """Cases averaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Variance of attempts, split into differences between cases and flakiness within them."""

    between: float
    """Variance of the cases' true pass rates (cases differ in difficulty); never below 0."""
    within: float
    """Mean variance of one attempt around its case's true rate (the same case passes and fails)."""
    n_cases: int
    """Cases with at least two attempts; the others show nothing about flakiness and are left out."""
    n_mixed: int
    """Cases seen both to pass and to fail."""

    @property
    def useful_attempts(self) -> int | None:
        """Attempts per case beyond which more cases help more than more attempts; None if cases do not differ."""
        return max(1, math.ceil(self.within / self.between)) if self.between > 0 else None

    def standard_error(self, n_cases: int, attempts: int) -> float:
        """Return the standard error to expect of a mean over n_cases cases with this many attempts each."""
        return math.sqrt((self.between + self.within / attempts) / n_cases)


def pass_at_k(attempts: int, passed: int, k: int) -> float:
    """Return the unbiased chance that at least one of k attempts passes: 1 - C(n-c, k)/C(n, k) (Chen et al. 2021).

    Raises:
        ValueError: k is larger than the number of attempts, or the counts are impossible.

    """
    _check(attempts, passed, k)
    return 1.0 - math.comb(attempts - passed, k) / math.comb(attempts, k)


def pass_hat_k(attempts: int, passed: int, k: int) -> float:
    """Return the unbiased chance that all of k attempts pass: C(c, k)/C(n, k) (Yao et al. 2024, tau-bench).

    The k-th power of the pass rate would be biased upwards for a flaky case.

    Raises:
        ValueError: k is larger than the number of attempts, or the counts are impossible.

    """
    _check(attempts, passed, k)
    return math.comb(passed, k) / math.comb(attempts, k)


def curve(counts: Counts, *, max_k: int | None = None, clusters: Labels | None = None) -> tuple[RepeatPoint, ...]:
    """Return pass@k and pass^k for k = 1 to max_k, with standard errors over cases (or their clusters).

    Without max_k the curve ends at the fewest attempts that any case has; without cases it is empty.

    Raises:
        ValueError: a case has fewer than max_k attempts, or impossible counts.

    """
    if not counts:
        return ()
    last = min(attempts for attempts, _ in counts) if max_k is None else max_k
    return tuple(_point(counts, k, clusters) for k in range(1, last + 1))


def spread(counts: Counts) -> Spread:
    """Split the variance of attempts: Var(mean) = (between + within/K)/n, within_i = p_i(1-p_i)K_i/(K_i-1) (Miller 2024).

    Raises:
        ValueError: fewer than two cases have two attempts, or the counts are impossible.

    """
    for attempts, passed in counts:
        _check(attempts, passed, 1)
    repeated = [(attempts, passed / attempts, passed) for attempts, passed in counts if attempts >= 2]
    n = len(repeated)
    if n < 2:
        msg = f"{n} of {len(counts)} cases have two or more attempts; run at least two cases with attempts = 2 or more"
        raise ValueError(msg)
    noise = [rate * (1.0 - rate) * attempts / (attempts - 1) for attempts, rate, _ in repeated]
    mean = math.fsum(rate for _, rate, _ in repeated) / n
    total = math.fsum((rate - mean) ** 2 for _, rate, _ in repeated) / (n - 1)
    blur = math.fsum(value / attempts for value, (attempts, _, _) in zip(noise, repeated, strict=True)) / n
    return Spread(
        between=max(0.0, total - blur),
        within=math.fsum(noise) / n,
        n_cases=n,
        n_mixed=sum(0 < passed < attempts for attempts, _, passed in repeated),
    )


def flakiness(attempts: int, passed: int) -> float:
    """Return the probability that a case is neither stable nor broken: P(0.1 < p < 0.9) under a Beta(1/2, 1/2) prior.

    Above 0.8 a case is fairly called flaky. Few attempts leave it near the prior's 0.59, whatever they showed.

    Raises:
        ValueError: the counts are impossible.

    """
    _check(attempts, passed, 0)
    a, b = passed + 0.5, attempts - passed + 0.5
    return beta_cdf(0.9, a, b) - beta_cdf(0.1, a, b)


def _point(counts: Counts, k: int, clusters: Labels | None) -> RepeatPoint:
    at = [pass_at_k(attempts, passed, k) for attempts, passed in counts]
    hat = [pass_hat_k(attempts, passed, k) for attempts, passed in counts]
    n = len(counts)
    return RepeatPoint(
        k=k,
        pass_at_k=math.fsum(at) / n,
        pass_at_k_se=standard_error(at, clusters),
        pass_hat_k=math.fsum(hat) / n,
        pass_hat_k_se=standard_error(hat, clusters),
        n_cases=n,
    )


def _check(attempts: int, passed: int, k: int) -> None:
    if not 0 <= passed <= attempts:
        msg = f"{passed} passed of {attempts} attempts is impossible; passed must lie between 0 and attempts"
        raise ValueError(msg)
    if k > attempts:
        msg = f"k={k} needs {k} attempts but a case has {attempts}; run attempts = {k} or more, or ask for a smaller k"
        raise ValueError(msg)
    if k < 0:
        msg = f"k={k} is negative; ask for k = 1 or more"
        raise ValueError(msg)
