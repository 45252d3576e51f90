from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.harnesses.answer import answer_bounds, as_answer, decode_answer

BOUNDS = answer_bounds(1024)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@dataclasses.dataclass
class Booking:
    room: int
    night: date


class Model:
    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Plain:
    def __str__(self) -> str:
        return "plain"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (None, None),
        (Booking(3, date(2026, 1, 2)), {"room": 3, "night": "2026-01-02"}),
        ({1: (Decimal("1.5"),)}, {"1": ["1.5"]}),
        (Model(), {"mode": "json"}),
        ([Plain(), Rude()], ["plain", "<Rude>"]),
        (float("nan"), "NaN"),
        ("a\x00b\ud800", "a␀b\\ud800"),
    ],
)
def test_whatever_an_agent_returns_becomes_json(value: Any, expected: Any):
    assert as_answer(value, BOUNDS) == expected


def test_objects_that_contain_themselves_are_cut():
    loop: list[Any] = [1]
    loop.append(loop)
    text = msgspec.json.encode(as_answer(loop, BOUNDS)).decode()
    assert "nested deeper than" in text


def test_long_answers_are_cut_with_a_mark():
    answer = as_answer({"a": "x" * 5_000, "b": list(range(10_000))}, answer_bounds(1))
    assert "[cut " in answer["a"]
    assert answer["b"][-1].endswith("items]")
    assert len(msgspec.json.encode(answer)) < 4_000


@pytest.mark.parametrize("data", [b"[" * 5_000, b"\xff\xfe", b"not json", b""])
def test_bytes_that_are_no_json_become_text(data: bytes):
    assert isinstance(decode_answer(data, BOUNDS), str)


def test_deep_json_is_cut():
    assert "nested deeper" in msgspec.json.encode(decode_answer(b"[" * 500 + b"]" * 500, BOUNDS)).decode()


@given(json_values)
def test_json_values_come_through_unchanged_up_to_odd_text(value: Any):
    answer = as_answer(value, BOUNDS)
    assert as_answer(answer, BOUNDS) == answer
    assert decode_answer(msgspec.json.encode(answer), BOUNDS) == answer
