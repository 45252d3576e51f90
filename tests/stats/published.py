"""Counts of published data sets whose statistics are known from elsewhere."""

from __future__ import annotations

# R survey, data(api), apiclus1: schools, and schools with sch.wide == "No", of each of the 15 sampled districts
_API_DISTRICTS = [
    (11, 0), (4, 0), (2, 1), (13, 3), (2, 0), (4, 2), (4, 1), (16, 1),
    (9, 2), (34, 3), (21, 3), (37, 5), (13, 2), (1, 0), (12, 0),
]  # fmt: skip

# tau-bench, gpt-4o on airline: passes in 4 trials -> number of tasks
_TAU_AIRLINE = {0: 14, 1: 12, 2: 10, 3: 4, 4: 10}

TAU_COUNTS = [(4, passed) for passed, tasks in _TAU_AIRLINE.items() for _ in range(tasks)]
TAU_MEANS = [passed / 4 for _, passed in TAU_COUNTS]


def api_schools() -> tuple[list[float], list[str]]:
    """Return 1.0 for each school that met its target, and the district of each."""
    means: list[float] = []
    labels: list[str] = []
    for district, (schools, missed) in enumerate(_API_DISTRICTS):
        means += [0.0] * missed + [1.0] * (schools - missed)
        labels += [f"district {district}"] * schools
    return means, labels
