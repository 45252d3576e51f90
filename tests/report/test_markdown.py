from __future__ import annotations

import msgspec
from markdown_it import MarkdownIt

from assay.core.report import Decision
from assay.report.compare import compare
from assay.report.markdown import LIMIT, render_comparison_markdown, render_markdown
from tests.report.made import TAU_AIRLINE, failure, info, manifest, repeated, report, row, single


def tables(text):
    """Return each table as rows of cell texts."""
    found, cell = [], []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and cell:
            found[-1][-1].append(token.content)
        if token.type in {"td_open", "th_open"}:
            cell.append(token)
        elif token.type in {"td_close", "th_close"}:
            cell.pop()
    return found


def test_a_comment_has_decision_rate_judges_and_failures():
    made = report(single([True] * 32 + [False] * 9), failures=[failure("case-0040", reason="2 nights | not 3")])
    made = msgspec.structs.replace(made, decision=Decision(outcome="FAIL", reasons=("below the minimum",)))
    shown = render_markdown(made)
    assert shown.startswith("<!-- assay:booking -->\n### booking: FAIL\n")
    assert "**78.0% (95% 63.3\u201388.0, wilson, 41 cases)**" in shown
    assert "- below the minimum" in shown
    judges, failures = tables(shown)
    assert judges[1][:2] == ["`exact`", "78.0%"]
    assert failures[1] == ["failed", "`case-0040`", "`exact`", "2 nights | not 3", "`assay show e-case-0040-0`"]


def test_a_comment_without_rules_has_no_outcome_and_without_verdicts_no_rate():
    shown = render_markdown(report([]))
    assert "### booking\n" in shown
    assert "**No rate: nothing was judged.**" in shown


def test_repeats_and_slices_are_tables():
    rows = [msgspec.structs.replace(found, tags=("date",)) for found in repeated(TAU_AIRLINE, 4)]
    _, repeats, slices = tables(render_markdown(report(rows)))
    assert repeats[4] == ["4", "72.0% \u00b16.4", "20.0% \u00b15.7", "50"]
    assert slices[1][:2] == ["`date`", "42.0%"]


def test_traces_are_linked_only_over_http():
    listed = [failure("a", link="https://traces.example/t/1?x=1|2"), failure("b", link="javascript:alert(1)")]
    shown = render_markdown(report(single([False, False]), failures=listed))
    assert "[trace](<https://traces.example/t/1?x=1%7C2>)" in shown
    assert "javascript" not in shown
    assert "`assay show e-b-0`" in shown


def test_a_comment_stays_within_what_forges_accept():
    listed = [failure(f"c{at}", "j" * 190, reason="because " * 100) for at in range(50)]
    names = tuple(f"judge-{at}-" + "x" * 150 for at in range(300))
    made = report([row("a", *[True] * 300, judges=names)], names, failures=listed)
    shown = render_markdown(made)
    assert len(shown) <= LIMIT
    assert "*Cut here: the whole report is in the HTML file.*" in shown


def test_a_comparison_is_a_table_with_flips():
    before = [row(f"c{at:02}", at < 40, prefix="old") for at in range(50)]
    after = [row(f"c{at:02}", at < 35) for at in range(50)]
    made = compare(info(manifest(run_id="run-a")), before, info(manifest()), after, {"e-c35-0": "wrong | room"})
    shown = render_comparison_markdown(made)
    assert "#### Compared with `run-a`" in shown
    judges, worse = tables(shown)
    assert judges[1][:4] == ["`exact`", "80.0%", "70.0%", judges[1][3]]
    assert worse[1] == ["`c35`", "100%", "0%", "wrong | room", "`assay show old-c35-0`", "`assay show e-c35-0`"]
    assert "5 cases got worse" in shown
    assert "got better" not in shown
    assert "nothing can be significant" in shown
    assert shown.rstrip() in render_markdown(report(after), made)
