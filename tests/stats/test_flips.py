from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from assay.stats.flips import SIGN_FLIP_LIMIT, FlipTable, mcnemar, newcombe, sign_flip, smallest_significant, tango

# Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness before and after stem cell transplantation
AIRWAY = FlipTable(both=1, lost=1, gained=7, neither=12)

cells = st.integers(0, 60)
tables = st.builds(FlipTable, both=cells, lost=cells, gained=cells, neither=st.integers(1, 60))


def swapped(table: FlipTable) -> FlipTable:
    return FlipTable(both=table.both, lost=table.gained, gained=table.lost, neither=table.neither)


@pytest.mark.parametrize(
    ("lost", "gained", "exact", "mid_p"),
    [
        (1, 7, 0.0703, 0.0391),
        (0, 6, 0.03125, 0.015625),
        (2, 9, 0.0654, 0.0386),
        (10, 3, 0.0923, 0.0574),
        (5, 5, 1.0, 0.87695),
    ],
)
def test_published_p_values(lost, gained, exact, mid_p):
    assert mcnemar(lost, gained) == pytest.approx(exact, abs=5e-5)
    assert mcnemar(lost, gained, mid_p=True) == pytest.approx(mid_p, abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_exact_test_agrees_with_scipy_and_statsmodels(lost, gained):
    expected = statsmodels_mcnemar([[0, lost], [gained, 0]], exact=True).pvalue
    assert mcnemar(lost, gained) == pytest.approx(min(1.0, float(expected)), abs=1e-9)
    if lost + gained:
        for alternative, side in (("worse", "greater"), ("better", "less")):
            one_sided = binomtest(lost, lost + gained, 0.5, alternative=side).pvalue
            assert mcnemar(lost, gained, alternative=alternative) == pytest.approx(one_sided, abs=1e-9)


@given(st.integers(0, 200), st.integers(0, 200))
def test_p_values_are_symmetric_and_mid_p_is_smaller(lost, gained):
    for mid_p in (False, True):
        assert mcnemar(lost, gained, mid_p=mid_p) == pytest.approx(mcnemar(gained, lost, mid_p=mid_p), abs=1e-12)
        worse = mcnemar(lost, gained, alternative="worse", mid_p=mid_p)
        assert worse == pytest.approx(mcnemar(gained, lost, alternative="better", mid_p=mid_p), abs=1e-12)
        assert 0.0 <= worse <= 1.0
    assert mcnemar(lost, gained, mid_p=True) <= mcnemar(lost, gained) + 1e-12
    assert mcnemar(lost + 1, gained, alternative="worse") <= mcnemar(lost, gained, alternative="worse") + 1e-12


@pytest.mark.parametrize("mid_p", [False, True])
@pytest.mark.parametrize("alternative", ["two-sided", "worse", "better"])
def test_no_flips_prove_nothing(alternative, mid_p):
    assert mcnemar(0, 0, alternative=alternative, mid_p=mid_p) == 1.0


def test_the_exact_test_keeps_its_size():
    for flips in range(1, 40):
        alarms = [lost for lost in range(flips + 1) if mcnemar(lost, flips - lost, alternative="worse") <= 0.05]
        assert sum(math.comb(flips, lost) for lost in alarms) / 2**flips <= 0.05


def test_smallest_significant_number_of_flips():
    assert (smallest_significant(), smallest_significant(alternative="worse")) == (6, 5)
    for alpha in (0.2, 0.1, 0.05, 0.01, 0.001):
        for alternative in ("two-sided", "worse"):
            needed = smallest_significant(alpha, alternative=alternative)
            assert mcnemar(needed, 0, alternative=alternative) <= alpha
            assert mcnemar(needed - 1, 0, alternative=alternative) > alpha
    with pytest.raises(ValueError, match="between 0 and 1"):
        smallest_significant(0.0)


def test_published_intervals():
    assert AIRWAY.difference == pytest.approx(6 / 21)
    by_newcombe, by_tango = newcombe(AIRWAY), tango(AIRWAY)
    assert (by_newcombe.low, by_newcombe.high) == (pytest.approx(0.026, abs=5e-4), pytest.approx(0.507, abs=5e-4))
    assert (by_tango.low, by_tango.high) == (pytest.approx(0.026, abs=5e-4), pytest.approx(0.517, abs=5e-4))


@pytest.mark.parametrize("formula", [newcombe, tango])
@given(tables, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_intervals_contain_the_difference_mirror_and_never_collapse(formula, table, level):
    interval, mirror = formula(table, level), formula(swapped(table), level)
    assert -1.0 <= interval.low <= table.difference <= interval.high <= 1.0
    assert interval.high - interval.low > 1e-4
    assert mirror.low == pytest.approx(-interval.high, abs=1e-9)
    wider = formula(table, (1 + level) / 2)
    assert wider.low <= interval.low + 1e-12
    assert interval.high <= wider.high + 1e-12


@given(tables)
def test_tango_is_where_the_score_statistic_reaches_z(table):
    high = tango(table).high
    if high < 1.0:
        assert score(table, high) == pytest.approx(1.959964, abs=1e-3)


def score(table: FlipTable, delta: float) -> float:
    """Maximize the likelihood of the two flip rates under a fixed difference by a fine search, then standardize."""
    n = table.cases
    least, most = max(0.0, -delta), (1.0 - delta) / 2.0

    def slope(loss: float) -> float:
        stay = n - table.lost - table.gained
        gain = loss + delta
        terms = [(table.lost, loss, 1), (table.gained, gain, 1), (stay, 1 - loss - gain, -2)]
        return sum(count * weight / max(value, 1e-300) for count, value, weight in terms if count)

    for _ in range(200):
        middle = (least + most) / 2
        least, most = (middle, most) if slope(middle) > 0 else (least, middle)
    loss = (least + most) / 2
    return (n * delta - table.gained + table.lost) / math.sqrt(n * (2 * loss + delta - delta**2))


def test_intervals_without_flips_narrow_with_the_cases():
    small, large = (
        newcombe(FlipTable(both=20, lost=0, gained=0, neither=0)),
        newcombe(FlipTable(both=200, lost=0, gained=0, neither=0)),
    )
    assert small.low < large.low < 0.0 < large.high < small.high


@pytest.mark.parametrize(("rate_lost", "rate_gained"), [(0.05, 0.05), (0.12, 0.03), (0.02, 0.0)])
@pytest.mark.parametrize("formula", [newcombe, tango])
def test_exact_coverage_over_all_tables_of_forty_cases(formula, rate_lost, rate_gained):
    n, share_both, covered = 40, 0.8, 0.0
    stay = 1 - rate_lost - rate_gained
    both_rate = share_both * stay
    for lost, gained in itertools.product(range(16), range(16)):
        flips_weight = multinomial(n, [lost, gained], [rate_lost, rate_gained], stay)
        if flips_weight < 1e-7:
            continue
        rest = n - lost - gained
        for both in range(rest + 1):
            weight = (
                flips_weight
                * math.comb(rest, both)
                * (both_rate / stay) ** both
                * (1 - both_rate / stay) ** (rest - both)
            )
            if weight > 1e-7:
                interval = formula(FlipTable(both=both, lost=lost, gained=gained, neither=rest - both))
                covered += weight * (interval.low <= rate_gained - rate_lost <= interval.high)
    assert 0.935 <= covered <= 1.0


def multinomial(n: int, counts: list[int], rates: list[float], stay: float) -> float:
    total = 1.0
    left = n
    for count, rate in zip(counts, rates, strict=True):
        total *= math.comb(left, count) * rate**count
        left -= count
    return total * stay**left


@given(st.lists(st.sampled_from([-1.0, 1.0, 0.0]), max_size=SIGN_FLIP_LIMIT))
def test_sign_flip_of_yes_no_cases_is_mcnemar(changes):
    lost, gained = changes.count(-1.0), changes.count(1.0)
    for alternative in ("worse", "better", "two-sided"):
        expected = mcnemar(lost, gained, alternative=alternative)
        assert sign_flip(changes, alternative=alternative) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_sign_flip_counts_all_patterns(changes):
    observed = math.fsum(changes)
    total = math.fsum(abs(change) for change in changes)
    patterns = [
        math.fsum(sign * abs(change) for sign, change in zip(signs, changes, strict=True))
        for signs in itertools.product((1, -1), repeat=len(changes))
    ]
    tolerance = 1e-8 * total
    better = sum(pattern >= observed - tolerance for pattern in patterns) / len(patterns)
    least_better = sum(pattern >= observed + tolerance for pattern in patterns) / len(patterns)
    assert least_better - 1e-12 <= sign_flip(changes, alternative="better") <= better + 1e-12


@given(st.lists(st.sampled_from([-0.75, -1 / 3, 0.0, 0.1, 0.5, 1.0]), max_size=20), st.randoms(use_true_random=False))
def test_sign_flip_ignores_order_and_mirrors(changes, random):
    shuffled = random.sample(changes, len(changes))
    assert sign_flip(shuffled) == sign_flip(changes)
    mirrored = [-change for change in changes]
    assert sign_flip(mirrored, alternative="worse") == sign_flip(changes, alternative="better")
    assert 0.0 < sign_flip(changes) <= 1.0


def test_sign_flip_of_the_smallest_numbers():
    assert sign_flip([5e-324, -5e-324, 5e-324]) == 1.0


def test_sign_flip_says_when_a_t_test_serves():
    with pytest.raises(ValueError, match="use a t test"):
        sign_flip([0.5] * (SIGN_FLIP_LIMIT + 1))


@pytest.mark.parametrize("wrong", [{"lost": -1}, {"both": 0, "lost": 0, "gained": 0, "neither": 0}])
def test_impossible_tables(wrong):
    with pytest.raises(ValueError, match="impossible"):
        FlipTable(**{"both": 1, "lost": 0, "gained": 0, "neither": 0, **wrong})
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 0)
