from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from assay.core.report import Decision, Fingerprint
from assay.core.run import GateRules
from assay.report.compare import compare
from assay.report.text import render_comparison_rich, render_comparison_text, render_rich, render_text
from tests.report.made import TAU_AIRLINE, failure, info, manifest, repeated, report, row, single


def comparison():
    before = [row(f"c{at:02}", at < 40, prefix="old") for at in range(50)]
    after = [row(f"c{at:02}", at < 35) for at in range(50)]
    return compare(info(manifest(run_id="run-a")), before, info(manifest()), after, {"e-c35-0": "wrong room"})


def test_the_rate_has_its_interval_method_and_cases():
    assert "overall  78.0% (95% 63.3\u201388.0, wilson, 41 cases)\n" in render_text(
        report(single([True] * 32 + [False] * 9))
    )


def test_few_cases_are_counted_first():
    assert "overall  4 of 5 passed: 80.0%" in render_text(report(single([True] * 4 + [False])))


def test_nothing_judged_shows_no_rate():
    shown = render_text(report([]))
    assert "overall  no rate: nothing was judged" in shown
    assert "%" not in shown.split("judge ")[1].splitlines()[1]


def test_a_report_reads_from_decision_to_failures():
    rows = [row(f"c{at:02}", at < 36, tags=("date",)) for at in range(40)]
    listed = [
        failure("c38"),
        failure("c38", "tone", reason="rude"),
        failure("c39", "", kind="agent_error", reason="timeout"),
    ]
    made = report(rows, failures=listed, rules=GateRules(minimum=0.8), tier="candidate")
    decision = Decision(outcome="INCONCLUSIVE", reasons=("the minimum lies between",), cases_needed=120)
    fingerprint = Fingerprint(static="x", drift="the agent differs")
    shown = render_text(msgspec.structs.replace(made, decision=decision, fingerprint=fingerprint), width=200)
    order = [
        "booking  finished",
        "dataset frontdesk (candidate, 40 cases)",
        "the agent differs",
        "INCONCLUSIVE",
        "the minimum lies between",
        "about 120 cases in all would settle it",
        "overall  90.0%",
        "exact",
        "episodes 40 planned: 40 finished, 0 agent errors, 0 lost",
        "  date ",
        "warnings",
        "not golden",
        "failures (3)",
        "failed c38",
        "exact: wrong",
        "tone: rude",
        "assay show e-c38-0",
        "agent error c39",
        "timeout",
        "assay show e-c39-0",
    ]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)


def test_repeats_are_shown_per_k():
    shown = render_text(report(repeated(TAU_AIRLINE, 4)))
    assert "pass@1 42.0% \u00b15.2, pass^1 42.0% \u00b15.2" in shown
    assert "pass^4 20.0% \u00b15.7" in shown


def test_only_the_first_failures_are_listed_and_the_rest_is_counted():
    listed = [failure(f"c{at:02}") for at in range(30)]
    made = msgspec.structs.replace(report(single([False] * 30), failures=listed), failures_total=900)
    shown = render_text(made)
    assert shown.count("assay show") == 10
    assert "\u2026 and 890 more in the HTML report: assay report run-b --html FILE" in shown


@pytest.mark.parametrize("width", [70, 100])
def test_no_line_is_wider_than_asked(width):
    listed = [failure("c" * 300, "j" * 300, reason="because " * 80, episode_id="06h0bg")]
    made = report(single([True, False]), failures=listed, tier="candidate", isolation="task", guarantees=())
    assert max(map(len, render_text(made, width=width).splitlines())) <= width


def test_a_comparison_names_runs_difference_power_and_flips():
    shown = render_comparison_text(comparison())
    assert "A run-a  B run-b" in shown
    assert "80.0% \u2192 70.0%: -10.0 points (95% " in shown
    assert "with fewer than 6" in shown
    assert "nothing can be significant" in shown
    assert (
        "worse in B (5)\n  c35  100% \u2192 0%\n    wrong room\n    A assay show old-c35-0   B assay show e-c35-0"
        in shown
    )
    assert "better in B" not in shown
    assert shown in render_text(report(single([True])), comparison())


def test_styled_and_plain_say_the_same():
    made = report(single([True] * 20 + [False] * 3), failures=[failure("case-0020", reason="[red]no markup[/red]")])
    pairs = [(render_rich(made, comparison()), render_text(made, comparison()))]
    pairs.append((render_comparison_rich(comparison()), render_comparison_text(comparison())))
    for styled, plain in pairs:
        console = Console(file=io.StringIO(), force_terminal=True, width=300, color_system="truecolor")
        with console.capture() as captured:
            console.print(styled)
        assert "\x1b[" in captured.get()
        assert [line.rstrip() for line in styled.plain.splitlines()] == plain.splitlines()
