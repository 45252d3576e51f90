from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from assay.stats.intervals import bounds, clopper_pearson, clustered, jeffreys, wilson
from tests.stats.published import TAU_MEANS, api_schools

PLAIN = {"wilson": (wilson, "wilson"), "clopper-pearson": (clopper_pearson, "beta"), "jeffreys": (jeffreys, "jeffreys")}


@st.composite
def counts(draw, most=400):
    judged = draw(st.integers(1, most))
    return draw(st.integers(0, judged)), judged


@pytest.mark.parametrize(
    ("formula", "passed", "judged", "low", "high"),
    [
        (wilson, 81, 263, 0.25529, 0.36621),  # Newcombe 1998
        (clopper_pearson, 81, 263, 0.25274, 0.36762),
        (wilson, 15, 148, 0.06239, 0.16049),
        (clopper_pearson, 15, 148, 0.05784, 0.16165),
        (wilson, 1, 29, 0.00611, 0.17176),
        (wilson, 47, 50, 0.83783, 0.97939),
        (clopper_pearson, 47, 50, 0.83452, 0.98745),
        (jeffreys, 47, 50, 0.84847, 0.98281),
        (wilson, 0, 20, 0.0, 0.16113),
        (wilson, 20, 20, 0.83887, 1.0),
    ],
)
def test_published_intervals(formula, passed, judged, low, high):
    interval = formula(passed, judged)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=6e-6), pytest.approx(high, abs=6e-6))


@pytest.mark.parametrize("name", PLAIN)
@given(counts(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_agrees_with_statsmodels(name, counts, level):
    formula, method = PLAIN[name]
    passed, judged = counts
    assume(name != "jeffreys" or 0 < passed < judged)  # statsmodels leaves a gap at 0 % and 100 %
    expected = proportion_confint(passed, judged, alpha=1 - level, method=method)
    interval = formula(passed, judged, level)
    assert (interval.low, interval.high) == (pytest.approx(expected[0], abs=1e-9), pytest.approx(expected[1], abs=1e-9))
    assert (interval.method, interval.level) == (name, level)


@pytest.mark.parametrize("name", PLAIN)
@given(counts(), st.floats(0.5, 0.999))
def test_contains_the_rate_and_mirrors(name, counts, level):
    formula, (passed, judged) = PLAIN[name][0], counts
    interval, mirror = formula(passed, judged, level), formula(judged - passed, judged, level)
    assert 0.0 <= interval.low <= passed / judged <= interval.high <= 1.0
    assert interval.low < interval.high
    assert mirror.low == pytest.approx(1 - interval.high, abs=1e-9)


@pytest.mark.parametrize("name", PLAIN)
@given(counts(), st.floats(0.5, 0.99))
def test_grows_with_the_level_and_with_every_pass(name, counts, level):
    formula, (passed, judged) = PLAIN[name][0], counts
    interval, wider = formula(passed, judged, level), formula(passed, judged, (1 + level) / 2)
    assert wider.low <= interval.low <= interval.high <= wider.high
    if passed < judged:
        better = formula(passed + 1, judged, level)
        assert better.low > interval.low or better.low == interval.low == 0.0
        assert better.high >= interval.high


@pytest.mark.parametrize("formula", [wilson, clopper_pearson, jeffreys])
def test_nothing_judged_says_nothing(formula):
    interval = formula(0, 0)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("passed", "judged", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0), (1, 5, 95)]
)
@pytest.mark.parametrize("formula", [wilson, clopper_pearson, jeffreys])
def test_impossible_counts_and_levels(formula, passed, judged, level):
    with pytest.raises(ValueError, match="must lie"):
        formula(passed, judged, level)


@pytest.mark.parametrize(("judged", "rate"), [(30, 0.9), (100, 0.95), (20, 0.7)])
def test_clopper_pearson_covers_at_least_its_level_and_wilson_comes_close(judged, rate):
    weights = [comb(judged, passed) * rate**passed * (1 - rate) ** (judged - passed) for passed in range(judged + 1)]
    for formula, least, most in ((clopper_pearson, 0.95, 1.0), (wilson, 0.90, 0.99)):
        covered = (formula(passed, judged) for passed in range(judged + 1))
        coverage = sum(weight for weight, i in zip(weights, covered, strict=True) if i.low <= rate <= i.high)
        assert least <= coverage <= most


@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_yes_no_cases_get_the_plain_interval(verdicts):
    passed, judged = sum(verdicts), len(verdicts)
    assert clustered(verdicts).interval == wilson(passed, judged)
    assert clustered(verdicts, clusters=list(range(judged))).interval == wilson(passed, judged)
    exact = clustered(verdicts, exact=True).interval
    expected = clopper_pearson(passed, judged)
    assert (exact.low, exact.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high, abs=1e-12))


def test_the_effective_size_of_r_survey_capped_at_the_number_of_schools():
    means, labels = api_schools()
    rate = clustered(means, clusters=labels, exact=True)
    assert rate.value == pytest.approx(0.8743169399, abs=1e-10)
    assert rate.se == pytest.approx(0.0205642375, abs=1e-10)
    assert (rate.interval.low, rate.interval.high) == (pytest.approx(0.8174, abs=5e-5), pytest.approx(0.9186, abs=5e-5))
    assert (rate.n_cases, rate.n_clusters, rate.n_effective) == (183, 15, 183.0)
    assert "15 clusters" in rate.warnings[0]


def test_repeats_of_tau_bench():
    rate = clustered(TAU_MEANS, attempts=200)
    assert rate.value == pytest.approx(0.42)
    assert rate.se == pytest.approx(0.0522, abs=5e-5)
    assert (rate.interval.low, rate.interval.high) == (pytest.approx(0.321, abs=5e-4), pytest.approx(0.526, abs=5e-4))
    shrink = (special.stdtrit(199, 0.975) / special.stdtrit(49, 0.975)) ** 2
    assert rate.n_effective == pytest.approx(0.42 * 0.58 / rate.se**2 * shrink)
    assert rate.interval.method == "wilson-effective-n"


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 99),
)
def test_clustered_rates_hold_their_invariants(rows, repeats, exact, seed):
    means, labels = [mean for mean, _ in rows], [label for _, label in rows]
    rate = clustered(means, clusters=labels, attempts=repeats * len(rows), exact=exact)
    assert rate.value is not None
    assert 0.0 <= rate.interval.low <= rate.value <= rate.interval.high <= 1.0
    assert rate.interval.low < rate.interval.high
    assert 0.0 < rate.n_effective <= repeats * len(rows)
    shuffled = random.Random(seed).sample(rows, len(rows))
    again = clustered(
        [m for m, _ in shuffled], clusters=[g for _, g in shuffled], attempts=repeats * len(rows), exact=exact
    )
    assert again.interval.low == pytest.approx(rate.interval.low, abs=1e-9)


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.integers(2, 5))
def test_copies_of_a_case_in_its_cluster_add_no_evidence(verdicts, copies):
    alone = clustered(verdicts)
    copied = clustered(verdicts * copies, clusters=list(range(len(verdicts))) * copies)
    assert copied.n_effective <= len(verdicts) + 1e-9
    assert copied.interval.high - copied.interval.low >= alone.interval.high - alone.interval.low - 1e-9


def test_agreement_of_all_cases_counts_clusters_not_cases():
    rate = clustered([1.0] * 60, clusters=[i % 6 for i in range(60)])
    assert rate.n_effective == 6
    assert rate.interval.low == pytest.approx(wilson(6, 6).low)
    assert rate.interval.high == 1.0


@pytest.mark.parametrize(("groups", "can_decide"), [(4, False), (5, True)])
def test_fewer_than_five_clusters_decide_nothing(groups, can_decide):
    rate = clustered([1.0, 0.0] * 30, clusters=[i % groups for i in range(60)])
    assert rate.can_decide is can_decide


def test_a_few_independent_cases_still_decide_exactly():
    assert clustered([0.0]).can_decide
    assert not clustered([0.5, 0.0, 1.0]).can_decide


def test_one_cluster_is_one_observation():
    rate = clustered([1.0, 0.0, 1.0], clusters=["a", "a", "a"])
    assert (rate.se, rate.n_effective, rate.can_decide) == (None, 1.0, False)


def test_no_judged_case_is_a_value():
    rate = clustered([])
    assert (rate.value, rate.interval.low, rate.interval.high, rate.can_decide) == (None, 0.0, 1.0, False)
    assert rate.warnings == ("no case was judged",)


def test_few_cases_show_their_counts():
    assert clustered([1, 0, 1]).warnings == ("only 3 cases: read the counts (2 of 3) before the rate",)


def test_equal_fractions_are_worth_their_attempts():
    assert clustered([0.5] * 10, attempts=20).n_effective == 20


@pytest.mark.parametrize("means", [[0.5, 1.5], [-0.1], [float("nan")]])
def test_means_outside_the_unit_interval(means):
    with pytest.raises(ValueError, match="leave out unjudged cases"):
        clustered(means)


def test_fewer_attempts_than_cases():
    with pytest.raises(ValueError, match="at least one"):
        clustered([1.0, 0.0], attempts=1)


def test_real_coverage_of_clustered_rates():
    random_ = random.Random(5)
    hits = 0
    for _ in range(300):
        rates = [random_.betavariate(8, 2) for _ in range(40)]
        means = [float(random_.random() < rate) for rate in rates for _ in range(5)]
        interval = clustered(means, clusters=[i // 5 for i in range(200)]).interval
        hits += interval.low <= 0.8 <= interval.high
    assert 0.91 <= hits / 300 <= 0.99


@given(counts(), st.integers(0, 50))
def test_bounds_enclose_what_the_missing_could_be(counts, missing):
    passed, judged = counts
    limits = bounds(passed, judged, missing)
    assert 0.0 <= limits.low <= passed / judged <= limits.high <= 1.0
    assert limits.high - limits.low == pytest.approx(missing / (judged + missing))


def test_bounds_of_nothing_and_of_all_missing():
    assert (bounds(0, 0, 0).low, bounds(0, 0, 0).high) == (0.0, 1.0)
    assert (bounds(0, 0, 3).low, bounds(0, 0, 3).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="negative"):
        bounds(1, 2, -1)
