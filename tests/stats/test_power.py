from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.stats.flips import FlipTable, mcnemar, newcombe
from assay.stats.intervals import clopper_pearson
from assay.stats.power import (
    CASES_LIMIT,
    cases_for_difference,
    cases_for_rate,
    cases_for_regression,
    cases_for_scores,
    cases_for_shift,
    detectable_difference,
)


@pytest.mark.parametrize(
    ("cases", "flip_rate", "points"),
    [(100, 0.1, 8.8), (100, 0.2, 12.4), (200, 0.1, 6.2), (200, 0.2, 8.8), (500, 0.1, 4.0), (500, 0.2, 5.6), (1000, 0.1, 2.8), (1000, 0.2, 4.0), (50, 0.2, 17.3)],
)  # fmt: skip
def test_table_of_detectable_differences(cases, flip_rate, points):
    assert round(100 * detectable_difference(cases, flip_rate), 1) == points


def test_out_of_reach():
    assert detectable_difference(50, 0.1) is None


def test_cases_for_a_difference():
    assert (cases_for_difference(0.05, 0.1), cases_for_difference(-0.1, 0.2)) == (312, 155)


@given(st.integers(20, 5000), st.floats(0.02, 1.0))
def test_both_solve_the_same_equation(cases, flip_rate):
    difference = detectable_difference(cases, flip_rate)
    if difference is not None:
        assert cases_for_difference(difference, flip_rate) == pytest.approx(cases, abs=1)


def test_power_is_what_it_says():
    random_ = random.Random(2)
    found = 0
    for _ in range(400):
        lost = gained = 0
        for _ in range(312):
            draw = random_.random()
            lost += draw < 0.075
            gained += 0.075 <= draw < 0.1
        found += mcnemar(lost, gained, mid_p=True) <= 0.05
    assert 0.74 <= found / 400 <= 0.86


@pytest.mark.parametrize("difference", [0.0, 0.3])
def test_impossible_differences(difference):
    with pytest.raises(ValueError, match="need 0 < difference"):
        cases_for_difference(difference, 0.2)


def test_cases_for_scores_of_miller():
    assert cases_for_scores(0.03, variance=1 / 9) == 969
    assert cases_for_scores(0.03, variance=1 / 9, noise=(1 / 6, 1 / 6)) == 3876
    assert cases_for_scores(0.03, variance=1 / 9, noise=(1 / 6, 1 / 6), attempts=(10, 10)) == 1260
    with pytest.raises(ValueError, match="smallest difference that matters"):
        cases_for_scores(0.0, variance=0.1)


@pytest.mark.parametrize(("minimum", "cases"), [(0.95, 59), (0.9, 29), (0.99, 299)])
def test_the_rule_of_three(minimum, cases):
    assert cases_for_rate(1.0, minimum) == cases == math.ceil(math.log(0.05) / math.log(minimum))


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_bound_leaves_the_minimum_at_that_number(rate, minimum, confidence):
    needed = cases_for_rate(rate, minimum, confidence=confidence)
    if needed is None:
        assert abs(rate - minimum) < 0.005
        return

    def is_settled(cases: int) -> bool:
        interval = clopper_pearson(rate * cases, cases, 2 * confidence - 1)
        return interval.low >= minimum - 1e-9 if rate > minimum else interval.high < minimum + 1e-9

    assert is_settled(needed)
    assert is_settled(2 * needed)


def test_a_rate_on_its_minimum_is_never_settled():
    assert cases_for_rate(0.9, 0.9) is None
    assert cases_for_rate(1.0, 1.0) is None
    assert cases_for_rate(0.9 + 1e-6, 0.9) is None
    assert cases_for_rate(0.99, 1.0) == 1


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.02, 0.2))
def test_a_regression_gate_is_settled_at_that_number(lost, gained, margin):
    table = FlipTable(both=50, lost=lost, gained=gained, neither=20)
    needed = cases_for_regression(table, margin)
    assert needed is not None
    grown = table.scaled(needed / table.cases)
    passes = newcombe(grown, 0.9).low > -margin
    fails = mcnemar(grown.lost, grown.gained, alternative="worse") <= 0.05
    assert passes or fails


def test_regression_without_margin_and_without_flips_is_never_settled():
    assert cases_for_regression(FlipTable(both=50, lost=0, gained=0, neither=0), 0.0) is None


def test_cases_for_a_shift():
    assert cases_for_shift(0.0, 0.1, cases=100, margin=0.05) == 400
    assert cases_for_shift(-0.1, 0.2, cases=100, margin=0.05) == 400
    assert cases_for_shift(0.0, 0.1, cases=100, margin=0.0) is None
    assert cases_for_shift(0.0, 1.0, cases=100, margin=0.001) is None
    assert CASES_LIMIT == 1_000_000
