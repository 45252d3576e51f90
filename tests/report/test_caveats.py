from __future__ import annotations

import pytest

from assay.report.fold import fold
from tests.report.made import info, manifest, report, row, single, totals


def test_a_clean_run_has_no_warning():
    assert report(single([True] * 40)).warnings == ()


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (single([True] * 7 + [False] * 2), {}, "Only 9 cases: read the counts (7 of 9)"),
        ([], {}, "no episodes"),
        ([*single([True] * 30), row("z", outcome="")], {"status": "interrupted"}, "1 of 31 episodes have not been run"),
        ([*single([True] * 30), row("z", outcome="infra_error")], {}, "1 of 31 episodes (3.2%) were lost"),
        (single([True] * 30 + [None] * 2), {}, "Judge exact left 2 episodes (6.2%) unjudged"),
        (
            single([True] * 15 + [False] * 15 + [None] * 10),
            {},
            "missing failed, 37.5% would have passed overall; had it passed, 62.5%",
        ),
        (single([True] * 30, outcome="agent_error"), {}, "30 of 30 episodes ended with an error of the agent"),
        ([row(f"c{at}", at % 2 == 0, cluster=f"k{at % 4}") for at in range(40)], {}, "Only 4 clusters"),
        (single([True] * 40), {"tier": "candidate"}, "candidate, not golden: nobody has verified"),
        (single([True] * 40), {"tier": "synthetic"}, "synthetic, not golden"),
        (single([True] * 40), {"tier": "traffic"}, "traffic, not golden"),
        (single([True] * 40), {"isolation": "task", "guarantees": ()}, "not hermetic (task isolation)"),
        (
            single([True] * 40),
            {"isolation": "process", "guarantees": ("env",)},
            "not isolated are files, processes, network",
        ),
        (single([True] * 40), {"isolation": "recorded", "guarantees": ()}, "recordings"),
    ],
)
def test_what_a_reader_must_know_is_said(rows, settings, words):
    assert any(words in warning for warning in report(rows, **settings).warnings)


def test_unequal_worlds_are_said():
    made = fold(info(manifest(cases=40)), single([True] * 40), totals(unequal_worlds=3), [], 0)
    assert any("3 episodes started from another world" in warning for warning in made.warnings)


def test_cases_without_any_judged_attempt_are_said():
    rows = [row(f"c{at}", True, attempt=attempt) for at in range(12) for attempt in range(2)]
    rows += [row("gone", outcome="infra_error", attempt=attempt) for attempt in range(2)]
    assert any("1 case of 13 have no judged attempt" in warning for warning in report(rows).warnings)


def test_unfinished_comes_first():
    warnings = report([*single([True] * 3), row("z", outcome="")], status="running").warnings
    assert warnings[0].startswith("The run is not complete (running)")
    assert len(warnings) == 2
