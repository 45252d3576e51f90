from __future__ import annotations

import random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from assay.stats.clusters import chosen_labels, cluster_warnings, count_units, standard_error, unit_sums
from tests.stats.published import api_schools

rows = st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 6)), min_size=2, max_size=60)


def test_clustered_standard_error_of_r_survey():
    means, labels = api_schools()
    assert sum(means) / len(means) == pytest.approx(0.8743169399, abs=1e-10)
    assert standard_error(means, labels) == pytest.approx(0.0205642375, abs=1e-10)


@given(rows)
def test_agrees_with_the_cluster_robust_regression_of_statsmodels(rows):
    values, labels = [value for value, _ in rows], [label for _, label in rows]
    if len(set(labels)) < 2:
        assert standard_error(values, labels) is None
        return
    codes = np.unique(np.array(labels), return_inverse=True)[1]
    fit = sm.OLS(np.array(values), np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert standard_error(values, labels) == pytest.approx(float(np.sqrt(fit.cov_params()[0, 0])), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_without_clusters_it_is_sd_over_root_n(values):
    expected = float(np.std(values, ddof=1)) / len(values) ** 0.5
    assert standard_error(values, None) == pytest.approx(expected, abs=1e-12)
    assert standard_error(values, [None] * len(values)) == pytest.approx(expected, abs=1e-12)
    assert standard_error(values, list(range(len(values)))) == pytest.approx(expected, abs=1e-12)


@given(rows, st.integers(0, 1000))
def test_order_of_cases_does_not_matter(rows, seed):
    shuffled = random.Random(seed).sample(rows, len(rows))
    first = standard_error([value for value, _ in rows], [label for _, label in rows])
    second = standard_error([value for value, _ in shuffled], [label for _, label in shuffled])
    assert second == (None if first is None else pytest.approx(first, abs=1e-12))


def test_unlabelled_cases_stand_alone_beside_labelled_ones():
    assert unit_sums([1.0, 2.0, 4.0, 8.0, 16.0], ["a", None, "a", None, "b"]) == [5.0, 2.0, 8.0, 16.0]


def test_a_tuple_label_is_no_position():
    assert unit_sums([1.0, 2.0], [(True, 1), None]) == [1.0, 2.0]


def test_too_few_units_show_no_spread():
    assert standard_error([], None) is None
    assert standard_error([0.5], None) is None
    assert standard_error([0.1, 0.9], ["a", "a"]) is None


def test_labels_must_match_the_cases():
    with pytest.raises(ValueError, match="one label"):
        unit_sums([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="one label"):
        chosen_labels(["a"], [0], 2)


def test_labels_of_chosen_cases():
    assert chosen_labels(["a", None, "b"], [0, 2], 3) == ["a", "b"]
    assert chosen_labels(None, [0, 2], 3) is None


@pytest.mark.parametrize(
    ("cases", "units", "words"),
    [(40, 40, None), (3, 3, None), (99, 30, None), (99, 29, "rough"), (99, 4, "significant")],
)
def test_warnings(cases, units, words):
    warnings = cluster_warnings(cases, units)
    assert (words is None and not warnings) or words in warnings[0]


@pytest.mark.parametrize("labels", [None, [], ["a", "a", "b"], ["a", None, "a", None], [None, None]])
def test_units_are_counted_as_they_are_summed(labels):
    values = [1.0] * (3 if labels is None else len(labels))
    assert count_units(len(values), labels) == len(unit_sums(values, labels))
