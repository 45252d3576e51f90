"""Reports and comparisons as Markdown: a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assay.core.report import Comparison, FailureItem, Flip, Report
from assay.report import words
from assay.report.escaping import code, markdown
from assay.report.failures import safe_link, show_command
from assay.report.text import overall_sentence, paired_notes

LIMIT = 60_000
"""Characters of a comment at most; forges refuse longer ones."""

_FAILURES, _FLIPS, _SLICES, _REASON = 20, 20, 30, 300


def render_markdown(report: Report, comparison: Comparison | None = None) -> str:
    """Return a report as Markdown of at most `LIMIT` characters, with a comparison if there is one.

    The first line is a comment that names the eval, by which a CI job finds its own earlier comment.
    """
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", report.manifest.eval_name)[:80]
    lines = [f"<!-- assay:{name} -->", *_report(report)]
    if comparison is not None:
        lines += ["", *_comparison(comparison)]
    return _bounded(lines)


def render_comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown of at most `LIMIT` characters."""
    return _bounded(list(_comparison(comparison)))


def _bounded(lines: Sequence[str]) -> str:
    """Keep whole lines until the limit; a table that is cut stays a table."""
    kept: list[str] = []
    left = LIMIT - 200
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            kept += ["", "*Cut here: the whole report is in the HTML file.*"]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def _report(report: Report) -> Iterator[str]:
    decision = report.decision
    suffix = "" if decision.outcome == "NONE" else f": {decision.outcome}"
    yield f"### {markdown(report.manifest.eval_name)}{suffix}"
    yield ""
    yield (
        f"**{words.rate(report.overall)}**" if report.overall.value is not None else "**No rate: nothing was judged.**"
    )
    yield from _list(decision.reasons)
    if decision.cases_needed is not None:
        yield f"- About {words.plural(decision.cases_needed, 'case')} in all would settle it."
    yield from _list(report.warnings, "> ")
    if report.fingerprint.drift:
        yield from _list([report.fingerprint.drift], "> ")
    yield from _judges(report)
    yield from _repeats(report)
    yield from _failures(report)
    yield from _slices(report)
    yield ""
    yield _footer(report)


def _list(notes: Sequence[str], mark: str = "- ") -> Iterator[str]:
    if not notes:
        return
    yield ""
    for note in notes:
        yield mark + markdown(note, 1_000) + ("  " if mark == "> " else "")


def _judges(report: Report) -> Iterator[str]:
    level = f"{report.overall.level:.0%}"
    yield from _table(
        ("Judge", "Rate", level, "Passed", "Failed", "Unjudged", "Cost"),
        [
            (
                code(judge.name),
                words.share(judge.rate.value),
                words.limits(judge.rate),
                f"{judge.passed:,}",
                f"{judge.failed:,}",
                f"{judge.unjudged:,}",
                words.money(judge.cost_usd),
            )
            for judge in report.judges
        ],
    )


def _repeats(report: Report) -> Iterator[str]:
    rows = [
        (
            str(point.k),
            f"{words.percent(point.pass_at)} \u00b1{100 * point.pass_at_se:.1f}",
            f"{words.percent(point.pass_hat)} \u00b1{100 * point.pass_hat_se:.1f}",
            f"{point.cases:,}",
        )
        for point in report.repeats
    ]
    yield from _table(("k", "pass@k", "pass^k", "Cases"), rows)


def _slices(report: Report) -> Iterator[str]:
    if not report.slices:
        return
    rows = [
        (
            code(part.tag),
            words.share(part.rate.value),
            words.limits(part.rate),
            f"{part.rate.cases:,}",
        )
        for part in report.slices[:_SLICES]
    ]
    yield from _folded(
        f"{words.plural(len(report.slices), 'slice')}",
        list(_table(("Slice", "Overall", f"{report.overall.level:.0%}", "Cases"), rows)),
        len(report.slices) - len(rows),
    )


def _failures(report: Report) -> Iterator[str]:
    if not report.failures_total:
        return
    shown = report.failures[:_FAILURES]
    rows = [_failure(item) for item in shown]
    yield from _folded(
        f"{words.plural(report.failures_total, 'failure')}",
        list(_table(("", "Case", "Judge", "Why", "Open"), rows)),
        report.failures_total - len(shown),
    )


def _failure(item: FailureItem) -> tuple[str, ...]:
    attempt = f" attempt {item.attempt + 1}" if item.attempt else ""
    return (
        words.KINDS.get(item.kind, markdown(item.kind)),
        code(item.case_id) + attempt,
        code(item.judge),
        markdown(item.reason, _REASON),
        _open(item),
    )


def _open(item: FailureItem) -> str:
    if link := safe_link(item.link):
        return f"[trace](<{link.replace('|', '%7C')}>)"
    return code(show_command(item.episode_id))


def _footer(report: Report) -> str:
    coverage = report.coverage
    parts = [f"{label} {code(value)}" for label, value in words.identity(report.manifest)]
    parts.append(
        f"{words.plural(coverage.planned, 'episode')}: {coverage.finished:,} finished, "
        f"{words.plural(coverage.agent_error, 'agent error')}, {coverage.infra_error:,} lost, {coverage.pending:,} pending"
    )
    parts.append(f"agents {words.money(report.usage.cost_usd)}, judges {words.money(report.judge_cost_usd)}")
    return "<sub>" + " \u00b7 ".join(parts) + "</sub>"


def _comparison(comparison: Comparison) -> Iterator[str]:
    yield f"#### Compared with {code(comparison.run_a)}"
    yield ""
    yield f"**{markdown(overall_sentence(comparison.overall), 500)}**"
    yield from _list(paired_notes(comparison.overall))
    yield from _list(comparison.warnings, "> ")
    rows = [
        (
            code(pair.name),
            words.share(pair.rate_a),
            words.share(pair.rate_b),
            words.difference(pair),
            f"{pair.lost} / {pair.gained}",
            words.p_value(pair.p_value),
            words.p_value(pair.p_adjusted),
        )
        for pair in comparison.judges
    ]
    head = ("Judge", "A", "B", "Difference", "Worse / better", "p", f"p (Holm, {len(rows)})")
    yield from _table(head, rows)
    yield from _list([f"{pair.name}: {pair.note}" for pair in comparison.judges if pair.note])
    yield from _flips("got worse", comparison.lost)
    yield from _flips("got better", comparison.gained)


def _flips(title: str, flips: Sequence[Flip]) -> Iterator[str]:
    if not flips:
        return
    rows = [
        (
            code(flip.case_id),
            words.percent(flip.before),
            words.percent(flip.after),
            markdown(flip.reason, _REASON),
            code(show_command(flip.episode_a)),
            code(show_command(flip.episode_b)),
        )
        for flip in flips[:_FLIPS]
    ]
    body = list(_table(("Case", "A", "B", "Why", "Open A", "Open B"), rows))
    yield from _folded(f"{words.plural(len(flips), 'case')} {title}", body, len(flips) - len(rows))


def _folded(title: str, body: Sequence[str], left: int) -> Iterator[str]:
    yield ""
    yield f"<details><summary>{title}</summary>"
    yield from body
    if left > 0:
        yield ""
        yield f"\u2026 and {left:,} more."
    yield ""
    yield "</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
