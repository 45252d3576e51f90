"""Does the regression gate keep its promise on this dataset and this agent? An A/A test on attempts that are already stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from assay.stats.clusters import Labels, chosen_labels
from assay.stats.gates import DEFAULT_MARGIN, compare_for_regression, regression_outcome
from assay.stats.intervals import Interval, check_means, wilson

DEFAULT_SPLITS = 400

_Pair = tuple[list[float], list[float], Labels | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """How often the regression gate accuses an agent of being worse than itself."""

    kind: Literal["attempts", "cases"]
    """What was split in two: the attempts at each case, or (weaker) the cases."""
    splits: int
    """Random splits into two pseudo-runs."""
    failed: int
    """Splits on which the gate said FAIL, each a false alarm."""
    passed: int
    """Splits on which the gate said PASS; the rest were INCONCLUSIVE."""
    false_alarms: float
    """Share of splits with a false alarm."""
    interval: Interval
    """Wilson interval of that share: the error of the simulation only."""
    promised: float
    """Share of false alarms that the gate allows itself: one minus its confidence."""
    n_cases: int
    """Cases used."""
    notes: tuple[str, ...]
    """What this check can't see."""

    @property
    def keeps_promise(self) -> bool:
        """Whether the observed false alarms are compatible with the promise."""
        return self.interval.low <= self.promised


def self_test(
    attempts: Sequence[Sequence[float]],
    *,
    clusters: Labels | None = None,
    margin: float = DEFAULT_MARGIN,
    confidence: float = 0.95,
    splits: int = DEFAULT_SPLITS,
    seed: int = 0,
) -> SelfTest:
    """Measure the false alarms of no_regression where nothing changed.

    The attempts at one case by one agent are interchangeable, so any split of them into two halves is a pair of runs between
    which nothing changed. A gate that calls more than 1 - confidence of such pairs a regression is broken for this data.
    Splits reuse the same attempts: the interval holds for the splits that could be drawn from them, not for other days, other
    cases or other agents. With one attempt per case nothing is known of flakiness; then different cases are paired at random,
    which tries the arithmetic of the gate under far more noise than the same agent would make.

    Args:
        attempts: verdicts or scores in [0, 1] of every attempt at every case, from one run.
        clusters: label of each case; None, or None inside it, where a case shares its origin with no other.
        margin: as in no_regression.
        confidence: as in no_regression.
        splits: random splits; the time grows with cases x splits.
        seed: seed of the splits; the same seed gives the same result.

    Raises:
        ValueError: fewer than two cases (or clusters, with single attempts) with a verdict, no splits, a verdict outside
            [0, 1], or labels that do not match.

    """
    usable = [position for position, row in enumerate(attempts) if len(row)]
    if len(usable) < 2 or splits < 1:
        msg = (
            f"{len(usable)} cases with a verdict and splits={splits}; a self-test needs two cases and one split or more"
        )
        raise ValueError(msg)
    repeated = [position for position in usable if len(attempts[position]) > 1]
    kept = repeated or usable
    rows = [check_means(attempts[position]) for position in kept]
    labels = chosen_labels(clusters, kept, len(attempts))
    random = Random(seed)  # noqa: S311 - a reproducible simulation, nothing secret
    pairs = _attempt_halves(rows, labels, random) if repeated else _case_halves(rows, labels, random)
    outcomes = [
        regression_outcome(
            compare_for_regression(left, right, clusters=units, confidence=confidence), margin, confidence
        )
        for _, (left, right, units) in zip(range(splits), pairs, strict=False)
    ]
    failed = outcomes.count("FAIL")
    return SelfTest(
        kind="attempts" if repeated else "cases",
        splits=splits,
        failed=failed,
        passed=outcomes.count("PASS"),
        false_alarms=failed / splits,
        interval=wilson(failed, splits),
        promised=1.0 - confidence,
        n_cases=len(kept),
        notes=_notes(rows, len(usable) - len(kept)) if repeated else (_CASE_NOTE,),
    )


_CASE_NOTE = (
    "weaker check: with one attempt per case flakiness is unknown, so different cases were paired at random; "
    "run attempts = 2 or more for a real one"
)


def _attempt_halves(rows: Sequence[Sequence[float]], labels: Labels | None, random: Random) -> Iterator[_Pair]:
    """Split the attempts at each case in two halves, without end; an odd attempt is left out by lot."""
    steady = [row[0] if len(set(row)) == 1 else None for row in rows]
    while True:
        left, right = [], []
        for row, constant in zip(rows, steady, strict=True):
            if constant is not None:
                left.append(constant)
                right.append(constant)
                continue
            half = len(row) // 2
            drawn = random.sample(row, 2 * half)
            left.append(math.fsum(drawn[:half]) / half)
            right.append(math.fsum(drawn[half:]) / half)
        yield left, right, labels


def _case_halves(rows: Sequence[Sequence[float]], labels: Labels | None, random: Random) -> Iterator[_Pair]:
    """Pair the cases of one half of the clusters with cases of the other half, without end."""
    members: dict[object, list[float]] = {}
    for position, row in enumerate(rows):
        label = None if labels is None else labels[position]
        members.setdefault(object() if label is None else label, []).append(row[0])
    groups = list(members.values())
    if len(groups) < 2:
        msg = (
            "all cases share one cluster; with one attempt per case a self-test needs two clusters, or run attempts = 2"
        )
        raise ValueError(msg)
    while True:
        random.shuffle(groups)
        left, right, units = [], [], []
        for unit, (one, other) in enumerate(zip(groups[::2], groups[1::2], strict=False)):
            size = min(len(one), len(other))
            left += random.sample(one, size)
            right += random.sample(other, size)
            units += [unit] * size
        yield left, right, units


def _notes(rows: Sequence[Sequence[float]], left_out: int) -> tuple[str, ...]:
    fewest = min(len(row) for row in rows)
    notes = [
        f"each side had half of the attempts (from {fewest // 2} per case), fewer than a real run has",
        "attempts of one run share its day and its model version: changes between days are not in this check",
    ]
    if all(len(set(row)) == 1 for row in rows):
        notes.append(
            "no case was seen both to pass and to fail, so no alarm was possible: this proves stability, not the gate"
        )
    if left_out:
        notes.append(f"{left_out} case(s) with a single attempt left out")
    return tuple(notes)
