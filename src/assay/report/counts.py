"""Counts per case: the one place where ledger rows become numbers.

An episode that ended as `agent_error` fails every judge. One that infrastructure lost, and a verdict that was not given, are in no
denominator: they are counted as missing. Pending rows are nothing yet.

Plain lists, no arrays: loading numpy costs more than counting 10,000 rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import fsum
from operator import add, itemgetter, truediv

import msgspec

from assay.core.episode import Outcome
from assay.core.protocols import Scored

Verdicts = dict[str, tuple[bool | None, float | None]]

_FAIL, _UNJUDGED, _PASS = 0, 1, 2  # in this order the least of several codes is what all judges together say
_CODES = {False: _FAIL, None: _UNJUDGED, True: _PASS}
_ABSENT = (None, None)


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What one judge, or all together, said of every case that was played. The lists run over the same cases."""

    passed: list[int]
    """Episodes of the case that passed."""
    judged: list[int]
    """Episodes of the case that passed or failed."""
    missing: list[int]
    """Episodes of the case that are unjudged or were lost to infrastructure."""
    unjudged: int
    """Verdicts that were not given, over all cases."""

    def bounds(self) -> tuple[float, float]:
        """Return the mean over cases if everything missing had failed, and if it had passed; (0, 1) without cases."""
        if not self.passed:
            return (0.0, 1.0)
        planned = list(map(add, self.judged, self.missing))  # never 0: a case without a settled row is not listed
        worst = fsum(map(truediv, self.passed, planned))
        best = fsum(map(truediv, map(add, self.passed, self.missing), planned))
        return (worst / len(planned), best / len(planned))


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """A run's rows, counted."""

    outcomes: Counter[str]
    """Settled rows per outcome."""
    pending: int
    """Rows without an outcome yet."""
    cases: list[str]
    """Ids of the cases with a settled row, in order of first appearance."""
    clusters: list[str | None] | None
    """Cluster of each case, None for a case of its own; None in all when no case has one."""
    tags: dict[str, list[int]]
    """Tag -> positions of its cases, sorted by tag."""
    overall: Series
    """All judges passed."""
    judges: dict[str, Series]
    """Per judge."""


def count(scored: Sequence[Scored], judges: Sequence[str]) -> Counts:
    """Count ledger rows for these judges. The order of the rows does not matter to any number.

    Raises `ValueError` for an outcome that is not known: such a row must not vanish from the counts.
    """
    settled = [row for row in scored if row.outcome]
    outcomes = Counter([row.outcome for row in settled])
    if unknown := set(outcomes) - set(Outcome):
        raise ValueError(f"unknown outcomes in the ledger: {sorted(unknown)}")
    first: dict[str, Scored] = {}
    for row in settled:
        first.setdefault(row.case_id, row)
    positions = {case: position for position, case in enumerate(first)}
    infra, finished = str(Outcome.infra_error), str(Outcome.finished)
    lost = [positions[row.case_id] for row in settled if row.outcome == infra]
    played = [positions[row.case_id] for row in settled if row.outcome != infra]
    verdicts = [row.verdicts if row.outcome == finished else None for row in settled if row.outcome != infra]
    columns = [_column(verdicts, name) for name in judges]
    clusters = [row.cluster or None for row in first.values()]
    everyone = list(map(min, *columns)) if len(columns) > 1 else columns[0] if columns else [_UNJUDGED] * len(played)
    return Counts(
        outcomes=outcomes,
        pending=len(scored) - len(settled),
        cases=list(first),
        clusters=clusters if any(clusters) else None,
        tags=_tags(first.values()),
        overall=_series(everyone, played, lost, len(first)),
        judges={name: _series(column, played, lost, len(first)) for name, column in zip(judges, columns, strict=True)},
    )


def episode_passed(row: Scored, judges: Sequence[str]) -> bool | None:
    """Say whether all judges passed a row's episode: None when it is pending, lost or undecided."""
    if row.outcome == Outcome.agent_error:
        return False if judges else None
    if row.outcome != Outcome.finished:
        return None
    code = min((_CODES[row.verdicts.get(name, _ABSENT)[0]] for name in judges), default=_UNJUDGED)
    return {_FAIL: False, _UNJUDGED: None, _PASS: True}[code]


def _column(verdicts: Sequence[Verdicts | None], judge: str) -> list[int]:
    codes, absent = _CODES, _ABSENT
    return [_FAIL if given is None else codes[given.get(judge, absent)[0]] for given in verdicts]


def _tags(cases: Iterable[Scored]) -> dict[str, list[int]]:
    tagged: dict[str, list[int]] = {}
    for position, row in enumerate(cases):
        for tag in row.tags:
            found = tagged.setdefault(tag, [])
            if not found or found[-1] != position:
                found.append(position)
    return dict(sorted(tagged.items(), key=itemgetter(0)))


def _series(column: Sequence[int], played: Sequence[int], lost: Sequence[int], size: int) -> Series:
    passed, judged, missing = [0] * size, [0] * size, [0] * size
    for position in lost:
        missing[position] += 1
    for code, position in zip(column, played, strict=True):
        if code == _PASS:
            passed[position] += 1
            judged[position] += 1
        elif code == _FAIL:
            judged[position] += 1
        else:
            missing[position] += 1
    return Series(passed=passed, judged=judged, missing=missing, unjudged=column.count(_UNJUDGED))
