from __future__ import annotations

import random

import pytest

from assay.stats.intervals import wilson
from assay.stats.selftest import self_test
from tests.stats.published import TAU_COUNTS


def flaky(cases: int, attempts: int, seed: int = 0) -> list[list[float]]:
    random_ = random.Random(seed)
    rates = [random_.betavariate(3, 1) for _ in range(cases)]
    return [[float(random_.random() < rate) for _ in range(attempts)] for rate in rates]


@pytest.mark.parametrize("attempts", [2, 3, 8])
def test_equal_pseudo_runs_keep_the_promise(attempts):
    result = self_test(flaky(60, attempts), splits=300)
    assert (result.kind, result.splits, result.n_cases) == ("attempts", 300, 60)
    assert result.promised == pytest.approx(0.05)
    assert result.false_alarms <= 0.09
    assert result.keeps_promise
    assert result.interval == wilson(result.failed, 300)
    assert result.failed + result.passed <= 300


def test_tau_bench_raises_few_alarms():
    rows = [[1.0] * passed + [0.0] * (attempts - passed) for attempts, passed in TAU_COUNTS]
    assert self_test(rows, splits=200).keeps_promise


def test_a_gate_with_little_confidence_alarms_as_often_as_it_says():
    result = self_test(flaky(100, 4), confidence=0.7, splits=300)
    assert 0.15 <= result.false_alarms <= 0.4
    assert result.promised == pytest.approx(0.3)


def test_the_seed_decides():
    rows = flaky(40, 2)
    first, same = self_test(rows, splits=50, confidence=0.7, seed=1), self_test(rows, splits=50, confidence=0.7, seed=1)
    assert first == same
    others = {self_test(rows, splits=50, confidence=0.7, seed=seed).failed for seed in range(2, 8)}
    assert others != {first.failed}


def test_single_attempts_are_a_weaker_check_and_say_so():
    result = self_test(flaky(80, 1), splits=200)
    assert (result.kind, result.keeps_promise) == ("cases", True)
    assert result.notes[0].startswith("weaker check")
    assert result.failed > 0  # pairing different cases is far noisier than pairing attempts


def test_single_attempts_in_clusters_are_paired_by_cluster():
    random_ = random.Random(8)
    rows, labels = [], []
    for cluster in range(40):
        passed = random_.random() < 0.6
        rows += [[float(passed)]] * 5
        labels += [cluster] * 5
    result = self_test(rows, clusters=labels, splits=200)
    assert result.keeps_promise
    assert self_test(rows, splits=200, confidence=0.95).kind != "attempts"


def test_attempts_that_belong_together_show_why_labels_matter():
    rows = [[float(cluster % 3 > 0)] for cluster in range(30) for _ in range(10)]
    labels = [cluster for cluster in range(30) for _ in range(10)]
    assert self_test(rows, clusters=labels, splits=200).keeps_promise


def test_without_flakiness_no_alarm_was_possible():
    result = self_test([[1.0, 1.0], [0.0, 0.0]] * 30, splits=50)
    assert (result.failed, result.false_alarms) == (0, 0.0)
    assert any("no alarm was possible" in note for note in result.notes)


def test_cases_with_one_attempt_are_left_out_beside_repeated_ones():
    result = self_test([*flaky(30, 2), [1.0], [], [0.0]], splits=20)
    assert result.n_cases == 30
    assert "2 case(s) with a single attempt left out" in result.notes


def test_scores_are_fine():
    random_ = random.Random(6)
    rows = [[random_.random() for _ in range(4)] for _ in range(50)]
    assert self_test(rows, splits=200).keeps_promise


@pytest.mark.parametrize(
    ("rows", "splits"),
    [([], 10), ([[1.0]], 10), ([[], [1.0]], 10), ([[1.0, 0.0]] * 5, 0)],
    ids=["none", "one", "empty", "splits"],
)
def test_nothing_to_split(rows, splits):
    with pytest.raises(ValueError, match="self-test needs"):
        self_test(rows, splits=splits)


def test_one_cluster_with_single_attempts_cannot_be_split():
    with pytest.raises(ValueError, match="two clusters"):
        self_test([[1.0]] * 6, clusters=["a"] * 6)


def test_verdicts_outside_the_unit_interval():
    with pytest.raises(ValueError, match="lie in"):
        self_test([[1.0, 2.0], [0.0, 1.0]])
