from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.judges.patterns import assign, differences, equal, matches, nearest_value, pattern_problems
from tests.judges.test_subject import JSON


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ({"a": 1}, {"a": 1.0, "b": 2}),
        ({}, {"b": 2}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
        ([1, {"a": 1}], [1, {"a": 1, "b": 2}]),
        ([1, 2], (1, 2)),
        ({"a": {"$any": True}}, {"a": None}),
        ({"a": {"$absent": True}}, {"b": 1}),
        ({"a": {"$regex": "^HB-[0-9]+$"}}, {"a": "HB-12"}),
        ({"a": {"$contains": "x"}}, {"a": "axb"}),
        ({"a": {"$contains": {"id": 2}}}, {"a": [{"id": 1}, {"id": 2, "b": 3}]}),
        ({"a": {"$in": [1, {"$regex": "z"}]}}, {"a": "xyz"}),
        ({"a": {"$not": {"$in": [1, 2]}}}, {"a": 3}),
        ({"a": {"$not": 1}}, {}),
        ({"a": {"$gte": 1, "$lte": 2}}, {"a": 1.5}),
        ({"a": {"$gte": "2026-01-01"}}, {"a": "2026-02-01"}),
    ],
)
def test_what_matches(pattern: Any, value: Any):
    assert list(differences(pattern, value)) == []
    assert list(pattern_problems(pattern)) == []


@pytest.mark.parametrize(
    ("pattern", "value", "said"),
    [
        ({"a": 1}, {"a": 2}, "a: expected 1, got 2"),
        ({"a": 1}, {}, "a: expected 1, got nothing"),
        ({"a": None}, {}, "a: expected null, got nothing"),
        ({"a": 1}, {"a": True}, "a: expected 1, got true"),
        ({"a": 1}, {"a": "1"}, 'a: expected 1, got "1"'),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, "a.b[0]: expected 1, got 2"),
        ([1, 2], [1], "expected [1,2], got [1]"),
        ({"a": {"b": 1}}, {"a": 1}, 'a: expected {"b":1}, got 1'),
        ({"a": {"$any": True}}, {}, "a: expected anything, got nothing"),
        ({"a": {"$absent": True}}, {"a": 0}, "a: expected nothing, got 0"),
        ({"a": {"$regex": "x"}}, {"a": 1}, 'a: expected text that matches "x", got 1'),
        ({"a": {"$gte": 1}}, {"a": "2"}, 'a: expected at least 1, got "2"'),
        ({"a": {"$gte": 1}}, {"a": True}, "a: expected at least 1, got true"),
        ({"a": {"$gte": 1, "$lte": 2}}, {"a": 3}, "a: expected at most 2, got 3"),
        ({"a": {"$contains": 1}}, {"a": "1"}, 'a: expected something that contains 1, got "1"'),
        ({"a": {"$not": 1}}, {"a": 1}, "a: expected anything but 1, got 1"),
        ({"a": {"$in": [1, 2]}}, {}, "a: expected one of [1,2], got nothing"),
    ],
)
def test_what_differs_is_said(pattern: Any, value: Any, said: str):
    assert list(differences(pattern, value)) == [said]
    assert not matches(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"a": {"$regx": "x"}}, "a: unknown operator $regx (did you mean '$regex'?)"),
        ({"a": {"$regex": "("}}, "a: $regex"),
        ({"a": {"$regex": 1}}, "a: $regex takes text"),
        ({"a": {"$any": False}}, "a: $any takes true"),
        ({"a": [{"$in": []}]}, "a[0]: $in takes a list"),
        ({"a": {"$gte": None}}, "a: $gte takes a number or text"),
        ({"a": {"$any": True, "b": 1}}, "a: mixes operators ($any) with keys"),
        ({"a": {"$not": {"$nope": 1}}}, "a: $not: unknown operator $nope"),
    ],
)
def test_mistakes_in_patterns(pattern: Any, said: str):
    problems = list(pattern_problems(pattern))
    assert len(problems) == 1
    assert problems[0].startswith(said)


@given(JSON, JSON)
def test_equality_is_that_of_json(one: Any, other: Any):
    assert equal(one, one)
    assert equal(one, other) == equal(other, one)
    assert matches([one], [one])


@given(st.lists(st.sets(st.integers(0, 4)), max_size=5), st.integers(0, 5))
def test_assigning_pairs_as_many_as_can_be_paired(fits: list[set[int]], size: int):
    patterns = [{"$in": sorted(options)} if options else {"$absent": True} for options in fits]
    values = list(range(size))
    left, spare = assign(patterns, values)
    paired = len(patterns) - len(left)
    assert len(values) - len(spare) == paired
    best = max(
        sum(value in options for options, value in zip(fits, order, strict=False))
        for order in itertools.permutations([*values, *[None] * len(fits)], len(fits))
    )
    assert paired == best


def test_the_nearest_value_is_the_one_with_the_fewest_differences():
    rows = [{"a": 1, "b": 9, "c": 9}, {"a": 1, "b": 2, "c": 9}, {"a": 9}]
    assert nearest_value({"a": 1, "b": 2, "c": 3}, rows) == "c: expected 3, got 9"
    assert nearest_value({"a": 1}, []) == ""
