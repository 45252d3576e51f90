"""JUnit XML for CI viewers: one test case per episode and judge, so that its counts are the report's counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from assay.core.episode import Outcome
from assay.core.protocols import Scored
from assay.core.report import Report
from assay.report import words
from assay.report.escaping import line, xml
from assay.report.failures import show_command

_ELEMENTS = {"failed": "failure", "agent_error": "failure", "infra_error": "error", "unjudged": "skipped"}
_REASON = 2_000

Reasons = dict[tuple[str, str], str]


def render_junit(report: Report, scored: Sequence[Scored]) -> str:
    """Return JUnit XML: one test suite per judge, and one with the gate's decision when there is one.

    A failed verdict and an agent's error are failures, an episode that infrastructure lost is an error, unjudged and pending
    ones are skipped. The name of a test case is the case id, with the attempt where there are several, so that a viewer can
    follow it over runs; its class name is `EVAL.JUDGE`.
    """
    return "".join(_document(report, scored))


def _document(report: Report, scored: Sequence[Scored]) -> Iterator[str]:
    manifest = report.manifest
    name = line(manifest.eval_name)
    reasons: Reasons = {(item.episode_id, item.judge): item.reason for item in report.failures}
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites name={_attribute(name)}>\n"
    if report.decision.outcome != "NONE":
        yield from _gate(report, name)
    for judge in report.judges:
        cases = [_case(row, judge.name, reasons, name, several=manifest.attempts > 1) for row in scored]
        yield _suite(f"{name}.{line(judge.name)}", [kind for kind, _ in cases], report)
        yield from (text for _, text in cases)
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _suite(name: str, kinds: Sequence[str], report: Report) -> str:
    manifest = report.manifest
    started = datetime.fromtimestamp(manifest.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    head = (
        f'  <testsuite name={_attribute(name)} tests="{len(kinds)}" failures="{kinds.count("failure")}" '
        f'errors="{kinds.count("error")}" skipped="{kinds.count("skipped")}" timestamp="{started}">\n    <properties>\n'
    )
    pairs = [*words.identity(manifest), ("overall", words.rate(report.overall))]
    rows = [f"      <property name={_attribute(key)} value={_attribute(value)}/>\n" for key, value in pairs]
    return head + "".join(rows) + "    </properties>\n"


def _gate(report: Report, name: str) -> Iterator[str]:
    decision = report.decision
    element = {"PASS": "", "FAIL": "failure", "INVALID": "error", "INCONCLUSIVE": "skipped"}[decision.outcome]
    yield _suite(f"{name}.gate", [element], report)
    yield _testcase("decision", f"{name}.gate", element, (decision.outcome, "\n".join(decision.reasons)))
    yield "  </testsuite>\n"


def _case(row: Scored, judge: str, reasons: Reasons, suite: str, *, several: bool) -> tuple[str, str]:
    kind = _kind(row, judge)
    element = _ELEMENTS.get(kind, "skipped" if kind == "pending" else "")
    reason = reasons.get((row.episode_id, judge)) or reasons.get((row.episode_id, "")) or words.kind(kind)
    body = f"{reason}\n{show_command(row.episode_id)}" if row.episode_id else "not run yet"
    name = line(row.case_id) + (f" #{row.attempt + 1}" if several else "")
    return element, _testcase(name, f"{suite}.{line(judge)}", element, (kind, body))


def _kind(row: Scored, judge: str) -> str:
    """Return what a row came to for one judge: a kind of failure, `passed` or `pending`."""
    if not row.outcome:
        return "pending"
    if row.outcome != Outcome.finished:
        return row.outcome
    passed, _ = row.verdicts.get(judge, (None, None))
    return {True: "passed", False: "failed", None: "unjudged"}[passed]


def _testcase(name: str, classname: str, element: str, why: tuple[str, str]) -> str:
    head = f"    <testcase name={_attribute(name)} classname={_attribute(classname)}"
    if not element:
        return head + "/>\n"
    kind, body = why
    message = _attribute(line(body.partition("\n")[0], 300))
    return (
        f"{head}>\n      <{element} type={_attribute(kind)} message={message}>"
        f"{escape(xml(body, _REASON))}</{element}>\n    </testcase>\n"
    )


def _attribute(text: str) -> str:
    return quoteattr(xml(text, _REASON))
