from __future__ import annotations

import math
import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from assay.stats.repeats import curve, flakiness, pass_at_k, pass_hat_k, spread
from tests.stats.published import TAU_COUNTS


@st.composite
def attempts(draw, most=9):
    total = draw(st.integers(1, most))
    return total, draw(st.integers(0, total))


def test_published_curve_of_tau_bench():
    points = curve(TAU_COUNTS)
    assert [point.k for point in points] == [1, 2, 3, 4]
    assert [round(point.pass_hat_k, 4) for point in points] == [0.42, 0.2733, 0.22, 0.2]
    assert [point.pass_hat_k_se for point in points] == pytest.approx([0.052, 0.056, 0.057, 0.057], abs=6e-4)
    assert [round(point.pass_at_k, 4) for point in points] == [0.42, 0.5667, 0.66, 0.72]
    assert {point.n_cases for point in points} == {50}


@given(attempts(), st.data())
def test_both_are_the_share_of_subsets(counts, data):
    total, passed = counts
    k = data.draw(st.integers(1, total))
    subsets = list(combinations([True] * passed + [False] * (total - passed), k))
    assert pass_at_k(total, passed, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))
    assert pass_hat_k(total, passed, k) == pytest.approx(sum(map(all, subsets)) / len(subsets))


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30))
def test_one_falls_and_the_other_rises_with_k(passes):
    points = curve([(6, passed) for passed in passes])
    assert points[0].pass_at_k == pytest.approx(points[0].pass_hat_k)
    for before, after in pairwise(points):
        assert after.pass_hat_k <= before.pass_hat_k + 1e-12
        assert after.pass_at_k >= before.pass_at_k - 1e-12


def test_unbiased_where_the_power_of_the_rate_is_not():
    random_ = random.Random(3)
    passes = [sum(random_.random() < 0.6 for _ in range(4)) for _ in range(4000)]
    (*_, third, _) = curve([(4, passed) for passed in passes])
    assert third.pass_hat_k == pytest.approx(0.6**3, abs=0.015)
    assert sum((passed / 4) ** 3 for passed in passes) / 4000 > 0.6**3 + 0.05


@pytest.mark.parametrize("formula", [pass_at_k, pass_hat_k])
def test_more_than_was_run_is_refused_with_the_cure(formula):
    with pytest.raises(ValueError, match="run attempts = 5 or more, or ask for a smaller k"):
        formula(4, 2, 5)


def test_a_curve_beyond_one_case_is_refused():
    with pytest.raises(ValueError, match="run attempts = 4"):
        curve([(4, 1), (3, 3)], max_k=4)
    assert len(curve([(4, 1), (3, 3)])) == 3
    assert curve([]) == ()


@pytest.mark.parametrize("counts", [(3, 4, 1), (3, -1, 1), (3, 2, -1)])
def test_impossible_counts(counts):
    with pytest.raises(ValueError, match=r"impossible|negative"):
        pass_hat_k(*counts)


def test_a_single_case_has_no_standard_error():
    (point,) = curve([(1, 1)])
    assert (point.pass_at_k, point.pass_at_k_se) == (1.0, None)


def test_clusters_widen_the_curve():
    counts = [(4, 4), (4, 4), (4, 0), (4, 0)] * 5
    labels = [i // 2 for i in range(20)]
    assert curve(counts, clusters=labels)[0].pass_hat_k_se > curve(counts)[0].pass_hat_k_se


def test_spread_finds_the_variances_of_a_simulation():
    generator = np.random.default_rng(1)
    rates = generator.beta(2, 2, 4000)
    passes = generator.binomial(5, rates)
    result = spread([(5, int(passed)) for passed in passes])
    assert result.between == pytest.approx(1 / 20, abs=0.004)
    assert result.within == pytest.approx(1 / 5, abs=0.006)
    assert result.useful_attempts in {4, 5}
    assert result.standard_error(4000, 5) == pytest.approx(float(np.std(passes / 5, ddof=1)) / 4000**0.5, rel=1e-6)


def test_spread_of_tau_bench():
    result = spread(TAU_COUNTS)
    assert (result.n_cases, result.n_mixed) == (50, 26)
    assert result.standard_error(50, 4) == pytest.approx(0.0522, abs=5e-5)
    assert result.standard_error(50, 1) > result.standard_error(50, 4)


def test_equal_cases_do_not_differ():
    result = spread([(2, 1)] * 6)
    assert (result.between, result.useful_attempts) == (0.0, None)


def test_spread_needs_repeats():
    with pytest.raises(ValueError, match="attempts = 2 or more"):
        spread([(1, 1)] * 20)


@given(attempts(most=40))
def test_flakiness_is_the_posterior_mass_between(counts):
    total, passed = counts
    a, b = passed + 0.5, total - passed + 0.5
    expected = float(special.betainc(a, b, 0.9) - special.betainc(a, b, 0.1))
    assert flakiness(total, passed) == pytest.approx(expected, abs=1e-10)
    assert flakiness(total, total - passed) == pytest.approx(expected, abs=1e-10)


def test_flaky_and_steady_cases_are_told_apart():
    assert flakiness(10, 5) > 0.99
    assert flakiness(10, 10) < 0.2
    assert flakiness(0, 0) == pytest.approx(2 / math.pi * (math.asin(0.9**0.5) - math.asin(0.1**0.5)))
