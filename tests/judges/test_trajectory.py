from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import ConfigError
from assay.core.trace import ToolCall
from assay.judges.trajectory import ExpectedCall, Trajectory
from tests.judges.episodes import make_episode


def call(number: int, name: str, *, error: str = "", **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments, error=error, span_id=f"{number:016x}")


SEARCH = call(1, "search", room="double")
BOOK_IN_VAIN = call(2, "book", room="102", error="taken")
BOOK = call(3, "book", room="103")
MAIL = call(4, "mail", to="nora@example.com")
CALLS = (SEARCH, BOOK_IN_VAIN, BOOK, MAIL)


@pytest.mark.parametrize(
    ("rules", "complaints", "at_fault"),
    [
        ({"required": ("mail", "search")}, [], []),
        ({"required": ("mail", "search"), "order": "in_order"}, ["required and not called after mail: search"], []),
        ({"required": ("search", "mail"), "order": "in_order"}, [], []),
        ({"required": ("search", "book", "mail"), "order": "exact"}, [], []),
        ({"required": ("search", "book", "book", "mail"), "order": "exact", "allow_failed": True}, [], []),
        (
            {"required": ("search", "mail"), "order": "exact"},
            ['call 2 must be mail, it was book {"room":"103"}'],
            [BOOK],
        ),
        ({"required": ("search", "book"), "order": "exact"}, ['not expected: mail {"to":"nora@example.com"}'], [MAIL]),
        (
            {"required": ("search", "book", "mail", "bill"), "order": "exact"},
            ["required and not called: bill"],
            [],
        ),
        ({"required": (ExpectedCall(tool="book", arguments={"room": "103"}),)}, [], []),
        (
            {"required": (ExpectedCall(tool="book", arguments={"room": "102"}),)},
            ['required and not called: book {"room":"102"} (nearest: arguments.room: expected "102", got "103")'],
            [],
        ),
        ({"required": (ExpectedCall(tool="book", arguments={"room": "102"}),), "allow_failed": True}, [], []),
        ({"required": ("book", "book")}, ["required and not called: book"], []),
        ({"required": ("b*",)}, [], []),
        ({"required": ("book", ExpectedCall(tool="*", arguments={"room": "double"}))}, [], []),
        ({"required": ("book", ExpectedCall(tool="*", arguments={"room": "9"}))},
         ['required and not called: * {"room":"9"} (nearest: arguments.room: expected "9", got "double")'], []),
        ({"forbidden": ("refund",)}, [], []),
        ({"forbidden": ("book",)}, ['forbidden and called: book {"room":"102"} (2 times)'], [BOOK_IN_VAIN, BOOK]),
        ({"forbidden": (ExpectedCall(tool="book", arguments={"room": {"$regex": "3$"}}),)},
         ['forbidden and called: book {"room":"103"}'], [BOOK]),
        ({"max_calls": {"book": 1}}, ["book was called 2 times, at most 1 are allowed"], [BOOK]),
        ({"max_calls": {"book": 2, "bill": 0}}, [], []),
        ({"max_total": 3}, ["4 calls were made, at most 3 are allowed"], [MAIL]),
        ({"max_total": 4}, [], []),
        ({"max_total": 2, "only": ("b*",)}, [], []),
        ({"max_total": 2, "ignore": ("b*",)}, [], []),
        ({"max_total": 0, "forbidden": ("mail",)}, [
            'forbidden and called: mail {"to":"nora@example.com"}',
            "4 calls were made, at most 0 are allowed",
        ], [MAIL, SEARCH, BOOK_IN_VAIN, BOOK]),
        ({"no_repeats": True}, [], []),
    ],
)  # fmt: skip
def test_rules(rules: dict[str, Any], complaints: list[str], at_fault: list[ToolCall]):
    verdict = Trajectory(**rules).judge(make_episode(calls=CALLS))
    assert verdict.reason == "; ".join(complaints)
    assert verdict.passed == (not complaints)
    assert verdict.evidence == tuple(one.span_id for one in at_fault)


def test_repeats():
    again = call(5, "search", room="double")
    verdict = Trajectory(no_repeats=True).judge(make_episode(calls=(SEARCH, BOOK, again)))
    assert verdict.passed is False
    assert verdict.reason == 'the same call 2 times: search {"room":"double"}'
    assert verdict.evidence == (again.span_id,)


def test_an_agent_that_calls_nothing():
    assert Trajectory(required=("search",)).judge(make_episode()).passed is False
    assert Trajectory(forbidden=("search",)).judge(make_episode()).passed is True
    assert Trajectory(order="exact").judge(make_episode()).passed is True
    assert Trajectory(order="exact").judge(make_episode(calls=CALLS)).passed is False


@pytest.mark.parametrize(
    ("expected", "passed"),
    [
        (["search", "book"], True),
        (["book", "search"], False),
        ([], True),
        ({"required": ["search"], "forbidden": ["refund"]}, True),
        ({"required": ["book", "search"], "order": "any"}, True),
        ({"forbidden": ["mail"]}, False),
        ({"required": [{"tool": "book", "arguments": {"room": "103"}}]}, True),
        ({"required": [{"tol": "book"}]}, None),
        ({"requird": []}, None),
        ({"max_total": -1}, None),
        ("search", None),
    ],
)
def test_rules_of_the_case(expected: Any, passed: bool | None):
    judge = Trajectory(expected="tools", order="in_order")
    assert judge.judge(make_episode(calls=CALLS, expected={"tools": expected})).passed is passed


def test_a_case_without_rules_is_unjudged_and_both_kinds_of_rules_count():
    judge = Trajectory(expected="tools", forbidden=("mail",))
    assert judge.judge(make_episode(calls=CALLS)).passed is None
    verdict = judge.judge(make_episode(calls=CALLS, expected={"tools": ["bill"]}))
    assert verdict.reason == ('forbidden and called: mail {"to":"nora@example.com"}; required and not called: bill')


def test_arguments_that_are_no_object():
    odd = ToolCall(name="book", arguments="{broken", span_id="1" * 16)
    rules = Trajectory(required=(ExpectedCall(tool="book", arguments={"room": "1"}),))
    assert rules.judge(make_episode(calls=(odd,))).passed is False
    assert Trajectory(required=("book",)).judge(make_episode(calls=(odd,))).passed is True


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, [""]),
        ({"name": "x", "order": "in_order"}, [""]),
        ({"required": ("",)}, ["required[0]"]),
        ({"forbidden": (ExpectedCall(tool="a", arguments={"x": {"$nope": 1}}),)}, ["forbidden[0].arguments"]),
        ({"max_calls": {"a": -1}, "max_total": -1}, ["max_total", "max_calls.a"]),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], keys: list[str]):
    with pytest.raises(ConfigError) as caught:
        Trajectory(**settings)
    assert [problem.key for problem in caught.value.problems] == keys


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
def test_the_orders_include_each_other(made: list[str], required: list[str]):
    calls = tuple(call(number, name) for number, name in enumerate(made, 1))
    passed = {
        order: Trajectory(required=tuple(required), order=order).judge(make_episode(calls=calls)).passed
        for order in ("any", "in_order", "exact")
    }
    remaining = iter(made)
    assert passed["any"] == all(made.count(name) >= required.count(name) for name in required)
    assert passed["in_order"] == all(name in remaining for name in required)
    assert passed["exact"] == (made == required)
