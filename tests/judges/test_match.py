from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import ConfigError
from assay.core.protocols import Judge
from assay.core.verdict import Verdict
from assay.judges.builtin import BuiltIn
from assay.judges.match import Contains, Exact, Number, Regex
from tests.judges.episodes import make_episode


def said(judge: BuiltIn, output: Any, expected: Any = None) -> Verdict:
    return judge.judge(make_episode(output, expected=expected))


@pytest.mark.parametrize("kind", [Exact, Contains, Regex, Number])
def test_each_is_a_judge_named_by_its_kind(kind: type[BuiltIn]):
    judge = kind()
    assert isinstance(judge, Judge)
    assert judge.name == kind.kind
    assert pickle.loads(pickle.dumps(judge)) == judge


def test_the_digest_is_of_the_settings():
    assert Contains(value="a").digest == Contains(value="a").digest
    assert Contains(value="a").digest == Contains(value="a", timeout_s=1.0).digest
    digests = {
        judge.digest
        for judge in (
            Contains(value="a"), Contains(value="b"), Contains(value="a", name="n"), Contains(value="a", mode="any"),
            Contains(value="a", on="text"), Contains(), Exact(value="a"), Regex(value="a"),
        )
    }  # fmt: skip
    assert len(digests) == 8


@pytest.mark.parametrize(
    ("judge", "output", "expected", "passed"),
    [
        (Exact(), "a", "a", True),
        (Exact(), "a", "A", False),
        (Exact(), "a ", "a", False),
        (Exact(ignore_case=True), "STRASSE", "straße", True),
        (Exact(ignore_space=True), " a \n b ", "a b", True),
        (Exact(), "Cafe\u0301", "Café", True),
        (Exact(), {"a": [1, 2]}, {"a": [1.0, 2]}, True),
        (Exact(), {"a": 1}, {"a": 1, "b": 2}, False),
        (Exact(), 1, True, False),
        (Exact(), "1", 1, False),
        (Exact(on="text"), "1", 1, True),
        (Exact(on="text"), 1, "1", True),
        (Exact(), None, "a", False),
        (Exact(any_of=True), "b", ["a", "b"], True),
        (Exact(any_of=True), "c", ["a", "b"], False),
        (Exact(any_of=True), "a", "a", None),
        (Exact(any_of=True), "a", [], None),
        (Exact(), ["a", "b"], ["a", "b"], True),
        (Exact(expected="/answer"), "a", {"answer": "a"}, True),
        (Exact(expected="deep.answer"), "a", {"deep": {"answer": "a"}}, True),
        (Exact(expected="answer"), "a", {"other": "a"}, None),
        (Exact(), "a", None, None),
        (Exact(value=None), None, "ignored", True),
        (Exact(on="/x", value=3), '{"x": 3}', None, True),
        (Exact(on="/x", value=3), '{"y": 3}', None, False),
        (Exact(on="/x", value=3), "prose", None, False),
        (Contains(), "say please", "please", True),
        (Contains(), "say Please", "please", False),
        (Contains(ignore_case=True), "say Please", "please", True),
        (Contains(ignore_space=True), "say\n  please", "say please", True),
        (Contains(), {"answer": "please"}, "please", True),
        (Contains(), "a b", ["a", "b"], True),
        (Contains(), "a", ["a", "b"], False),
        (Contains(mode="any"), "a", ["a", "b"], True),
        (Contains(mode="any"), "c", ["a", "b"], False),
        (Contains(mode="none"), "c", ["a", "b"], True),
        (Contains(mode="none"), "cb", ["a", "b"], False),
        (Contains(), "the total is 345", 345, True),
        (Contains(), "a", "", None),
        (Contains(), "a", [], None),
        (Contains(), "a", {"no": "text"}, None),
        (Contains(), None, "a", False),
        (Regex(), "HB-1023", "^HB-[0-9]+$", True),
        (Regex(), "x HB-1023", "^HB-[0-9]+$", False),
        (Regex(full=True), "HB-1023 x", "HB-[0-9]+", False),
        (Regex(ignore_case=True), "hb-1", "HB", True),
        (Regex(), "ab", ["a", "c"], False),
        (Regex(mode="any"), "ab", ["a", "c"], True),
        (Regex(mode="none"), "ab", ["c", "d"], True),
        (Regex(mode="none"), "ab", ["c", "b"], False),
        (Regex(), "a", "(", None),
        (Regex(), "a", 3, None),
        (Regex(max_chars=3), "abcd", "d", False),
        (Number(), "The total is $1,234.50", 1234.5, True),
        (Number(), "It costs 3 x 115 = 345", 345, True),
        (Number(pick="first"), "It costs 3 x 115 = 345", 345, False),
        (Number(pick="any"), "3 x 115", 115, True),
        (Number(pick="only"), "3 x 115", 115, False),
        (Number(pick="only"), "115 is 115", 115, True),
        (Number(), 0.1 + 0.2, 0.3, True),
        (Number(abs_tol=0.5), 3.4, 3, True),
        (Number(abs_tol=0.5), 3.6, 3, False),
        (Number(rel_tol=0.1), 109, 100, True),
        (Number(), "none", 3, False),
        (Number(), None, 3, False),
        (Number(), "3", "three", None),
        (Number(), "3", "between 3 and 4", None),
        (Number(decimal=","), "1.234,5", "1234,5", True),
        (Number(on="/total"), {"total": "EUR 12"}, 12, True),
    ],
)  # fmt: skip
def test_table(judge: BuiltIn, output: Any, expected: Any, passed: bool | None):
    verdict = said(judge, output, expected)
    assert verdict.passed is passed, verdict.reason
    assert bool(verdict.reason) == (passed is not True)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (said(Exact(), "a", "b"), 'expected "b", got "a"'),
        (said(Exact(any_of=True), "c", ["a", "b"]), 'expected "a" or "b", got "c"'),
        (said(Exact(on="/x"), {"y": 1}, 1), 'the output has nothing at /x: {"y":1}'),
        (said(Contains(), "a", ["a", "b"]), 'does not contain "b": "a"'),
        (said(Contains(mode="none"), "ab", ["b"]), 'must not contain "b": "ab"'),
        (said(Contains(mode="any"), "c", ["a", "b"]), 'does not contain any of "a", "b": "c"'),
        (said(Regex(max_chars=3), "abcd", "d"), 'does not match "d": "abcd" (the first 3 characters of it)'),
        (said(Number(), "1 and 2", 3), "expected 3, got last of 1, 2"),
        (said(Number(), "none", 3), 'expected 3, found no number in "none"'),
        (said(Contains(expected="a.b"), "x", {"a": 1}), "case.expected has nothing at 'a.b'"),
    ],
)
def test_reasons(verdict: Verdict, reason: str):
    assert verdict.reason == reason


@given(st.text(max_size=50), st.text(max_size=50))
def test_exact_and_contains_agree_with_python(one: str, other: str):
    judge = Exact(on="text")
    assert said(judge, one, one).passed is True
    joined = f"{other}\n{one}\n{other}"
    assert said(Contains(), joined, one).passed is (True if one else None)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(0, 10))
def test_number_is_symmetric(one: float, other: float, tolerance: float):
    judge = Number(abs_tol=tolerance, rel_tol=0.0)
    assert said(judge, one, other).passed == said(judge, other, one).passed == (abs(one - other) <= tolerance)


@pytest.mark.parametrize(
    ("settings", "kind", "keys"),
    [
        ({"on": "answer"}, Exact, ["on"]),
        ({"value": "x", "expected": "y"}, Exact, ["expected"]),
        ({"timeout_s": 0.0}, Exact, ["timeout_s"]),
        ({"value": ""}, Contains, ["value"]),
        ({"value": ["a", None]}, Contains, ["value"]),
        ({"value": "(", "max_chars": 0}, Regex, ["value", "max_chars"]),
        ({"value": "two"}, Number, ["value"]),
        ({"abs_tol": -1.0, "rel_tol": float("nan")}, Number, ["abs_tol", "rel_tol"]),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], kind: type[BuiltIn], keys: list[str]):
    with pytest.raises(ConfigError) as caught:
        kind(**settings)
    assert [problem.key for problem in caught.value.problems] == keys


def test_judges_are_values():
    judge = Contains(value="a")
    assert judge == Contains(value="a")
    assert msgspec.structs.replace(judge, name="other").name == "other"
    with pytest.raises(AttributeError):
        judge.name = "x"  # pyright: ignore[reportAttributeAccessIssue]


def test_megabytes_are_searched_and_reasons_stay_small():
    verdict = said(Contains(value="needle"), "hay " * 500_000)
    assert verdict.passed is False
    assert len(verdict.reason) < 500
