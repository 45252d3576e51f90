from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.codec import canonical_json
from assay.core.report import Fingerprint, Report
from assay.core.usage import Usage
from assay.report.fold import describe_drift, fold
from assay.stats import intervals
from tests.report.made import TAU_AIRLINE, failure, info, manifest, repeated, report, row, single, totals

outcomes = st.sampled_from(["finished", "finished", "finished", "agent_error", "infra_error", ""])
verdicts = st.sampled_from([True, False, None])


@st.composite
def ledgers(draw):
    rows = []
    for case in range(draw(st.integers(1, 12))):
        cluster = draw(st.sampled_from(["", "k1", "k2"]))
        rows += [
            row(
                f"case-{case}",
                draw(verdicts),
                draw(verdicts),
                outcome=draw(outcomes),
                attempt=attempt,
                cluster=cluster,
                tags=("even",) if case % 2 == 0 else ("odd", "rare"),
            )
            for attempt in range(draw(st.integers(1, 3)))
        ]
    return rows


def test_single_attempts_get_the_wilson_interval():
    overall = report(single([True] * 32 + [False] * 9)).overall
    assert (overall.passed, overall.judged, overall.cases) == (32, 41, 41)
    assert overall.value == pytest.approx(32 / 41)
    assert overall.method == "wilson"
    assert (overall.low, overall.high) == (pytest.approx(0.633, abs=5e-4), pytest.approx(0.880, abs=5e-4))


def test_the_published_wilson_interval_of_47_of_50():
    overall = report(single([True] * 47 + [False] * 3)).overall
    assert (overall.low, overall.high) == (pytest.approx(0.83783, abs=1e-5), pytest.approx(0.97939, abs=1e-5))


def test_tau_bench_repeats_and_interval():
    rows = repeated(TAU_AIRLINE, 4)
    made = report(rows)
    assert [round(point.pass_hat, 4) for point in made.repeats] == [0.42, 0.2733, 0.22, 0.2]
    assert [round(point.pass_at, 4) for point in made.repeats] == [0.42, 0.5667, 0.66, 0.72]
    assert [point.pass_hat_se for point in made.repeats] == pytest.approx([0.052, 0.056, 0.057, 0.057], abs=1e-3)
    assert made.overall.value == pytest.approx(0.42)
    assert (made.overall.cases, made.overall.judged, made.overall.passed) == (50, 200, 84)
    assert made.overall.method == "wilson-effective-n"
    assert (made.overall.low, made.overall.high) == (pytest.approx(0.321, abs=2e-3), pytest.approx(0.526, abs=2e-3))


def test_the_case_is_the_unit():
    rows = [row("a", True), row("b", False), *(row("b", False, attempt=at) for at in range(1, 4))]
    assert report(rows).overall.value == 0.5


def test_repeats_use_the_cases_with_enough_judged_attempts():
    rows = [*repeated({2: 3}, 2), row("half", True), row("half", None, attempt=1)]
    assert [(point.k, point.cases) for point in report(rows).repeats] == [(1, 4), (2, 3)]


def test_single_attempts_have_no_repeats():
    assert report(single([True, False])).repeats == ()


def test_clusters_widen_the_interval():
    said = ([True] * 10 + [False] * 10) * 5
    alone = report(single(said)).overall
    shared = report([row(f"case-{at}", ok, cluster=f"k{at // 10}") for at, ok in enumerate(said)]).overall
    assert shared.value == alone.value
    assert shared.high - shared.low > 2 * (alone.high - alone.low)


def test_nothing_judged_is_no_rate():
    for rows in ([], single([None, None]), [row("a", outcome="infra_error")], [row("a", outcome="")]):
        overall = report(rows).overall
        assert overall.value is None
        assert (overall.low, overall.high, overall.judged) == (0.0, 1.0, 0)


def test_judges_are_reported_in_manifest_order_with_their_counts():
    rows = [
        row("a", True, False),
        row("b", None, True),
        row("c", outcome="agent_error"),
        row("d", outcome="infra_error"),
    ]
    made = fold(
        info(manifest(("tone", "exact"), cases=4)),
        [*rows],
        totals(judge_cost_usd={"tone": 0.5, "exact": 0.0}, judge_scores={"tone": 0.25}),
        [],
        0,
    )
    tone, exact = made.judges
    assert [judge.name for judge in made.judges] == ["tone", "exact"]
    assert (exact.judged, exact.passed, exact.failed, exact.unjudged) == (2, 1, 1, 1)
    assert (tone.judged, tone.passed, tone.failed, tone.unjudged) == (3, 1, 2, 0)
    assert exact.bounds == (pytest.approx(1 / 4), pytest.approx(3 / 4))
    assert (tone.mean_score, tone.cost_usd, made.judge_cost_usd) == (0.25, 0.5, 0.5)
    assert (made.overall.judged, made.overall.passed) == (2, 0)


def test_an_unknown_judge_cost_makes_the_sum_unknown():
    made = fold(info(manifest()), [], totals(judge_cost_usd={"exact": None, "tone": 1.0}), [], 0)
    assert made.judge_cost_usd is None


def test_coverage_adds_up_and_failures_are_kept_as_given():
    rows = [row("a", True), row("b", outcome="agent_error"), row("c", outcome="infra_error"), row("d", outcome="")]
    listed = [failure("b", "", kind="agent_error"), failure("c", "", kind="infra_error")]
    usage = Usage(input_tokens=5)
    made = fold(info(manifest(cases=4)), rows, totals(reused=1, retried=2, usage=usage), listed, 17)
    coverage = made.coverage
    assert (coverage.finished, coverage.agent_error, coverage.infra_error, coverage.pending) == (1, 1, 1, 1)
    assert (coverage.planned, coverage.reused, coverage.retried) == (4, 1, 2)
    assert (made.failures, made.failures_total, made.usage) == (tuple(listed), 17, usage)
    assert made.decision.outcome == "NONE"


def test_slices_are_sorted_and_rate_their_own_cases():
    rows = [row("a", True, tags=("late", "date")), row("b", False, tags=("date",)), row("c", True)]
    made = report(rows)
    assert [(part.tag, part.rate.value, part.rate.cases) for part in made.slices] == [
        ("date", 0.5, 2),
        ("late", 1.0, 1),
    ]


@pytest.mark.parametrize(
    ("guarantees", "unequal", "complete"),
    [
        (("fs", "pids", "net", "ipc", "env"), 0, True),
        (("fs", "pids"), 0, False),
        (("fs", "pids", "net", "ipc", "env"), 1, False),
    ],
)
def test_hermetic_needs_every_guarantee_and_equal_worlds(guarantees, unequal, complete):
    made = fold(info(manifest(guarantees=guarantees)), [], totals(unequal_worlds=unequal), [], 0)
    assert made.hermetic.complete is complete
    assert made.hermetic.world_digests == unequal


def test_counts_shortcut_equals_the_estimate_from_means():
    said = [True] * 90 + [False] * 13
    made = report(single(said)).overall
    estimate = intervals.clustered([float(ok) for ok in said])
    assert (made.value, made.low, made.high, made.method) == (
        estimate.value,
        estimate.interval.low,
        estimate.interval.high,
        estimate.interval.method,
    )


@given(ledgers(), st.randoms(use_true_random=False))
def test_row_order_changes_nothing(rows, shuffler):
    before = report(rows, ("exact", "tone"))
    shuffler.shuffle(rows)
    assert canonical_json(report(rows, ("exact", "tone"))) == canonical_json(before)


@given(ledgers())
def test_lost_and_pending_rows_change_no_rate(rows):
    settled = [found for found in rows if found.outcome in {"finished", "agent_error"}]
    everything, judged = report(rows, ("exact", "tone")), report(settled, ("exact", "tone"))
    assert everything.overall == judged.overall
    assert [judge.rate for judge in everything.judges] == [judge.rate for judge in judged.judges]


@given(ledgers())
def test_rates_lie_inside_interval_and_bounds(rows):
    made = report(rows, ("exact", "tone"))
    for judge in made.judges:
        assert judge.judged == judge.passed + judge.failed
        if judge.rate.value is not None:
            assert judge.rate.low <= judge.rate.value <= judge.rate.high
            assert judge.bounds[0] <= judge.bounds[1]
    overall, coverage = made.overall, made.coverage
    assert coverage.planned == len(rows)
    assert coverage.planned == coverage.finished + coverage.agent_error + coverage.infra_error + coverage.pending
    assert overall.judged <= coverage.finished + coverage.agent_error


def test_reports_survive_json():
    rows = repeated({1: 3, 2: 4}, 2)
    random.Random(1).shuffle(rows)
    made = report(rows, failures=[failure("task-001")])
    assert msgspec.json.decode(canonical_json(made), type=Report) == made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"static": "other"}, "files or settings"),
        ({"static": ""}, ""),
        ({"models": ("gpt-5",)}, "gpt-4o before, gpt-5 now"),
        ({"prompts": 2}, "1 before, 2 now"),
        ({"tools": ("cancel", "find")}, "-book, +cancel"),
    ],
)
def test_drift_names_what_changed(changes, words):
    before = Fingerprint(static="abc", models=("gpt-4o",), prompts=1, tools=("book", "find"))
    said = describe_drift(before, msgspec.structs.replace(before, **changes))
    assert words in said
    assert bool(said) is bool(words)
