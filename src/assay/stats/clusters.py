"""The unit of analysis: a case, or the cluster of cases that share an origin (a conversation, a template, a user).

Cases of one cluster succeed and fail together, so ten of them hold less evidence than ten independent cases. Attempts at one
case are no units at all: they are averaged before anything here sees them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

Labels = Sequence[Hashable | None]
"""One label per case; None is a cluster of its own."""

ROUGH_BELOW = 30
"""With fewer clusters than this an interval carries a warning."""

REFUSE_BELOW = 5
"""With fewer clusters than this nothing is called significant."""


def unit_sums(values: Sequence[float], clusters: Labels | None) -> list[float]:
    """Sum the values of each cluster, in order of first appearance; without clusters every value is its own unit.

    Raises:
        ValueError: there is not exactly one label per value.

    """
    if clusters is None:
        return list(values)
    _check_labels(clusters, len(values))
    members: dict[Hashable, list[float]] = {}
    for label, value in zip(clusters, values, strict=True):
        key = object() if label is None else label  # a case without a cluster equals no other
        if key in members:
            members[key].append(value)
        else:
            members[key] = [value]
    return [math.fsum(group) for group in members.values()]


def count_units(cases: int, clusters: Labels | None) -> int:
    """Return the number of independent units among this many cases: clusters, and cases without one.

    Raises:
        ValueError: there is not exactly one label per case.

    """
    if clusters is None:
        return cases
    _check_labels(clusters, cases)
    alone = sum(label is None for label in clusters)
    return alone + len({label for label in clusters if label is not None})


def chosen_labels(clusters: Labels | None, positions: Sequence[int], cases: int) -> Labels | None:
    """Return the labels of the cases at these positions; None stays None.

    Raises:
        ValueError: there is not exactly one label per case.

    """
    if clusters is None:
        return None
    _check_labels(clusters, cases)
    return [clusters[position] for position in positions]


def standard_error(values: Sequence[float], clusters: Labels | None) -> float | None:
    """Return the standard error of the mean of values, robust to dependence inside clusters.

    Var = (1/n^2) * sum_c (sum_{i in c} (v_i - mean))^2 * G/(G-1), which is sd/sqrt(n) without clusters (Miller 2024,
    "Adding Error Bars to Evals"; the CR1 correction). None with fewer than two units: one unit shows no spread.
    """
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    deviations = unit_sums([value - mean for value in values], clusters)
    units = len(deviations)
    if units < 2:
        return None
    return math.sqrt(math.fsum(total * total for total in deviations) * units / (units - 1)) / n


def cluster_warnings(n_cases: int, n_units: int) -> tuple[str, ...]:
    """Say what the number of independent units does to an interval; nothing when every case is its own unit."""
    if n_units == n_cases or n_units >= ROUGH_BELOW:
        return ()
    if n_units < REFUSE_BELOW:
        return (f"only {n_units} clusters: nothing can be called significant with fewer than {REFUSE_BELOW}",)
    return (f"only {n_units} clusters: the interval is rough with fewer than {ROUGH_BELOW}",)


def _check_labels(clusters: Labels, cases: int) -> None:
    if len(clusters) != cases:
        msg = f"{len(clusters)} cluster labels for {cases} cases; give one label (or None) per case"
        raise ValueError(msg)
