from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from assay.core.report import Decision
from assay.report.junit import render_junit
from tests.report.made import failure, report, row


def suites(text):
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    return {suite.get("name"): suite for suite in root}


def rows():
    return [
        row("passes", True, True),
        row("fails", False, None),
        row("crashes", outcome="agent_error"),
        row("lost", outcome="infra_error"),
        row("waits", outcome=""),
    ]


def test_each_judge_is_a_suite_whose_counts_are_the_reports():
    judges = ("exact", "tone")
    made = report(rows(), judges)
    found = suites(render_junit(made, rows()))
    assert list(found) == ["booking.exact", "booking.tone"]
    for judge in made.judges:
        suite = found[f"booking.{judge.name}"]
        count = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
        assert count == {
            "tests": 5,
            "failures": judge.failed,
            "errors": made.coverage.infra_error,
            "skipped": judge.unjudged + made.coverage.pending,
        }
        assert len(suite.findall("testcase")) == 5
        for key in ("failure", "error", "skipped"):
            plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[key]
            assert len(suite.findall(f"testcase/{key}")) == count[plural]


@pytest.mark.parametrize(
    ("case", "element", "kind"),
    [
        ("passes", None, ""),
        ("fails", "failure", "failed"),
        ("crashes", "failure", "agent_error"),
        ("lost", "error", "infra_error"),
        ("waits", "skipped", "pending"),
    ],
)
def test_kinds_become_elements(case, element, kind):
    suite = suites(render_junit(report(rows()), rows()))["booking.exact"]
    (found,) = [item for item in suite.iter("testcase") if item.get("name") == case]
    assert found.get("classname") == "booking.exact"
    assert [child.tag for child in found] == ([element] if element else [])
    if element:
        assert found[0].get("type") == kind


def test_unjudged_is_skipped():
    suite = suites(render_junit(report(rows(), ("exact", "tone")), rows()))["booking.tone"]
    (found,) = suite.findall("testcase[@name='fails']/skipped")
    assert found.get("type") == "unjudged"


def test_reasons_and_the_command_are_in_the_message_and_body():
    listed = [failure("fails", reason="2 nights & <3>"), failure("crashes", "", kind="agent_error", reason="timeout")]
    suite = suites(render_junit(report(rows(), failures=listed), rows()))["booking.exact"]
    failed, crashed = suite.findall("testcase/failure")
    assert failed.get("message") == "2 nights & <3>"
    assert failed.text == "2 nights & <3>\nassay show e-fails-0"
    assert crashed.get("message") == "timeout"


def test_attempts_have_names_of_their_own():
    played = [row("a", True), row("a", False, attempt=1)]
    suite = suites(render_junit(report(played), played))["booking.exact"]
    assert [item.get("name") for item in suite.iter("testcase")] == ["a #1", "a #2"]


@pytest.mark.parametrize(
    ("outcome", "element"), [("PASS", None), ("FAIL", "failure"), ("INVALID", "error"), ("INCONCLUSIVE", "skipped")]
)
def test_the_decision_is_a_suite_of_one(outcome, element):
    made = msgspec.structs.replace(report(rows()), decision=Decision(outcome=outcome, reasons=("because", "also")))
    suite = suites(render_junit(made, rows()))["booking.gate"]
    (case,) = suite.findall("testcase")
    assert (case.get("name"), [child.tag for child in case]) == ("decision", [element] if element else [])
    if element:
        assert case[0].text == "because\nalso"
        plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[element]
        assert suite.get(plural) == "1"


def test_the_run_is_in_the_properties():
    suite = suites(render_junit(report(rows()), rows()))["booking.exact"]
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["run"] == "run-b"
    assert properties["overall"].startswith("1 of 3 passed: 33.3%")
    assert suite.get("timestamp") == "2025-11-22T08:26:40"
