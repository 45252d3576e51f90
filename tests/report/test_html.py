from __future__ import annotations

import base64
import hashlib
import re

import msgspec
import pytest

from assay.core.report import Decision, Fingerprint
from assay.core.run import GateRules
from assay.core.verdict import Verdict
from assay.report.compare import compare
from assay.report.html import ROWS_LIMIT, Room, render_html
from tests.report.made import TAU_AIRLINE, episode, failure, info, manifest, repeated, report, row, single
from tests.report.pages import Page


def page(*given, **named):
    return Page(render_html(*given, **named))


def failed(count, **settings):
    """A report with this many failed episodes, and the episodes."""
    made = report(single([False] * count), failures=[failure(f"case-{at:04d}") for at in range(count)], **settings)
    return made, [(episode(id=f"e-case-{at:04d}-0"), [Verdict(passed=False, judge="exact")]) for at in range(count)]


def test_the_summary_needs_no_script():
    made = report([*single([True] * 32 + [False] * 9), row("lost", outcome="infra_error")])
    decision = Decision(outcome="INCONCLUSIVE", reasons=("the minimum lies between",), cases_needed=300)
    fingerprint = Fingerprint(static="x", drift="the agent differs")
    shown = page(msgspec.structs.replace(made, decision=decision, fingerprint=fingerprint, baseline="run-a")).text()
    for words in (
        "booking",
        "78.0%",
        "63.3\u201388.0, wilson, 41 cases",
        "INCONCLUSIVE",
        "against run-a",
        "the minimum lies between",
        "About 300 cases in all would settle it.",
        "were lost to infrastructure",
        "the agent differs",
        "32 passed",
        "9 failed by a judge",
        "1 lost to infrastructure",
    ):
        assert words in shown


def test_bars_are_drawn_where_the_numbers_are():
    made = report(single([True] * 32 + [False] * 9), rules=GateRules(minimum=0.8, judges={"exact": 0.7}))
    found = page(made)
    overall, judge = found.all("line", **{"class": "span"})
    assert overall == judge
    assert float(overall["x1"]) == pytest.approx(6 + 248 * made.overall.low, abs=0.1)
    assert float(overall["x2"]) == pytest.approx(6 + 248 * made.overall.high, abs=0.1)
    assert [float(dot["cx"]) for dot in found.all("circle")] == [pytest.approx(6 + 248 * 32 / 41, abs=0.1)] * 2
    assert [float(line["x1"]) for line in found.all("line", **{"class": "wanted"})] == pytest.approx(
        [204.4, 179.6], abs=0.1
    )


def test_outcomes_fill_the_bar_once():
    rows = [row("a", True), row("b", False), row("c", None), row("d", outcome="agent_error")]
    rows += [row("e", outcome="infra_error"), row("f", outcome="")]
    found = page(report(rows, status="running"))
    parts = [part for part in found.all("rect") if part.get("height") == "12"]
    assert [part["class"] for part in parts] == [
        "passed",
        "failed",
        "agent_error",
        "unjudged",
        "infra_error",
        "pending",
    ]
    assert sum(float(part["width"]) for part in parts) == pytest.approx(1000, abs=0.1)
    assert "running" in found.text("span")


def test_an_empty_run_says_so():
    shown = page(report([])).text()
    assert "no rate" in shown
    assert "The run has no episodes." in shown
    assert "0.0\u2013100.0" not in shown
    assert not page(report([])).all("circle")


def test_failures_of_an_episode_are_one_row_that_opens_it():
    listed = [failure("a", "exact", reason="2 nights"), failure("a", "tone", kind="unjudged", reason="timeout")]
    made = report([row("a", False, None)], ("exact", "tone"), failures=listed)
    verdicts = [
        Verdict(passed=False, judge="exact", reason="2 nights", evidence=("s1",)),
        Verdict(passed=None, judge="tone"),
    ]
    found = page(made, [(episode("hello there", id="e-a-0"), verdicts)])
    (item,) = found.all("details", **{"class": "item"})
    assert (item["data-kinds"], item["data-judges"], item["data-tags"]) == ("failed unjudged", "0 1", "0")
    shown = found.text()
    for words in (
        "2 nights",
        "Conversation",
        "Tool calls",
        "evidence",
        "Effects",
        "Expected",
        "Output",
        "Logs",
        "assay show e-a-0",
    ):
        assert words in shown
    assert "hello there!" in found.text("ins")
    assert "hello there" in found.text("del")


def test_failures_without_details_name_the_command():
    made, _ = failed(3)
    found = page(made)
    assert not found.all("details", **{"class": "item"})
    assert len(found.all("div", **{"class": "item"})) == 3
    assert "assay show e-case-0002-0" in found.text("code")
    assert "0 of 3 episodes are embedded here" in found.text()


def test_no_more_is_embedded_than_there_is_room():
    made, episodes = failed(30)
    taken = []

    def watched():
        for found in episodes:
            taken.append(found[0].id)
            yield found

    shown = page(made, watched(), room=Room(episodes=5))
    assert len(shown.all("details", **{"class": "item"})) == 5
    assert len(taken) <= 6
    assert "5 of 30 episodes are embedded here" in shown.text()
    small = render_html(made, episodes, room=Room(characters=1_000))
    assert len(Page(small).all("details", **{"class": "item"})) < 10


def test_megabytes_in_many_episodes_stay_a_small_file():
    made, _ = failed(60)
    text = "x" * 1_000_000
    episodes = ((episode(text, id=f"e-case-{at:04d}-0"), []) for at in range(60))
    assert len(render_html(made, episodes)) < 12_000_000


def test_rows_are_bounded_and_the_rest_is_counted():
    made, _ = failed(ROWS_LIMIT + 50)
    made = msgspec.structs.replace(made, failures_total=9_000)
    found = page(made)
    assert len(found.all("div", **{"class": "item"})) == ROWS_LIMIT
    assert f"{9_000 - ROWS_LIMIT:,} further failures are only in the store." in found.text()


def test_filters_offer_what_is_there():
    listed = [failure("a"), failure("b", "tone"), failure("c", "", kind="agent_error")]
    made = report([row("a", False), row("b", False), row("c", outcome="agent_error")], failures=listed)
    found = page(made, tags={"a": ("date", "mail"), "b": ("mail",)})
    options = [option["value"] for option in found.all("option")]
    assert options == ["", "failed", "agent_error", "", "0", "1", "", "0", "1"]
    items = [(item["data-judges"], item["data-tags"]) for item in found.all("div", **{"class": "item"})]
    assert items == [("0", "0 1"), ("1", "1"), ("", "")]
    assert all("hidden" in form for form in found.all("form"))


def test_links_lead_to_the_web_or_nowhere():
    listed = [failure("case-0000", link="https://traces.example/1"), failure("case-0001", link="javascript:alert(1)")]
    made = report(single([False, False]), failures=listed)
    episodes = [(episode(id=f"e-case-000{at}-0"), []) for at in range(2)]
    links = page(made, episodes).all("a")
    assert [link["href"] for link in links] == ["#failures", "https://traces.example/1"]
    assert links[1]["rel"] == "noreferrer noopener"


def test_a_comparison_has_its_section_and_points_to_the_failures():
    before = [row(f"c{at:02}", at < 45, prefix="old") for at in range(50)]
    after = [row(f"c{at:02}", at < 40) for at in range(50)]
    listed = [failure(f"c{at}", reason="wrong room") for at in range(40, 50)]
    made = report(after, failures=listed)
    comparison = compare(info(manifest(run_id="run-a")), before, info(made.manifest), after, {"e-c40-0": "wrong room"})
    found = page(made, [(episode(id="e-c40-0"), [])], comparison)
    shown = found.text()
    for words in ("Compared with run-a", "5 cases got worse", "assay show old-c40-0", "-10.0", "wrong room"):
        assert words in shown
    assert "got better" not in shown
    targets = {item["id"] for item in found.all("details", **{"class": "item"})}
    assert [link["href"].removeprefix("#") for link in found.all("a")][1:] == sorted(targets)


def test_repeats_and_slices_have_their_tables():
    rows = [msgspec.structs.replace(found, tags=("date",)) for found in repeated(TAU_AIRLINE, 4)]
    shown = page(report(rows)).text()
    for words in ("pass^k", "72.0%", "20.0%", "Slices", "date"):
        assert words in shown


def test_the_policy_allows_exactly_the_inlined_blocks():
    found = page(*failed(2))
    (policy,) = [meta["content"] for meta in found.all("meta", **{"http-equiv": "Content-Security-Policy"})]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    hashes = {
        tag: base64.b64encode(hashlib.sha256(found.content(tag).encode()).digest()).decode()
        for tag in ("script", "style")
    }
    assert directives == {
        "default-src": "'none'",
        "script-src": f"'sha256-{hashes['script']}'",
        "style-src": f"'sha256-{hashes['style']}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(found.all("script")) == len(found.all("style")) == 1


def test_the_page_asks_the_network_for_nothing():
    text = render_html(*failed(2))
    found = Page(text)
    assert not re.search(r"https?://", text)
    assert not any("src" in attributes or "style" in attributes for _, attributes in found.elements)
    assert not {tag for tag, _ in found.elements} & {
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "video",
        "audio",
        "base",
    }


def test_landmarks_labels_and_names_are_in_order():
    found = page(*failed(2))
    tags = [tag for tag, _ in found.elements]
    assert (tags.count("main"), tags.count("h1"), tags.count("header")) == (1, 1, 1)
    assert found.all("html", lang="en")
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in found.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    assert all(table_head["scope"] in {"col", "row"} for table_head in found.all("th"))
    assert len(found.all("label")) == len(found.all("input")) + len(found.all("select"))


def test_equal_reports_give_equal_pages():
    assert render_html(*failed(4)) == render_html(*failed(4))
