"""Ledger rows with their verdicts: the input of every rate, read in one sweep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from assay.core.episode import Outcome
from assay.core.protocols import Scored
from assay.core.run import RunManifest
from assay.store.runs import manifest_of
from assay.store.schema import verdicts, work

Found = dict[str, tuple[bool | None, float | None]]

_JOINS = 16  # SQLite joins at most 64 tables
_DONE = work.c.state == "done"
_OUTCOMES = ("", *(outcome.value for outcome in Outcome))
_PASSED = (False, True, None)
_SHARED = 1000
"""Distinct findings that rows share instead of each having its own."""

# What has few values travels as a small number: making Python strings of the columns is most of the work.
_LEDGER = (
    work.c.seq,
    work.c.case_id,
    work.c.cluster,
    work.c.tags,
    work.c.attempt,
    sa.case((work.c.action == "run", 0), else_=1),
    sa.case(
        *((sa.and_(_DONE, work.c.outcome == name), place) for place, name in enumerate(_OUTCOMES) if name), else_=0
    ),
    work.c.episode_id,
    work.c.trace_id,
)


def scored(connection: sa.Connection, run_id: str) -> list[Scored]:
    """Return every ledger row of a run with the verdicts of the run's judges, in order."""
    names = judge_names(manifest_of(connection, run_id))
    digests = list(names)
    groups = [digests[start : start + _JOINS] for start in range(0, len(digests), _JOINS)] or [[]]
    rows: Iterable[tuple[Any, ...]] = connection.execute(_ledger(run_id, _LEDGER, groups[0]))
    for group in groups[1:]:
        more = connection.execute(_ledger(run_id, (), group))
        rows = [(*row, *given) for row, given in zip(rows, more, strict=True)]
    return _rows(rows, list(names.values()))


def judge_names(manifest: RunManifest) -> dict[str, list[str]]:
    """Return judge digest -> names, in report order; equal judges under two names share their verdicts."""
    names: dict[str, list[str]] = {}
    for judge in manifest.judges:
        names.setdefault(judge.digest, []).append(judge.name)
    return names


def _ledger(
    run_id: str, columns: Sequence[sa.ColumnElement[Any]], digests: Sequence[str]
) -> sa.Select[*tuple[Any, ...]]:
    """Select ledger rows in order, with a verdict code and a score per judge."""
    source: sa.FromClause = work
    given: list[sa.ColumnElement[Any]] = []
    for digest in digests:
        its = verdicts.alias()
        source = source.outerjoin(
            its, sa.and_(its.c.episode_id == work.c.episode_id, its.c.judge_digest == digest, _DONE)
        )
        code = sa.case((its.c.passed.is_(True), 1), (its.c.passed.is_(False), 0), (its.c.judge_digest.is_not(None), 2))
        given += [code, its.c.score]
    return sa.select(*columns, *given).select_from(source).where(work.c.run_id == run_id).order_by(work.c.seq)


def _rows(rows: Iterable[tuple[Any, ...]], names: Sequence[Sequence[str]]) -> list[Scored]:
    scores: list[Scored] = []
    tags_of: dict[str | None, tuple[str, ...]] = {None: ()}
    found_of: dict[tuple[Any, ...], Found] = {}
    for row in rows:
        seq, case_id, cluster, tags, attempt, reused, outcome, episode_id, trace_id = row[:_WIDTH]
        given = row[_WIDTH:]
        if tags not in tags_of:
            tags_of[tags] = msgspec.json.decode(tags, type=tuple[str, ...])
        found = found_of.get(given)
        if found is None:
            found = _verdicts(names, given)
            if len(found_of) < _SHARED:
                found_of[given] = found
        scores.append(
            Scored(
                seq=seq,
                case_id=case_id,
                cluster=cluster,
                tags=tags_of[tags],
                attempt=attempt,
                outcome=_OUTCOMES[outcome],
                episode_id=episode_id if outcome else "",
                trace_id=trace_id if outcome else "",
                reused=bool(reused),
                verdicts=found,
            )
        )
    return scores


def _verdicts(names: Sequence[Sequence[str]], given: Sequence[Any]) -> Found:
    found: Found = {}
    for its_names, code, score in zip(names, given[::2], given[1::2], strict=True):
        if code is not None:
            for name in its_names:
                found[name] = (_PASSED[code], score)
    return found


_WIDTH = len(_LEDGER)
