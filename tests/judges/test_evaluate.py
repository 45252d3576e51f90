from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from assay.core.episode import Episode, Failure, Outcome
from assay.core.protocols import Judge
from assay.core.verdict import Verdict
from assay.judges.code import FunctionJudge, judge
from assay.judges.evaluate import EVIDENCE_ITEMS, REASON_CHARS, evaluate, evaluate_all, verdicts_for_error
from assay.judges.match import Contains, Regex
from tests.judges.episodes import make_episode

EPISODE = make_episode("pong", expected="pong")


def ask(function: Callable[[Episode], Any], **options: Any) -> Verdict:
    return asyncio.run(evaluate(FunctionJudge(function, **{"name": "j", **options}), EPISODE))


@judge
def yes(episode: Episode) -> bool:
    return True


@judge
async def later(episode: Episode) -> bool:
    await asyncio.sleep(0)
    return False


def test_a_verdict_says_whose_it_is_and_how_long_it_took():
    verdict = asyncio.run(evaluate(yes, EPISODE))
    assert (verdict.passed, verdict.judge, verdict.judge_digest) == (True, "yes", yes.digest)
    assert verdict.latency_s > 0.0


def test_sync_judges_need_no_loop_and_async_ones_come_back_in_order():
    quick = evaluate_all([yes, Contains(value="pong")], EPISODE)
    assert isinstance(quick, tuple)
    assert [verdict.judge for verdict in quick] == ["yes", "contains"]
    mixed = asyncio.run(cast("Any", evaluate_all([yes, later, yes, later, Contains(value="x")], EPISODE)))
    assert [verdict.passed for verdict in mixed] == [True, False, True, False, False]
    assert [verdict.judge for verdict in mixed] == ["yes", "later", "yes", "later", "contains"]
    one = asyncio.run(cast("Any", evaluate_all([later, yes], EPISODE)))
    assert [verdict.passed for verdict in one] == [False, True]


def test_async_judges_run_together():
    arrived: list[str] = []

    def waits_for_the_other(name: str) -> Judge:
        async def meet(episode: Episode) -> bool:
            arrived.append(name)
            await asyncio.sleep(0.01)
            return len(arrived) == 2

        return FunctionJudge(meet, name=name, timeout_s=5.0)

    judges = [waits_for_the_other("a"), waits_for_the_other("b")]
    verdicts = asyncio.run(cast("Any", evaluate_all(judges, EPISODE)))
    assert [verdict.passed for verdict in verdicts] == [True, True]


def broken(episode: Episode) -> bool:
    raise KeyError(episode.output)


async def broken_later(episode: Episode) -> bool:
    await asyncio.sleep(0)
    raise KeyError(episode.output)


@pytest.mark.parametrize("function", [broken, broken_later])
def test_a_judge_that_raises_leaves_the_episode_unjudged(function: Callable[[Episode], Any]):
    verdict = ask(function)
    assert verdict.passed is None
    assert "judge 'j' raised KeyError: 'pong'" in verdict.reason
    assert f"{__file__}:" in verdict.reason


def test_a_failed_assertion_is_unjudged_and_says_how_to_fail():
    def asserting(episode: Episode) -> None:
        assert episode.output == "other", "not the other one"

    verdict = ask(asserting)
    assert verdict.passed is None
    assert "returning False" in verdict.reason


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), RecursionError(), MemoryError(), UnprintableError(), TimeoutError("mine"), StopIteration()],
    ids=lambda error: type(error).__name__,
)
def test_no_exception_of_a_judge_gets_out(error: BaseException):
    def throw(episode: Episode) -> bool:
        raise error

    async def throw_later(episode: Episode) -> bool:
        raise error

    for verdict in (ask(throw), ask(throw_later)):
        assert verdict.passed is None
        assert "raised" in verdict.reason


def test_a_keyboard_interrupt_is_no_verdict():
    def interrupted(episode: Episode) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_all([FunctionJudge(interrupted)], EPISODE)


def stuck(episode: Episode) -> bool:
    try:
        while True:
            time.sleep(0.01)
    except Exception:  # noqa: BLE001 - what is tested
        return True


async def stuck_later(episode: Episode) -> bool:
    await asyncio.sleep(60)
    return True


@pytest.mark.parametrize("function", [stuck, stuck_later])
def test_a_judge_that_is_late_leaves_the_episode_unjudged(function: Callable[[Episode], Any]):
    verdict = ask(function, timeout_s=0.05)
    assert verdict.passed is None
    assert verdict.reason == "judge 'j' gave no verdict within 0.05 s"


def test_a_catastrophic_expression_is_ended():
    evil = Regex(value="(a+)+$", timeout_s=0.1)
    verdict = asyncio.run(evaluate(evil, make_episode("a" * 60 + "!")))
    assert verdict.passed is None
    assert "within 0.1 s" in verdict.reason


def test_cancelling_goes_through_to_the_judge():
    ended: list[str] = []

    async def slow(episode: Episode) -> bool:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cleaned up")
        return True

    async def cancel() -> None:
        both = [FunctionJudge(slow, name="a"), FunctionJudge(slow, name="b")]
        task = asyncio.ensure_future(cast("Awaitable[Any]", evaluate_all(both, EPISODE)))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ended == ["cleaned up", "cleaned up"]


@pytest.mark.parametrize(
    "fields",
    [
        {"passed": "yes"},
        {"passed": 1},
        {"passed": True, "score": 1.5},
        {"passed": True, "score": float("nan")},
        {"passed": True, "score": True},
        {"passed": True, "reason": None},
        {"passed": True, "reason": b"x"},
        {"passed": True, "evidence": "abc"},
        {"passed": True, "evidence": None},
        {"passed": True, "cost_usd": -1.0},
        {"passed": True, "cost_usd": float("inf")},
    ],
    ids=repr,
)
def test_a_verdict_that_is_none_is_unjudged(fields: dict[str, Any]):
    verdict = ask(lambda episode: Verdict(**fields))  # noqa: ARG005 - judges take an episode
    assert verdict.passed is None
    assert "judge 'j' returned a verdict whose" in verdict.reason


class Rude:
    name = "rude"
    digest = "0" * 32
    timeout_s = 1.0

    def judge(self, episode: Episode) -> Any:
        return True


def test_a_judge_class_that_returns_no_verdict_is_unjudged():
    assert asyncio.run(evaluate(Rude(), EPISODE)).reason == "judge 'rude' returned bool and no Verdict"


def test_hostile_reasons_and_evidence_are_bounded_and_stay_data():
    reason = "\x1b[31m<script>alert(1)</script>\ud800" + "x" * 1_000_000
    evidence = tuple(f"{'e' * 1000}{number}" for number in range(10_000))
    verdict = ask(lambda episode: Verdict(passed=False, reason=reason, evidence=evidence))  # noqa: ARG005 - the same
    assert verdict.passed is False
    assert verdict.reason.startswith("\x1b[31m<script>alert(1)</script>\\ud800x")
    assert REASON_CHARS < len(verdict.reason) < REASON_CHARS + 100
    assert len(verdict.evidence) == EVIDENCE_ITEMS
    assert max(map(len, verdict.evidence)) == 64
    assert verdict.reason.encode()


def test_a_long_error_does_not_hide_its_place():
    def loud(episode: Episode) -> bool:
        raise ValueError("x" * 1_000_000)

    assert f"{__file__}:" in ask(loud).reason


def test_an_agent_error_fails_every_judge_without_asking():
    def never(episode: Episode) -> bool:
        sys.exit("asked")

    failure = Failure(boundary="limit", kind="timeout", message="the agent passed its limit of 3 s")
    failed = make_episode(outcome=Outcome.agent_error, failure=failure)
    judges = [FunctionJudge(never), yes, later]
    verdicts = evaluate_all(judges, failed)
    assert verdicts == verdicts_for_error(judges, failed)
    assert isinstance(verdicts, tuple)
    assert [(verdict.passed, verdict.reason) for verdict in verdicts] == [(False, failure.message)] * 3
    assert [verdict.judge_digest for verdict in verdicts] == [one.digest for one in judges]


def test_an_infrastructure_error_has_no_verdicts():
    failure = Failure(boundary="world", kind="WorldError", message="no space")
    lost = make_episode(outcome=Outcome.infra_error, failure=failure)
    assert evaluate_all([yes], lost) == ()
    assert verdicts_for_error([yes], EPISODE) == ()
