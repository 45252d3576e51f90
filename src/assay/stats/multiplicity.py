"""Many tests at once: adjusted p values. Twenty evals tested at 0.05 each raise a false alarm 64 % of the time.

A gate over several evals uses holm (the chance of any false alarm); a dashboard uses benjamini_hochberg (the share of false
alarms among the alarms). Show the raw and the adjusted values side by side, and how many tests there were.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for the family-wise error rate (Holm 1979), in the order given.

    Raises:
        ValueError: a p value outside [0, 1].

    """
    m = len(p_values)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, position in enumerate(_ascending(p_values)):
        highest = max(highest, min(1.0, (m - rank) * p_values[position]))
        adjusted[position] = highest
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for the false discovery rate (Benjamini and Hochberg 1995), in the order given.

    Raises:
        ValueError: a p value outside [0, 1].

    """
    m = len(p_values)
    adjusted = [0.0] * m
    lowest = 1.0
    for rank, position in reversed(list(enumerate(_ascending(p_values), start=1))):
        lowest = min(lowest, p_values[position] * m / rank)
        adjusted[position] = lowest
    return tuple(adjusted)


def _ascending(p_values: Sequence[float]) -> list[int]:
    for position, p_value in enumerate(p_values):
        if not 0.0 <= p_value <= 1.0:
            msg = f"p value {p_value} at position {position} is not in [0, 1]; leave out tests that could not be made"
            raise ValueError(msg)
    return sorted(range(len(p_values)), key=p_values.__getitem__)
