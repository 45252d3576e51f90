from __future__ import annotations

from itertools import permutations

import pytest

from assay.core.protocols import Scored
from assay.report.counts import count, episode_passed
from tests.report.made import row


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((True, True), True),
        ((True, False), False),
        ((False, None), False),
        ((True, None), None),
        ((None, None), None),
        ((False, False), False),
        ((), None),
        ((True,), None),
    ],
)
def test_overall_fails_on_any_failure_and_is_unjudged_while_undecided(said, expected):
    judges = ("exact", "tone")
    found = row("a", *said)
    assert episode_passed(found, judges) is expected
    series = count([found], judges).overall
    assert (series.passed, series.judged, series.unjudged) == (
        [int(expected is True)],
        [int(expected is not None)],
        int(expected is None),
    )


def test_agent_errors_fail_every_judge_whatever_is_stored():
    rows = [row("a", outcome="agent_error"), row("b", True, None, outcome="agent_error")]
    counts = count(rows, ("exact", "tone"))
    for series in (counts.overall, *counts.judges.values()):
        assert (series.passed, series.judged, series.missing, series.unjudged) == ([0, 0], [1, 1], [0, 0], 0)


def test_lost_and_pending_rows_are_in_no_denominator():
    rows = [row("a", True), row("b", True, outcome="infra_error"), row("c", outcome="")]
    counts = count(rows, ("exact",))
    assert counts.cases == ["a", "b"]
    assert counts.judges["exact"].judged == [1, 0]
    assert counts.judges["exact"].missing == [0, 1]
    assert counts.judges["exact"].unjudged == 0
    assert counts.pending == 1


def test_bounds_average_cases_first():
    rows = [row("a", True), row("a", None, attempt=1), row("b", False), row("c", outcome="infra_error")]
    low, high = count(rows, ("exact",)).overall.bounds()
    assert low == pytest.approx((0.5 + 0 + 0) / 3)
    assert high == pytest.approx((1 + 0 + 1) / 3)


def test_bounds_of_nothing_exclude_nothing():
    assert count([], ("exact",)).overall.bounds() == (0.0, 1.0)


def test_a_run_without_judges_is_unjudged():
    series = count([row("a"), row("b", outcome="agent_error")], ()).overall
    assert (series.judged, series.unjudged) == ([0, 0], 2)


def test_unknown_outcomes_are_refused():
    with pytest.raises(ValueError, match="melted"):
        count([row("a", True, outcome="melted")], ("exact",))


def test_tags_and_clusters_belong_to_cases():
    rows = [row("a", True, tags=("x", "x", "y"), cluster="k"), row("a", True, attempt=1, tags=("x",)), row("b", True)]
    counts = count(rows, ("exact",))
    assert counts.tags == {"x": [0], "y": [0]}
    assert counts.clusters == ["k", None]


def test_row_order_changes_no_count():
    rows = [row("a", True), row("b", False), row("b", None, attempt=1), row("c", outcome="infra_error")]

    def seen(order: tuple[Scored, ...]) -> dict[str, tuple[int, int, int]]:
        counts = count(order, ("exact",))
        series = counts.overall
        return dict(zip(counts.cases, zip(series.passed, series.judged, series.missing, strict=True), strict=True))

    assert all(seen(order) == seen(tuple(rows)) for order in permutations(rows))
