from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from assay.stats.distributions import (
    beta_cdf,
    beta_quantile,
    binomial_cdf,
    normal_quantile,
    t_quantile,
    t_tail,
)

shapes = st.floats(0.3, 50_000)
shares = st.floats(0.0005, 0.9995)


@given(a=shapes, b=shapes, share=shares)
def test_beta_agrees_with_scipy_where_the_mass_lies(a, b, share):
    x = float(special.betaincinv(a, b, share))
    assert beta_cdf(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), abs=1e-9)
    assert beta_quantile(share, a, b) == pytest.approx(x, rel=1e-8, abs=1e-12)


@given(a=shapes, b=shapes, x=st.floats(0, 1))
def test_beta_agrees_with_scipy_in_the_tails_and_is_a_probability(a, b, x):
    assert beta_cdf(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), abs=1e-9)
    assert 0.0 <= beta_cdf(x, a, b) <= 1.0


@given(trials=st.integers(0, 3000), data=st.data(), probability=st.floats(0.001, 0.999))
def test_binomial_agrees_with_scipy(trials, data, probability):
    successes = data.draw(st.integers(0, trials))
    expected = float(special.bdtr(successes, trials, probability))
    assert binomial_cdf(successes, trials, probability) == pytest.approx(expected, abs=1e-10)


def test_binomial_below_zero_and_at_the_top():
    assert binomial_cdf(-1, 5, 0.5) == 0.0
    assert binomial_cdf(5, 5, 0.5) == 1.0


@given(df=st.floats(1, 20_000), share=shares, t=st.floats(-30, 30))
def test_student_agrees_with_scipy(df, share, t):
    assert t_tail(t, df) == pytest.approx(float(special.stdtr(df, -t)), abs=1e-9)
    assert t_quantile(share, df) == pytest.approx(float(special.stdtrit(df, share)), rel=1e-7, abs=1e-9)


@given(share=shares)
def test_normal_agrees_with_scipy(share):
    assert normal_quantile(share) == pytest.approx(float(special.ndtri(share)), rel=1e-12, abs=1e-13)
