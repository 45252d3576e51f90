from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from assay.stats.flips import FlipTable, mcnemar, newcombe, sign_flip
from assay.stats.paired import compare

verdicts = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120)
quarters = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
means = st.lists(st.tuples(quarters, quarters, st.integers(0, 9)), min_size=1, max_size=60)


def runs(both: int, lost: int, gained: int, neither: int) -> tuple[list[float], list[float]]:
    baseline = [1.0] * (both + lost) + [0.0] * (gained + neither)
    return baseline, [1.0] * both + [0.0] * lost + [1.0] * gained + [0.0] * neither


@given(verdicts)
def test_yes_no_cases_get_newcombe_and_mcnemar(pairs):
    baseline, candidate = [old for old, _ in pairs], [new for _, new in pairs]
    result = compare(baseline, candidate)
    lost = sum(old and not new for old, new in pairs)
    gained = sum(new and not old for old, new in pairs)
    both = sum(old and new for old, new in pairs)
    table = FlipTable(both=both, lost=lost, gained=gained, neither=len(pairs) - both - lost - gained)
    assert (result.regressed, result.improved, result.n_cases) == (lost, gained, len(pairs))
    assert result.interval == newcombe(table)
    assert result.p_value == mcnemar(lost, gained, mid_p=lost + gained >= 10)
    assert result.test == ("mcnemar-mid-p" if lost + gained >= 10 else "mcnemar-exact")
    strict = compare(baseline, candidate, is_strict=True)
    assert (strict.p_value, strict.test) == (mcnemar(lost, gained), "mcnemar-exact")


@given(means, st.booleans(), st.integers(0, 99))
def test_invariants_of_every_comparison(rows, has_clusters, seed):
    baseline, candidate = [a for a, _, _ in rows], [b for _, b, _ in rows]
    clusters = [c for _, _, c in rows] if has_clusters else None
    result = compare(baseline, candidate, clusters=clusters)
    assert result.difference == pytest.approx(result.candidate - result.baseline, abs=1e-12)
    assert -1.0 <= result.interval.low <= result.difference <= result.interval.high <= 1.0
    assert result.interval.low < result.interval.high
    assert result.regressed + result.improved <= result.n_cases
    assert (result.p_value is None) is not result.can_decide

    mirror = compare(candidate, baseline, clusters=clusters)
    assert mirror.difference == pytest.approx(-result.difference, abs=1e-12)
    assert mirror.interval.low == pytest.approx(-result.interval.high, abs=1e-9)
    assert (mirror.regressed, mirror.improved) == (result.improved, result.regressed)
    assert mirror.p_value == (None if result.p_value is None else pytest.approx(result.p_value, abs=1e-9))

    order = random.Random(seed).sample(range(len(rows)), len(rows))
    again = compare(
        [baseline[i] for i in order],
        [candidate[i] for i in order],
        clusters=None if clusters is None else [clusters[i] for i in order],
    )
    assert again.interval.low == pytest.approx(result.interval.low, abs=1e-9)
    assert again.p_value == (None if result.p_value is None else pytest.approx(result.p_value, abs=1e-9))


@given(st.lists(quarters, min_size=5, max_size=80))
def test_identical_runs_have_no_change_and_still_an_interval(values):
    result = compare(values, values)
    assert (result.p_value, result.difference) == (1.0, 0.0)
    assert result.notes[0] == "no change in any case"
    assert result.interval.low < 0.0 < result.interval.high


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=31, max_size=90, unique=True))
def test_many_scores_get_the_paired_t_test_of_scipy(pairs):
    baseline, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    differences = [b - a for a, b in pairs]
    if sum(abs(d) >= 1e-12 for d in differences) <= 30:
        return
    for alternative, side in (("two-sided", "two-sided"), ("worse", "less"), ("better", "greater")):
        result = compare(baseline, candidate, alternative=alternative)
        expected = scipy_stats.ttest_rel(candidate, baseline, alternative=side)
        assert result.test == "paired-t"
        assert result.p_value == pytest.approx(float(expected.pvalue), abs=1e-7)
    interval = scipy_stats.ttest_rel(candidate, baseline).confidence_interval(0.95)
    if interval.low > -1.0 and interval.high < 1.0:
        result = compare(baseline, candidate)
        assert result.interval.method == "paired-t"
        assert (result.interval.low, result.interval.high) == (
            pytest.approx(float(interval.low), abs=1e-7),
            pytest.approx(float(interval.high), abs=1e-7),
        )


def test_few_changed_scores_get_the_sign_flip_test_and_a_cautious_interval():
    baseline = [1.0] * 60
    candidate = [0.75] * 4 + [1.0] * 56
    result = compare(baseline, candidate)
    assert (result.test, result.p_value) == ("sign-flip", pytest.approx(0.125))
    assert result.interval.method == "paired-t-plus-two"
    assert result.interval.low < -0.04
    assert "with fewer than 6, all in one direction, nothing can be significant" in result.notes[0]


def test_clusters_are_the_unit_of_the_test():
    changes = [-1.0, -1.0, -1.0, 0.0] * 6
    clusters = [i // 4 for i in range(24)]
    result = compare([1.0] * 24, [1.0 + change for change in changes], clusters=clusters)
    assert (result.n_clusters, result.test) == (6, "sign-flip")
    assert result.p_value == sign_flip([-3.0] * 6)
    alone = compare([1.0] * 24, [1.0 + change for change in changes])
    assert alone.p_value < result.p_value


def test_an_imagined_cluster_weighs_as_much_as_a_real_one():
    clustered = compare([0.5] * 80, [0.5] * 80, clusters=[i // 10 for i in range(80)])
    assert clustered.interval.low == pytest.approx(compare([0.5] * 8, [0.5] * 8).interval.low)


def test_fewer_than_five_clusters_are_not_tested():
    result = compare([1.0] * 20, [0.0] * 20, clusters=[i % 4 for i in range(20)])
    assert (result.p_value, result.test, result.can_decide) == (None, "none", False)
    one = compare([1.0] * 20, [0.5] * 20, clusters=["a"] * 20)
    assert (one.interval.low, one.interval.high, one.se) == (-1.0, 1.0, None)


def test_a_constant_shift_has_no_zero_width():
    result = compare([0.75] * 40, [0.5] * 40)
    assert (result.difference, result.se) == (-0.25, 0.0)
    assert result.interval.low < -0.25 < result.interval.high
    assert result.p_value == pytest.approx(2 / 2**40)
    assert compare([0.75] * 40, [0.5] * 40, alternative="better").p_value == 1.0


@pytest.mark.parametrize(("lost", "alternative", "level", "warned"), [(5, "two-sided", 0.95, True), (6, "two-sided", 0.95, False), (4, "worse", 0.9, True), (5, "worse", 0.9, False)])  # fmt: skip
def test_says_when_nothing_could_have_been_significant(lost, alternative, level, warned):
    result = compare(*runs(30, lost, 0, 30), level=level, alternative=alternative)
    assert any("nothing can be significant" in note for note in result.notes) is warned
    assert (result.p_value > 0.05) is warned


def test_equal_averages_computed_differently_are_no_change():
    result = compare([(1 + 1 / 3 + 1 / 3) / 3] * 20, [5 / 9] * 20)
    assert (result.regressed, result.improved, result.p_value) == (0, 0, 1.0)


def test_few_cases_are_to_be_read():
    assert "only 3 cases: read the changes one by one" in compare([1, 1, 0], [1, 0, 1]).notes


@pytest.mark.parametrize(
    ("baseline", "candidate"), [([], []), ([1.0], []), ([1.0, 0.0], [1.0])], ids=["empty", "one-sided", "unequal"]
)
def test_runs_must_be_aligned(baseline, candidate):
    with pytest.raises(ValueError, match="align the runs"):
        compare(baseline, candidate)


def test_impossible_levels():
    for values in ([1.0, 0.0], [0.5, 0.25]):
        with pytest.raises(ValueError, match="level"):
            compare(values, values, level=1.0)


@pytest.mark.parametrize(("cases", "attempts", "broken"), [(40, 4, 0.05), (60, 3, 0.0)])
def test_real_coverage_and_size_with_flaky_cases(cases, attempts, broken):
    random_ = random.Random(11)
    covered = alarms = 0
    for _ in range(300):
        baseline, candidate = [], []
        for _ in range(cases):
            rate = random_.betavariate(6, 1)
            new_rate = 0.0 if random_.random() < broken else rate
            baseline.append(sum(random_.random() < rate for _ in range(attempts)) / attempts)
            candidate.append(sum(random_.random() < new_rate for _ in range(attempts)) / attempts)
        result = compare(baseline, candidate)
        covered += result.interval.low <= -broken * 6 / 7 <= result.interval.high
        alarms += result.p_value <= 0.05
    assert covered / 300 >= 0.92
    assert broken or alarms / 300 <= 0.08
