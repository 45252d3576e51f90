"""Bounds: whatever comes in, what goes out is small, plain JSON, and marked where it was cut."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.otel.bounds import Bounder, Bounds, bounded, clean_text, cut_text

TIGHT = Bounds(text=100, total=300, nodes=12, depth=4, keys=6, key=64, events=3)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(),
    st.text(max_size=200),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Lu"]), max_size=150),
    st.binary(max_size=200),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=20),
        st.dictionaries(st.one_of(st.text(max_size=90), st.integers(), st.none()), inner, max_size=20),
        st.tuples(inner, inner),
    ),
    max_leaves=60,
)


def depth_of(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth_of, inside), default=0) if isinstance(value, (dict, list)) else 0


def nodes_of(value: Any) -> int:
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return len(inside) + sum(map(nodes_of, inside))


@given(values)
def test_every_value_becomes_plain_json_that_encodes_and_decodes_to_itself(value: Any) -> None:
    result = bounded(value)
    assert msgspec.json.decode(msgspec.json.encode(result)) == result
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result)) == result


@given(values)
def test_bounding_twice_changes_nothing(value: Any) -> None:
    once = bounded(value, TIGHT)
    assert bounded(once, TIGHT) == once


@given(values)
def test_results_stay_within_the_bounds(value: Any) -> None:
    result = bounded(value, TIGHT)
    assert depth_of(result) <= TIGHT.depth
    # one mark per container may come on top once nothing is left
    assert nodes_of(result) <= 2 * TIGHT.nodes + 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 300, "x" * 60 + "… [cut 240 characters]"),
        (list(range(20)), [*range(11), "… [cut 9 items]"]),
        ({str(i): i for i in range(20)}, {str(i): i for i in range(11)} | {"…": "[cut 9 entries]"}),
        ([[[[[1]]]]], [[[["… [cut: nested deeper than 4 levels]"]]]]),
        (b"\xff" * 200, "/" * 46 + "8=… [cut 165 bytes]"),
    ],
)
def test_cuts_are_marked_with_what_was_cut(value: Any, expected: Any) -> None:
    assert bounded(value, TIGHT) == expected


class Color(enum.StrEnum):
    red = "red"


class Level(enum.IntEnum):
    high = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (2**600, "… [integer of 601 bits]"),
        (b"ab", "YWI="),
        ("a\x00b", "a␀b"),
        ("\ud800x", "\\ud800x"),
        (Color.red, "red"),
        (Level.high, 3),
        ((1, 2), [1, 2]),
        ({1: "a", None: "b", 2.5: "c"}, {"1": "a", "None": "b", "2.5": "c"}),
        (object(), "<object>"),
        ({1, 2}, "<set>"),
    ],
)
def test_odd_values_become_something_plain(value: Any, expected: Any) -> None:
    assert bounded(value) == expected


def test_plain_types_come_out_of_subclasses() -> None:
    assert type(bounded(Color.red)) is str
    assert type(bounded(Level.high)) is int


def test_one_budget_is_shared_by_the_parts_of_a_span() -> None:
    bounder = Bounder(Bounds(text=1000, total=1000))
    first, second = bounder.text("a" * 900), bounder.text("b" * 900)
    assert first == "a" * 900
    assert second.endswith("characters]")
    assert len(second) <= 100


def test_a_million_empty_lists_are_not_kept() -> None:
    assert nodes_of(bounded([[] for _ in range(1_000_000)])) <= Bounds().nodes


def test_deep_nesting_does_not_recurse_without_end() -> None:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    assert depth_of(bounded(value)) == Bounds().depth
    while value:  # so that the interpreter need not recurse to free it either
        value = value[0]


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=100))
def test_clean_text_is_always_encodable_and_free_of_nul(text: str) -> None:
    clean = clean_text(text)
    clean.encode()
    assert "\x00" not in clean
    assert clean_text(clean) == clean


@given(st.text(max_size=500), st.integers(min_value=0, max_value=600))
def test_cut_text_says_how_much_is_gone(text: str, limit: int) -> None:
    cut = cut_text(text, limit)
    assert len(cut) <= max(limit, 64)
    if cut != text:
        kept, _, mark = cut.partition("… [cut ")
        assert len(kept) + int(mark.removesuffix(" characters]")) == len(text)


def test_json_text_survives_unchanged() -> None:
    content = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hé\n\t<b>\x1b[31m"}]}])
    assert bounded(content) == content
