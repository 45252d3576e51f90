"""Attribute values as content: JSON text where it is, text where it is not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.otel.bounds import DEFAULT_BOUNDS, bounded
from assay.otel.content import as_count, as_money, as_text, numbered, parsed, structured


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a": [1]}', {"a": [1]}),
        (' [{"b": null}] ', [{"b": None}]),
        ('"quoted"', "quoted"),
        ("42", "42"),
        ("true", "true"),
        ("plain", "plain"),
        ("", ""),
        ('{"a": ', '{"a": '),
        ("[oops]", "[oops]"),
        ({"a": "{}"}, {"a": "{}"}),
        (None, None),
        (7, 7),
        ('{"score": NaN}', {"score": "NaN"}),
        ('["\\ud83d"]', ["\\ud83d"]),
        ('["a\\u0000b"]', ["a␀b"]),
        ("[1e999]", ["Infinity"]),
        (f"[{2**70}]", [str(2**70)]),
    ],
)
def test_json_text_is_decoded_and_everything_else_stays(value: Any, expected: Any) -> None:
    assert structured(value) == expected


def test_only_text_that_is_surely_json_may_become_a_number() -> None:
    assert structured("42") == "42"
    assert parsed("42") == 42


@given(st.text(max_size=80))
def test_no_text_makes_it_raise(text: str) -> None:
    text = bounded(text)
    for sample in (text, f"[{text}", f"{{{text}}}", f'["{text}"]'):
        result = parsed(sample)
        assert bounded(result) == result
        msgspec.json.encode(result)


@given(st.integers(1, 120), st.sampled_from(["[]", "{}"]), st.booleans())
def test_nesting_in_json_text_is_bounded(levels: int, kind: str, quoted: bool) -> None:
    inner = '"[{"' if quoted else "1"
    opening = "[" if kind == "[]" else '{"k":'
    text = opening * levels + inner + kind[1] * levels
    result = parsed(text)
    assert bounded(result) == result
    if levels <= DEFAULT_BOUNDS.depth:
        assert result == json.loads(text)


def test_a_bomb_of_brackets_stays_text() -> None:
    bomb = "[" * 1_000_000
    assert structured(bomb) == bomb


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (12, 12),
        (12.0, 12),
        ("34", 34),
        (0, 0),
        (-1, None),
        (1.5, None),
        (True, None),
        ("many", None),
        ("9" * 30, None),
        (2**60, None),
        (None, None),
        ([1], None),
        (float("nan"), None),
    ],
)
def test_counts(value: Any, count: int | None) -> None:
    assert as_count(value) == count


@pytest.mark.parametrize(
    ("value", "money"),
    [
        (0.25, 0.25),
        (1, 1.0),
        ("0.5", 0.5),
        (-1, None),
        ("inf", None),
        (float("nan"), None),
        (True, None),
        ("free", None),
        ([], None),
    ],
)
def test_money(value: Any, money: float | None) -> None:
    assert as_money(value) == money


def test_text_of_values() -> None:
    assert [as_text(value) for value in ("a", None, {"b": 1}, [1])] == ["a", "", '{"b":1}', "[1]"]


def test_numbered_attributes_are_folded_in_order_of_their_number() -> None:
    held = {
        "p.10.role": "b",
        "p.2.role": "a",
        "p.2.parts.1.text": "second",
        "p.2.parts.0.text": "first",
        "p.name": "not numbered",
        "other": 1,
    }
    items, keys = numbered(held, "p.")
    assert items == [{"role": "a", "parts": [{"text": "first"}, {"text": "second"}]}, {"role": "b"}]
    assert sorted(keys) == sorted(key for key in held if key[:3] in {"p.1", "p.2"})


@given(
    st.dictionaries(
        st.lists(st.sampled_from(["0", "1", "007", "x", "", "²", "9" * 30]), min_size=1, max_size=40).map(
            lambda path: "p." + ".".join(path)
        ),
        st.integers(0, 9),
        max_size=12,
    )
)
def test_numbered_never_raises_and_is_bounded(held: dict[str, Any]) -> None:
    items, keys = numbered(held, "p.")
    assert set(keys) <= set(held)
    msgspec.json.encode(items)
    assert bounded(items) == items
