"""Sums and failures of a run, computed by the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from assay.core.episode import Outcome
from assay.core.protocols import JudgeCount, RunTotals
from assay.core.report import FailureItem
from assay.core.run import RunManifest
from assay.core.usage import Usage
from assay.store.runs import manifest_of
from assay.store.schema import episodes, traces, verdicts, work
from assay.store.scores import judge_names
from assay.store.summary import read_names

NAMES_KEPT = 1000
"""Models, tools and prompts that a run's totals tell apart."""

_REASON_CHARS = 2000
_CHUNK = 500
_IDS = sa.bindparam("ids", expanding=True)
_DONE = work.c.state == "done"
_COUNTS = tuple(name for name in Usage.__struct_fields__ if name != "cost_usd")
_FAILURE = (work.c.seq, work.c.case_id, work.c.attempt, work.c.episode_id, work.c.trace_id)
_RANKS = ("failed", Outcome.agent_error.value, "unjudged", Outcome.infra_error.value)


def totals(connection: sa.Connection, run_id: str) -> RunTotals:
    """Return sums and distinct values over the settled episodes of a run."""
    costs, scores = _judge_figures(connection, manifest_of(connection, run_id))
    counts = [sa.func.coalesce(sa.func.sum(episodes.c[name]), 0) for name in _COUNTS]
    sums = _settled(run_id, sa.func.max(episodes.c.world_digest), sa.func.sum(episodes.c.cost_usd), *counts)
    some_world, cost, *usage = connection.execute(sums).one()
    taken = sa.case((sa.and_(work.c.action != "run", _DONE), 1), else_=0)
    rows = sa.select(sa.func.sum(work.c.retries), sa.func.sum(taken)).where(work.c.run_id == run_id)
    retried, reused = connection.execute(rows).one()
    models, tools, prompts = _distinct_names(connection, run_id)
    return RunTotals(
        usage=Usage(**dict(zip(_COUNTS, map(int, usage), strict=True)), cost_usd=cost),
        judge_cost_usd=costs,
        judge_scores=scores,
        retried=retried or 0,
        reused=reused or 0,
        unequal_worlds=_unequal_worlds(connection, run_id) if some_world else 0,
        models=tuple(sorted(models)),
        prompts=len(prompts),
        tools=tuple(sorted(tools)),
    )


def counts(connection: sa.Connection, run_id: str) -> dict[str, JudgeCount]:
    """Return how the episodes came out per judge and overall (""), without reading any of them."""
    names = judge_names(manifest_of(connection, run_id))
    word = sa.case((verdicts.c.passed.is_(False), 0), (verdicts.c.passed.is_(None), 1), else_=2)
    given = (
        sa.select(verdicts.c.judge_digest, word.label("word"), work.c.seq)
        .join(work, sa.and_(work.c.episode_id == verdicts.c.episode_id, work.c.run_id == run_id, _DONE))
        .where(verdicts.c.judge_digest.in_(list(names)))
    ).cte()
    # The worst word speaks for the episode; one that a judge said nothing of is at best unjudged.
    worst = sa.case(
        (sa.func.min(given.c.word) == 0, 0), (sa.func.count() < len(names), 1), else_=sa.func.min(given.c.word)
    )
    episode = sa.select(sa.literal("").label("judge_digest"), worst.label("word")).group_by(given.c.seq).subquery()
    summed = sa.union_all(
        *(
            sa.select(source.c.judge_digest, source.c.word, sa.func.count()).group_by(*source.c[:2])
            for source in (given, episode)
        )
    )
    found: dict[str, dict[int, int]] = {digest: {} for digest in ("", *names)}
    for digest, said, count in connection.execute(summed):
        found[digest][said] = count
    return {
        name: JudgeCount(passed=words.get(2, 0), failed=words.get(0, 0), unjudged=words.get(1, 0))
        for digest, words in found.items()
        for name in ([""] if not digest else names[digest])
    }


def failures(connection: sa.Connection, run_id: str, limit: int) -> tuple[list[FailureItem], int]:
    """Return the first failures in report order, and how many there are."""
    names = judge_names(manifest_of(connection, run_id))
    failing = sa.union_all(_failed_verdicts(run_id, list(names)), _lost_episodes(run_id)).subquery()
    in_order = sa.select(failing, sa.func.count().over().label("total"))
    in_order = in_order.order_by(failing.c.rank, failing.c.seq, failing.c.place).limit(max(limit, 1))
    found = connection.execute(in_order).all()
    reasons = _reasons(connection, {row.episode_id for row in found})
    items = [
        FailureItem(
            case_id=row.case_id,
            attempt=row.attempt,
            judge=", ".join(names.get(row.judge_digest, ())),
            kind=_RANKS[row.rank],
            reason=reasons[row.episode_id, row.judge_digest],
            episode_id=row.episode_id,
            trace_id=row.trace_id,
        )
        for row in found[:limit]
    ]
    return items, found[0].total if found else 0


def _failed_verdicts(run_id: str, digests: Sequence[str]) -> sa.Select[*tuple[Any, ...]]:
    """Select failed and unjudged verdicts. An episode that did not finish is a failure itself, whatever its verdicts."""
    rank = sa.case((verdicts.c.passed.is_(None), _RANKS.index("unjudged")), else_=_RANKS.index("failed"))
    places = {digest: place for place, digest in enumerate(digests)}
    place = sa.case(places, value=verdicts.c.judge_digest) if places else sa.literal(0)
    return (
        sa.select(rank.label("rank"), place.label("place"), *_FAILURE, verdicts.c.judge_digest)
        .join(verdicts, sa.and_(verdicts.c.episode_id == work.c.episode_id, verdicts.c.judge_digest.in_(digests)))
        .where(work.c.run_id == run_id, _DONE, work.c.outcome == Outcome.finished.value)
        .where(sa.or_(verdicts.c.passed.is_(None), verdicts.c.passed.is_(False)))
    )


def _lost_episodes(run_id: str) -> sa.Select[*tuple[Any, ...]]:
    """Select the episodes that did not finish, in the same columns."""
    lost = [Outcome.agent_error.value, Outcome.infra_error.value]
    rank = sa.case({name: _RANKS.index(name) for name in lost}, value=work.c.outcome)
    no_judge = (sa.literal(0).label("place"), *_FAILURE, sa.null().label("judge_digest"))
    return sa.select(rank.label("rank"), *no_judge).where(work.c.run_id == run_id, _DONE, work.c.outcome.in_(lost))


def _reasons(connection: sa.Connection, episode_ids: Collection[str]) -> dict[tuple[str, str | None], str]:
    """Return (episode, judge digest or None for the episode itself) -> the beginning of the reason."""
    said = sa.select(
        verdicts.c.episode_id, verdicts.c.judge_digest, sa.func.substr(verdicts.c.reason, 1, _REASON_CHARS)
    )
    ended = sa.select(episodes.c.episode_id, sa.null(), sa.func.substr(episodes.c.failure, 1, _REASON_CHARS))
    queries = (
        said.where(verdicts.c.episode_id.in_(_IDS), verdicts.c.passed.is_not(True)),
        ended.where(episodes.c.episode_id.in_(_IDS)),
    )
    wanted = sorted(episode_ids)
    reasons: dict[tuple[str, str | None], str] = {}
    for start in range(0, len(wanted), _CHUNK):
        some = {"ids": wanted[start : start + _CHUNK]}
        for query in queries:
            reasons |= {(episode_id, digest): text for episode_id, digest, text in connection.execute(query, some)}
    return reasons


def _judge_figures(
    connection: sa.Connection, manifest: RunManifest
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return judge name -> money, and judge name -> mean score."""
    given = sa.and_(verdicts.c.episode_id == work.c.episode_id, verdicts.c.judge_digest == sa.bindparam("judge"))
    cost, score = verdicts.c.cost_usd, verdicts.c.score
    query = (
        sa.select(sa.func.count(), sa.func.count(cost), sa.func.coalesce(sa.func.sum(cost), 0.0), sa.func.avg(score))
        .select_from(work.join(verdicts, given))
        .where(work.c.run_id == manifest.run_id, _DONE)
    )
    costs: dict[str, float | None] = {}
    scores: dict[str, float | None] = {}
    for judge in manifest.judges:  # one sweep each: grouping by judge would sort them all
        count, priced, total, mean = connection.execute(query, {"judge": judge.digest}).one()
        costs[judge.name] = total if priced == count else None
        scores[judge.name] = mean
    return costs, scores


def _unequal_worlds(connection: sa.Connection, run_id: str) -> int:
    """Count the start digests beyond one for the same case and seed."""
    per_start = (
        _settled(run_id, (sa.func.count(episodes.c.world_digest.distinct()) - 1).label("extra"))
        .where(episodes.c.world_digest != "")
        .group_by(episodes.c.case_id, episodes.c.seed)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.coalesce(sa.func.sum(per_start.c.extra), 0))).scalar_one()


def _settled(run_id: str, *columns: sa.ColumnElement[Any]) -> sa.Select[*tuple[Any, ...]]:
    """Select from the settled episodes of a run."""
    mine = sa.and_(work.c.episode_id == episodes.c.episode_id, work.c.run_id == run_id, _DONE)
    return sa.select(*columns).select_from(work).join(episodes, mine)


def _distinct_names(connection: sa.Connection, run_id: str) -> tuple[set[str], set[str], set[str]]:
    """Return the models, tools and prompts of the settled episodes' traces, each up to a bound: traces may be hostile."""
    mine = sa.and_(work.c.trace_id == traces.c.trace_id, work.c.run_id == run_id, _DONE)
    query = sa.select(traces.c.models, traces.c.tools, traces.c.prompts).join(work, mine).distinct()
    found = set[str](), set[str](), set[str]()
    for columns in connection.execute(query):
        for names, column in zip(found, columns, strict=True):
            names.update(read_names(column)[: NAMES_KEPT - len(names)])
    return found
