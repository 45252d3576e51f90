from __future__ import annotations

import asyncio
import functools
import importlib.util
import math
import pickle
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.case import Case
from assay.core.episode import Episode, Outcome
from assay.core.errors import ConfigError
from assay.core.protocols import Judge
from assay.core.trace import Trace
from assay.core.verdict import Verdict
from assay.judges.code import FunctionJudge, judge
from assay.judges.evaluate import evaluate

EPISODE = Episode(
    id="e",
    case=Case(id="c", input="ping", expected="pong"),
    outcome=Outcome.finished,
    trace=Trace(trace_id="0" * 32),
    outputs=("pong",),
)


@judge
def answered(episode: Episode) -> bool:
    """The answer is the expected one.

    Nothing else counts.
    """
    return episode.output == episode.case.expected


def says(value: Any, **options: Any) -> Verdict:
    def speak(episode: Episode) -> Any:
        return value

    return asyncio.run(evaluate(FunctionJudge(speak, **options), EPISODE))


def load(folder: Path, source: str, name: str = "user_judges") -> ModuleType:
    """Import a file as a fresh module."""
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_decorated_function_is_a_judge_and_still_a_function():
    assert isinstance(answered, Judge)
    assert answered.name == "answered"
    assert answered(EPISODE) is True
    assert answered.__doc__.startswith("The answer")
    assert "answered" in repr(answered)


@pytest.mark.parametrize(
    ("value", "passed", "score"),
    [
        (True, True, None),
        (False, False, None),
        (1, True, 1.0),
        (0, False, 0.0),
        (0.5, True, 0.5),
        (0.49, False, 0.49),
        (Fraction(3, 4), True, 0.75),
        (Decimal("0.25"), False, 0.25),
        (np.True_, True, None),
        (np.False_, False, None),
        (np.float64(0.7), True, 0.7),
        (np.int64(0), False, 0.0),
        (np.float32(0.5), True, 0.5),
    ],
)
def test_bools_and_numbers_become_verdicts(value: Any, passed: bool, score: float | None):
    verdict = says(value)
    assert (verdict.passed, verdict.score) == (passed, score)


@pytest.mark.parametrize(
    "value",
    [
        None, "yes", "", {"passed": True}, [], -0.01, 1.01, 2, math.nan, math.inf, -math.inf, 1j, b"1",
        np.array([True]), np.array([0.5, 0.5]), Decimal("NaN"), 10**400, Judge,
    ],
)  # fmt: skip
def test_anything_else_is_unjudged_and_names_judge_and_value(value: Any):
    verdict = says(value, name="odd")
    assert verdict.passed is None
    assert "judge 'odd' returned" in verdict.reason
    assert repr(value)[:20] in verdict.reason


def test_a_huge_value_is_shown_cut():
    assert len(says("x" * 10_000_000).reason) < 300


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_score_passes_from_the_threshold_on(score: float, threshold: float):
    verdict = says(score, threshold=threshold)
    assert verdict.passed == (score >= threshold)
    assert verdict.score == score


def test_a_verdict_is_kept():
    said = Verdict(passed=False, reason="because", score=0.2, evidence=("a" * 16,), cost_usd=0.5)
    verdict = says(said)
    assert (verdict.passed, verdict.reason, verdict.score) == (False, "because", 0.2)
    assert (verdict.evidence, verdict.cost_usd) == (("a" * 16,), 0.5)


def test_false_explains_itself_with_the_first_line_of_the_docstring():
    wrong = Episode(id="e", case=EPISODE.case, outcome=Outcome.finished, trace=EPISODE.trace, outputs=("?",))
    assert asyncio.run(evaluate(answered, wrong)).reason == "returned False (The answer is the expected one.)"


def test_async_functions_are_judges():
    @judge(threshold=0.9)
    async def slowly(episode: Episode) -> float:
        await asyncio.sleep(0)
        return 0.95

    verdict = asyncio.run(evaluate(slowly, EPISODE))
    assert (verdict.passed, verdict.score) == (True, 0.95)


def test_partials_and_callable_objects_are_judges():
    def longer_than(episode: Episode, *, size: int) -> bool:
        return len(episode.output) > size

    class Shorter:
        def __init__(self, size: int) -> None:
            self.size = size

        def __call__(self, episode: Episode) -> bool:
            return len(episode.output) < self.size

    for function in (functools.partial(longer_than, size=2), Shorter(9)):
        assert asyncio.run(evaluate(FunctionJudge(function), EPISODE)).passed is True
    assert FunctionJudge(Shorter(9)).name == "Shorter"
    sizes = {FunctionJudge(functools.partial(longer_than, size=size), name="n").digest for size in (2, 3)}
    sizes |= {FunctionJudge(Shorter(size), name="n").digest for size in (2, 3)}
    assert len(sizes) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"threshold": math.nan}, "threshold nan"),
        ({"timeout_s": 0}, "timeout 0"),
        ({"timeout_s": math.nan}, "timeout nan"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_place(options: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words) as caught:
        judge(**options)(plain_judge)
    assert caught.value.problems[0].path == __file__


def test_a_function_that_takes_no_episode_is_refused():
    with pytest.raises(ConfigError, match="must take one argument"):
        judge(lambda: True)  # pyright: ignore[reportArgumentType]


MODULE = """
from assay.judges.code import judge

def limit():
    return 3

@judge
def short(episode):
    return len(episode.output) < limit()

@judge(threshold=0.7)
def graded(episode):
    return 0.5
"""


def test_the_digest_is_the_same_for_the_same_file(tmp_path: Path):
    (tmp_path / "other").mkdir()
    first, second = load(tmp_path, MODULE), load(tmp_path / "other", MODULE)
    assert first.short.digest == second.short.digest
    assert first.short.digest != first.graded.digest


@pytest.mark.parametrize(
    ("old", "new"), [("return 3", "return 4"), ("len(episode.output)", "len(episode.case.id)"), ("0.7", "0.8")]
)
def test_editing_anything_in_the_file_changes_the_digest(tmp_path: Path, old: str, new: str):
    before = load(tmp_path, MODULE)
    after = load(tmp_path, MODULE.replace(old, new) + "\n# edited")
    assert before.short.digest != after.short.digest
    assert before.graded.digest != after.graded.digest


def test_a_version_replaces_the_source(tmp_path: Path):
    source = MODULE.replace("@judge\n", "@judge(version='1')\n")
    before = load(tmp_path, source)
    edited = load(tmp_path, source.replace("return 3", "return 40"))
    newer = load(tmp_path, source.replace("version='1'", "version='2'"))
    assert before.short.digest == edited.short.digest
    assert before.short.digest != newer.short.digest


def test_a_module_that_is_used_counts_only_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def digests(helper: str) -> tuple[str, str]:
        monkeypatch.setitem(sys.modules, "judge_helper", load(tmp_path, helper, "judge_helper"))
        module = load(
            tmp_path,
            "import judge_helper\nfrom assay.judges.code import judge\n"
            "@judge(uses=(judge_helper,))\ndef one(episode): return judge_helper.X\n"
            "@judge\ndef two(episode): return judge_helper.X\n",
        )
        return module.one.digest, module.two.digest

    before, after = digests("X = 1"), digests("X = 1 + 1")
    assert before[0] != after[0]
    assert before[1] == after[1]


def at_least(number: float) -> FunctionJudge:
    @judge(name="at_least")
    def check(episode: Episode, slack: float = 0.0) -> bool:
        return len(episode.output) + slack >= number

    return check


def test_closure_values_are_part_of_the_digest():
    assert at_least(2).digest == at_least(2).digest
    assert at_least(2).digest != at_least(3).digest


def typed(source: str) -> Callable[[Episode], Any]:
    """What a function typed at a prompt is: it has no file."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<stdin>", "exec"), namespace)
    return namespace["check"]


def test_functions_without_a_file_are_named_by_their_bytecode_and_that_of_their_helpers():
    source = "def limit(): return 3\ndef check(episode): return len(episode.output) in {'a', 'b', limit()}"
    assert FunctionJudge(typed(source)).digest == FunctionJudge(typed(source)).digest
    for old, new in (("return 3", "return 4"), ("'b'", "'c'"), ("len(", "sum(")):
        assert FunctionJudge(typed(source)).digest != FunctionJudge(typed(source.replace(old, new))).digest


def test_decorated_judges_travel_by_name_and_others_by_their_function():
    assert pickle.loads(pickle.dumps(answered)) is answered
    renamed = answered.replace(name="renamed", threshold=0.9)
    copy = pickle.loads(pickle.dumps(FunctionJudge(plain_judge, name="named", threshold=0.9)))
    assert (copy.name, copy.threshold) == ("named", 0.9)
    assert copy.digest == FunctionJudge(plain_judge, name="named", threshold=0.9).digest
    assert (renamed.name, renamed.threshold) == ("renamed", 0.9)
    assert renamed.digest != answered.digest


def plain_judge(episode: Episode) -> bool:
    return True
