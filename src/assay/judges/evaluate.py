"""Ask judges about an episode: the boundary at which whatever a judge does becomes a verdict."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Awaitable, Coroutine, Sequence
from inspect import isawaitable
from time import perf_counter
from typing import Any

from assay.core.episode import Episode, Outcome
from assay.core.protocols import Judge
from assay.core.verdict import Verdict
from assay.judges.deadline import DeadlineError, call_within

REASON_CHARS = 4096
EVIDENCE_ITEMS = 100
_ID_CHARS = 64


async def evaluate(judge: Judge, episode: Episode) -> Verdict:
    """Ask one judge about a finished episode; raising, running late and nonsense come back as unjudged verdicts."""
    said = _ask(judge, episode)
    return said if isinstance(said, Verdict) else await said


def evaluate_all(
    judges: Sequence[Judge], episode: Episode
) -> tuple[Verdict, ...] | Coroutine[Any, Any, tuple[Verdict, ...]]:
    """Ask all judges, in order; awaitable only if one of them is async (async ones then run together).

    Episodes that ended as `agent_error` fail every judge without asking; `infra_error` has no verdicts.
    """
    if episode.outcome is not Outcome.finished:
        return verdicts_for_error(judges, episode)
    settled: list[Verdict] = []
    waiting: dict[int, Coroutine[Any, Any, Verdict]] = {}
    for judge in judges:
        said = _ask(judge, episode)
        if not isinstance(said, Verdict):
            waiting[len(settled)] = said
            said = Verdict(passed=None)
        settled.append(said)
    return _wait_for(settled, waiting) if waiting else tuple(settled)


def verdicts_for_error(judges: Sequence[Judge], episode: Episode) -> tuple[Verdict, ...]:
    """Return what judges say without being asked: an `agent_error` fails each, other outcomes have no such verdict."""
    if episode.outcome is not Outcome.agent_error:
        return ()
    failure = episode.failure
    reason = _bounded(failure.message if failure is not None else "the agent failed")
    return tuple(Verdict(passed=False, reason=reason, judge=judge.name, judge_digest=judge.digest) for judge in judges)


async def _wait_for(settled: list[Verdict], waiting: dict[int, Coroutine[Any, Any, Verdict]]) -> tuple[Verdict, ...]:
    if len(waiting) == 1:
        ((position, said),) = waiting.items()
        settled[position] = await said
    else:
        for position, verdict in zip(waiting, await asyncio.gather(*waiting.values()), strict=True):
            settled[position] = verdict
    return tuple(settled)


def _ask(judge: Judge, episode: Episode) -> Verdict | Coroutine[Any, Any, Verdict]:
    started = perf_counter()
    try:
        said: Any = call_within(judge.timeout_s, judge.judge, episode)
    except DeadlineError:
        said = _late(judge)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the judges' boundary, for sync judges
        said = _raised(judge, error)
    if not isinstance(said, Verdict) and isawaitable(said):
        return _later(judge, said, started)
    return _finished(judge, said, started)


async def _later(judge: Judge, awaited: Awaitable[Any], started: float) -> Verdict:
    limit = asyncio.timeout(judge.timeout_s)
    try:
        async with limit:
            said = await awaited
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the judges' boundary, for async judges
        said = _late(judge) if limit.expired() else _raised(judge, error)
    return _finished(judge, said, started)


def _late(judge: Judge) -> Verdict:
    return Verdict(passed=None, reason=f"judge '{judge.name}' gave no verdict within {judge.timeout_s:g} s")


def _raised(judge: Judge, error: BaseException) -> Verdict:
    what = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    hint = "; a judge fails an episode by returning False" if isinstance(error, AssertionError) else ""
    # The place and the hint come after the error's own words, which may be long.
    return Verdict(passed=None, reason=f"judge '{judge.name}' raised {_cut(what, REASON_CHARS // 2)}{where}{hint}")


def _finished(judge: Judge, said: Any, started: float) -> Verdict:
    """Check and bound a verdict, and say whose it is."""
    nonsense = _nonsense(said) if isinstance(said, Verdict) else f"returned {type(said).__name__} and no Verdict"
    if nonsense:
        said = Verdict(passed=None, reason=f"judge '{judge.name}' {nonsense}")
    return Verdict(
        passed=said.passed,
        reason=_bounded(said.reason) if said.reason else "",
        score=said.score,
        evidence=_evidence(said.evidence) if said.evidence else (),
        cost_usd=said.cost_usd,
        latency_s=perf_counter() - started,
        judge=judge.name,
        judge_digest=judge.digest,
    )


def _nonsense(verdict: Verdict) -> str:
    """Say what is wrong with a verdict, whose fields are typed but were never checked; empty if nothing is."""
    passed: Any = verdict.passed
    if passed is not True and passed is not False and passed is not None:
        return f"returned a verdict whose passed is {_cut(repr(passed), _ID_CHARS)}"
    score: Any = verdict.score
    if score is not None and not (_is_number(score) and 0.0 <= score <= 1.0):
        return f"returned a verdict whose score is {_cut(repr(score), _ID_CHARS)}, which is not in [0, 1]"
    cost: Any = verdict.cost_usd
    if cost is not None and not (_is_number(cost) and 0.0 <= cost < math.inf):
        return f"returned a verdict whose cost is {_cut(repr(cost), _ID_CHARS)}"
    reason: Any = verdict.reason
    if not isinstance(reason, str):
        return f"returned a verdict whose reason is {type(reason).__name__} and no text"
    evidence: Any = verdict.evidence
    if not isinstance(evidence, tuple | list):
        return f"returned a verdict whose evidence is {type(evidence).__name__} and no tuple"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _evidence(evidence: Sequence[Any]) -> tuple[str, ...]:
    return tuple(_encodable(str(item)[:_ID_CHARS]) for item in evidence[:EVIDENCE_ITEMS])


def _bounded(reason: str) -> str:
    return _encodable(_cut(reason, REASON_CHARS))


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _encodable(text: str) -> str:
    """Replace lone surrogates, which no file or database can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
