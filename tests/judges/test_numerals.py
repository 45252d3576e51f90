from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.judges.numerals import numbers_in


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("345", [345]),
        ("the total is $1,234.50.", [1234.5]),
        ("€1'234", [1234]),
        ("12\u00a0345 people", [12345]),
        ("rooms 102 103", [102, 103]),
        ("-3 °C, +4", [-3, 4]),
        ("\u22127% and -$5", [-7, -5]),
        ("12kg for 3rd", [12, 3]),
        (".5 or 0.25", [0.5, 0.25]),
        ("1e6, 2.5E-3", [1_000_000, 0.0025]),
        ("flight HAT136 leaves 2026-01-15", [2026, 1, 15]),
        ("5-3", [5, 3]),
        ("(3,4) and 12,3456", [3, 4, 12, 3456]),
        ("1,234,567", [1_234_567]),
        ("version 1.2.3", [1.2]),
        ("x1 a2b", []),
        ("no number", []),
        ("9" * 400, []),
        ("Infinity nan", []),
    ],
)
def test_numbers_are_found_in_prose(text: str, numbers: list[float]):
    assert numbers_in(text) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.234,50", [1234.5]), ("7,5 %", [7.5]), ("1.5", [1, 5]), ("1'234,5", [1234.5])]
)
def test_the_decimal_mark_may_be_a_comma(text: str, numbers: list[float]):
    assert numbers_in(text, decimal=",") == numbers


@pytest.mark.parametrize(
    ("value", "numbers"),
    [(3, [3]), (2.5, [2.5]), (True, []), (None, []), ([1], []), (float("nan"), []), (10**400, [])],
)
def test_values_that_are_no_text(value: Any, numbers: list[float]):
    assert numbers_in(value) == numbers


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "{}", "${:,}", "about {:,} euros", "{:_}"]))
def test_an_integer_is_found_again_however_it_is_written(number: int, form: str):
    assert numbers_in(form.format(number).replace("$-", "-$")) == [number]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_found_again(number: float):
    assert numbers_in(f"it is {number!r}!") == [number]


@given(st.text(alphabet="0123456789.,'-+eE $", max_size=200))
def test_no_text_is_an_error(text: str):
    for decimal in (".", ","):
        assert all(isinstance(number, float) for number in numbers_in(text, decimal=decimal))
