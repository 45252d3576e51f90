from __future__ import annotations

import itertools
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.stats.flips import FlipTable, mcnemar, newcombe
from assay.stats.gates import minimum_rate, no_regression
from assay.stats.intervals import clopper_pearson
from assay.stats.tallies import Tally


def once(passed: int, failed: int, missing: int = 0) -> list[Tally]:
    """One attempt at each case."""
    return [
        *[Tally(passed=1, judged=1)] * passed,
        *[Tally(passed=0, judged=1)] * failed,
        *[Tally(passed=0, judged=0, missing=1)] * missing,
    ]


def paired(both: int, lost: int, gained: int, neither: int) -> tuple[list[Tally], list[Tally]]:
    baseline = once(both + lost, 0) + once(0, gained + neither)
    return baseline, once(both, lost) + once(gained, neither)


# minimum rate


@given(st.integers(0, 80), st.integers(0, 80), st.floats(0.05, 1.0), st.sampled_from([0.8, 0.95, 0.99]))
def test_minimum_follows_the_one_sided_exact_bounds(passed, failed, minimum, confidence):
    decision = minimum_rate(once(passed, failed), minimum, confidence=confidence)
    bound = clopper_pearson(passed, passed + failed, 2 * confidence - 1)
    if passed + failed and bound.low >= minimum + 1e-9:
        assert decision.outcome == "PASS"
    elif passed + failed and bound.high < minimum - 1e-9:
        assert decision.outcome == "FAIL"
    elif bound.low < minimum - 1e-9 and bound.high > minimum + 1e-9:
        assert decision.outcome == "INCONCLUSIVE"
    assert decision.outcome == "INCONCLUSIVE" or decision.cases_needed is None


@pytest.mark.parametrize(
    ("passed", "failed", "minimum", "outcome"),
    [(59, 0, 0.95, "PASS"), (58, 0, 0.95, "INCONCLUSIVE"), (40, 10, 0.9, "FAIL"), (47, 3, 0.9, "INCONCLUSIVE")],
)
def test_minimum_by_hand(passed, failed, minimum, outcome):
    assert minimum_rate(once(passed, failed), minimum).outcome == outcome


def test_the_cases_it_asks_for_do_decide():
    decision = minimum_rate(once(47, 3), 0.9)
    assert decision.cases_needed is not None
    assert f"about {decision.cases_needed} more cases would decide" in decision.reason
    total = 50 + decision.cases_needed
    passed = math.ceil(0.94 * total)
    assert minimum_rate(once(passed, total - passed), 0.9).outcome == "PASS"
    fewer = total - 20
    passed = math.floor(0.94 * fewer)
    assert minimum_rate(once(passed, fewer - passed), 0.9).outcome == "INCONCLUSIVE"


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.1, 0.99))
def test_one_more_pass_never_hurts(passed, failed, minimum):
    order = ["FAIL", "INCONCLUSIVE", "PASS"]
    before = minimum_rate(once(passed, failed), minimum).outcome
    after = minimum_rate(once(passed + 1, failed), minimum).outcome
    if passed + failed:
        assert order.index(after) >= order.index(before)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 12), st.floats(0.1, 0.99), st.integers(0, 12))
def test_what_was_missing_never_overturns_a_decision(passed, failed, missing, minimum, would_pass):
    decision = minimum_rate(once(passed, failed, missing), minimum)
    passes = min(would_pass, missing)
    if decision.outcome != "INCONCLUSIVE":
        assert minimum_rate(once(passed + passes, failed + missing - passes), minimum).outcome == decision.outcome


def test_missing_verdicts_that_matter_are_named():
    assert minimum_rate(once(59, 0), 0.95).outcome == "PASS"
    decision = minimum_rate(once(59, 0, 2), 0.95)
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", None)
    assert "2 missing verdict(s) could change that" in decision.reason
    assert decision.details["missing"] == 2
    assert decision.details["rate_if_missing_fail"] == pytest.approx(59 / 61)
    assert decision.details["rate_if_missing_pass"] == 1.0
    assert minimum_rate(once(300, 0, 2), 0.95).outcome == "PASS"


def test_a_missing_attempt_at_a_judged_case_counts_too():
    cases = [Tally(passed=3, judged=3)] * 58 + [Tally(passed=2, judged=2, missing=1)]
    assert minimum_rate([Tally(passed=3, judged=3)] * 59, 0.95).outcome == "PASS"
    decision = minimum_rate(cases, 0.95)
    assert decision.details["rate_if_missing_fail"] == pytest.approx((58 + 2 / 3) / 59)


@pytest.mark.parametrize("cases", [[], once(0, 0, 5)], ids=["none", "all missing"])
def test_nothing_judged_decides_nothing(cases):
    decision = minimum_rate(cases, 0.95)
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", 59)
    assert "no case was judged" in decision.reason
    assert decision.details["missing"] == len(cases)


def test_a_sample_can_fail_a_minimum_of_one_but_not_prove_it():
    decision = minimum_rate(once(500, 0), 1.0)
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", None)
    assert "can't prove 100%" in decision.reason
    assert minimum_rate(once(499, 1), 1.0).outcome == "FAIL"


def test_a_rate_on_its_minimum_needs_another_question():
    decision = minimum_rate(once(90, 10), 0.9)
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", None)
    assert "no affordable number of cases" in decision.reason


def test_clusters_make_the_gate_more_careful():
    cases, clusters = once(190, 10), [i // 10 for i in range(200)]  # all failures in one conversation
    assert minimum_rate(cases, 0.9).outcome == "PASS"
    decision = minimum_rate(cases, 0.9, clusters=clusters)
    assert decision.outcome == "INCONCLUSIVE"
    assert decision.cases_needed is not None
    assert decision.details["clusters"] == 20
    few = minimum_rate(cases, 0.5, clusters=[i // 50 for i in range(200)])
    assert (few.outcome, few.cases_needed) == ("INCONCLUSIVE", None)
    assert "only 4 independent clusters" in few.reason


def test_repeats_are_not_more_cases():
    flaky = [Tally(passed=10, judged=10)] * 9 + [Tally(passed=0, judged=10)]
    assert minimum_rate(once(90, 10), 0.8).outcome == "PASS"
    assert minimum_rate(flaky, 0.8).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize("true_rate", [0.85, 0.9])
def test_a_rate_at_or_below_the_minimum_is_rarely_passed(true_rate):
    wrong = 0.0
    for passed in range(121):
        if minimum_rate(once(passed, 120 - passed), 0.9).outcome == "PASS":
            wrong += math.comb(120, passed) * true_rate**passed * (1 - true_rate) ** (120 - passed)
    assert wrong <= 0.05  # exact, no simulation


# no regression


@given(*[st.integers(0, 25)] * 4, st.floats(0.0, 0.3), st.sampled_from([0.8, 0.95]))
def test_regression_follows_the_test_first_and_then_the_bound(both, lost, gained, neither, margin, confidence):
    if both + lost + gained + neither == 0:
        return
    decision = no_regression(*paired(both, lost, gained, neither), margin=margin, confidence=confidence)
    table = FlipTable(both=both, lost=lost, gained=gained, neither=neither)
    if mcnemar(lost, gained, alternative="worse") <= 1 - confidence:
        assert decision.outcome == "FAIL"
    elif newcombe(table, 2 * confidence - 1).low > -margin:
        assert decision.outcome == "PASS"
    else:
        assert decision.outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("cells", "outcome"),
    [
        ((100, 0, 0, 20), "PASS"),
        ((20, 0, 0, 5), "INCONCLUSIVE"),  # nothing changed, but 25 cases can't exclude a loss of 5 points
        ((60, 4, 0, 5), "INCONCLUSIVE"),
        ((60, 5, 0, 5), "FAIL"),
        ((60, 30, 28, 5), "INCONCLUSIVE"),
        ((1900, 30, 12, 58), "FAIL"),  # a proven loss of 0.9 points fails although it is inside the margin
        ((100, 0, 10, 20), "PASS"),
    ],
)
def test_regression_by_hand(cells, outcome):
    assert no_regression(*paired(*cells)).outcome == outcome


@given(*[st.integers(0, 25)] * 4)
def test_one_more_loss_never_helps(both, lost, gained, neither):
    order = ["PASS", "INCONCLUSIVE", "FAIL"]
    before = no_regression(*paired(both + 1, lost, gained, neither)).outcome
    after = no_regression(*paired(both, lost + 1, gained, neither)).outcome
    assert order.index(after) >= order.index(before)


def test_the_cases_that_a_regression_asks_for_do_decide():
    decision = no_regression(*paired(25, 0, 0, 0))
    assert decision.cases_needed is not None
    assert no_regression(*paired(25 + decision.cases_needed, 0, 0, 0)).outcome == "PASS"
    assert no_regression(*paired(24 + decision.cases_needed, 0, 0, 0)).outcome == "INCONCLUSIVE"
    assert re.search(r"it may be \d.*beyond the margin of 5%", decision.reason)


@given(st.integers(20, 60), st.integers(0, 6), st.integers(0, 6), st.integers(1, 4), st.integers(0, 2**8 - 1))
def test_what_was_missing_never_overturns_a_comparison(both, lost, gained, missing, fate):
    baseline, candidate = paired(both, lost, gained, 5)
    holes = once(0, 0, missing)
    decision = no_regression(baseline + holes, candidate + holes)
    if decision.outcome == "INCONCLUSIVE":
        return
    old = [Tally(passed=fate >> i & 1, judged=1) for i in range(missing)]
    new = [Tally(passed=fate >> (4 + i) & 1, judged=1) for i in range(missing)]
    assert no_regression(baseline + old, candidate + new).outcome == decision.outcome


def test_missing_pairs_that_matter_are_named():
    baseline, candidate = paired(58, 0, 0, 0)
    assert no_regression(baseline, candidate).outcome == "PASS"
    decision = no_regression([*baseline, Tally(passed=1, judged=1)], [*candidate, Tally(passed=0, judged=0, missing=1)])
    assert decision.outcome == "INCONCLUSIVE"
    assert "1 missing verdict(s) could change that" in decision.reason


def test_nothing_in_common_decides_nothing():
    decision = no_regression(once(3, 0), once(0, 0, 3))
    assert (decision.outcome, decision.cases_needed) == ("INCONCLUSIVE", None)
    assert decision.details["missing"] == 3
    assert no_regression([], []).outcome == "INCONCLUSIVE"


def test_regression_with_repeats_and_clusters():
    steady, broken = Tally(passed=4, judged=4), Tally(passed=1, judged=4)
    baseline = [steady] * 60
    candidate = [broken] * 8 + [steady] * 52
    assert no_regression(baseline, candidate).outcome == "FAIL"
    together = no_regression(baseline, candidate, clusters=[i // 8 for i in range(60)])
    assert together.outcome == "INCONCLUSIVE"  # one broken template is one piece of evidence
    assert together.details["test"] == "sign-flip"
    assert together.cases_needed is not None
    few = no_regression(baseline, candidate, clusters=[i // 20 for i in range(60)])
    assert (few.outcome, few.cases_needed) == ("INCONCLUSIVE", None)
    assert "only 3 independent units" in few.reason


@pytest.mark.parametrize("flip", [0.05, 0.2])
def test_equal_runs_rarely_fail(flip):
    total = 0.0
    n = 60
    for lost, gained in itertools.product(range(31), range(31)):
        if lost + gained > n:
            continue
        weight = (
            math.comb(n, lost)
            * math.comb(n - lost, gained)
            * flip ** (lost + gained)
            * (1 - 2 * flip) ** (n - lost - gained)
        )
        if weight > 1e-9 and no_regression(*paired(n - lost - gained, lost, gained, 0)).outcome == "FAIL":
            total += weight
    assert total <= 0.05  # exact, no simulation


def test_a_loss_as_large_as_the_margin_rarely_passes():
    random_ = random.Random(4)
    passed = 0
    for _ in range(300):
        draws = [random_.random() for _ in range(150)]
        lost, gained = sum(draw < 0.1 for draw in draws), sum(0.1 <= draw < 0.15 for draw in draws)
        passed += no_regression(*paired(130 - lost, lost, gained, 20 - gained)).outcome == "PASS"
    assert passed / 300 <= 0.08


# arguments


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95.0])
def test_impossible_confidence(confidence):
    with pytest.raises(ValueError, match="confidence"):
        minimum_rate(once(5, 0), 0.9, confidence=confidence)
    with pytest.raises(ValueError, match="confidence"):
        no_regression(once(5, 0), once(5, 0), confidence=confidence)


def test_other_impossible_arguments():
    with pytest.raises(ValueError, match="minimum=90"):
        minimum_rate(once(5, 0), 90)
    with pytest.raises(ValueError, match="margin=1"):
        no_regression(once(5, 0), once(5, 0), margin=1)
    with pytest.raises(ValueError, match="align the runs"):
        no_regression(once(5, 0), once(4, 0))
    with pytest.raises(ValueError, match="one label"):
        minimum_rate(once(5, 0), 0.9, clusters=["a"])
