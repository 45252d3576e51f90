"""Reports and comparisons for a terminal, and plain for logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from assay.core.report import Comparison, Decision, FailureItem, Flip, PairedRate, Rate, Report
from assay.core.usage import Usage
from assay.report import escaping, words
from assay.report.failures import by_episode, show_command
from assay.report.layout import BLANK, Line, Segment, fit, plain, styled, table

if TYPE_CHECKING:
    from rich.text import Text

WIDTH = 100
"""Terminal columns that lines are cut to."""

_FAILURES, _FLIPS, _SLICES = 10, 10, 15
_STYLES = {"PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow", "INVALID": "bold magenta"}
_KINDS = {"failed": "red", "agent_error": "red", "unjudged": "yellow", "infra_error": "magenta"}


def render_text(report: Report, comparison: Comparison | None = None, *, width: int = WIDTH) -> str:
    """Return a report as plain text without any control sequence, with a comparison below it if there is one."""
    return plain(_both(report, comparison, width))


def render_rich(report: Report, comparison: Comparison | None = None, *, width: int = WIDTH) -> Text:
    """Return the same as styled text for `rich.print`."""
    return styled(_both(report, comparison, width))


def render_comparison_text(comparison: Comparison, *, width: int = WIDTH) -> str:
    """Return a comparison as plain text without any control sequence."""
    return plain(_comparison(comparison, width))


def render_comparison_rich(comparison: Comparison, *, width: int = WIDTH) -> Text:
    """Return the same as styled text for `rich.print`."""
    return styled(_comparison(comparison, width))


def _both(report: Report, comparison: Comparison | None, width: int) -> Iterator[Line]:
    yield from _report(report, width)
    if comparison is not None:
        yield BLANK
        yield from _comparison(comparison, width)


def _report(report: Report, width: int) -> Iterator[Line]:
    yield from _head(report, width)
    yield from _decision(report.decision, width)
    yield BLANK
    yield [("overall  ", "dim"), *_rate(report.overall)]
    yield from _judges(report)
    yield from _episodes(report)
    for repeat in report.repeats:
        yield [("repeats  " if repeat.k == 1 else " " * 9, "dim"), (words.repeat(repeat), "")]
    yield from _slices(report)
    yield from _notes("warnings", report.warnings, width)
    yield from _failures(report, width)


def _head(report: Report, width: int) -> Iterator[Line]:
    manifest = report.manifest
    yield [(fit(manifest.eval_name, width - 30), "bold"), (f"  {report.status}", "dim")]
    yield from _wrapped(" \u00b7 ".join(f"{label} {value}" for label, value in words.identity(manifest)), width, "dim")
    if report.fingerprint.drift:
        yield from _wrapped(report.fingerprint.drift, width, "yellow")


def _decision(decision: Decision, width: int) -> Iterator[Line]:
    if decision.outcome == "NONE":
        return
    yield BLANK
    yield [(decision.outcome, _STYLES[decision.outcome])]
    for reason in decision.reasons:
        yield from _wrapped(reason, width - 2, "", "  ")
    if decision.cases_needed is not None:
        yield [(f"  about {words.plural(decision.cases_needed, 'case')} in all would settle it", "")]


def _rate(rate: Rate) -> list[Segment]:
    return [(words.rate(rate), "bold")]


def _judges(report: Report) -> Iterator[Line]:
    if not report.judges:
        return
    yield BLANK
    level = f"{report.overall.level:.0%}"
    rows = [
        [
            (fit(judge.name, 40), ""),
            (words.share(judge.rate.value), "bold"),
            (words.limits(judge.rate), ""),
            (f"{judge.passed:,}", ""),
            (f"{judge.failed:,}", "red" if judge.failed else ""),
            (f"{judge.unjudged:,}", "yellow" if judge.unjudged else ""),
            (words.money(judge.cost_usd), "dim"),
        ]
        for judge in report.judges
    ]
    yield from table(("judge", "rate", level, "passed", "failed", "unjudged", "cost"), rows)


def _episodes(report: Report) -> Iterator[Line]:
    coverage, usage = report.coverage, report.usage
    parts = [
        f"{coverage.finished:,} finished",
        f"{coverage.agent_error:,} agent errors",
        f"{coverage.infra_error:,} lost",
    ]
    parts += [f"{coverage.pending:,} pending"] if coverage.pending else []
    extra = [f"{coverage.reused:,} reused"] if coverage.reused else []
    extra += [f"{coverage.retried:,} retried"] if coverage.retried else []
    yield BLANK
    yield [
        ("episodes ", "dim"),
        (f"{coverage.planned:,} planned: {', '.join(parts)}" + (f" ({', '.join(extra)})" if extra else ""), ""),
    ]
    spent = list(_spent(usage, report.judge_cost_usd))
    if spent:
        yield [("usage    ", "dim"), ("; ".join(spent), "")]


def _spent(usage: Usage, judge_cost_usd: float | None) -> Iterator[str]:
    """Say what is known of the agents' calls. Money of agents that no model call was seen of is not spoken of."""
    calls = [words.plural(usage.model_calls, "model call")] if usage.model_calls else []
    calls += [words.plural(usage.tool_calls, "tool call")] if usage.tool_calls else []
    if calls:
        yield ", ".join(calls)
    if usage.tokens:
        yield f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    if usage.model_calls or usage.cost_usd is not None:
        yield f"agents {words.money(usage.cost_usd)}, judges {words.money(judge_cost_usd)}"


def _slices(report: Report) -> Iterator[Line]:
    if not report.slices:
        return
    yield BLANK
    rows = [
        [
            (fit(part.tag, 40), ""),
            (words.share(part.rate.value), ""),
            (words.limits(part.rate), "dim"),
            (f"{part.rate.cases:,}", "dim"),
        ]
        for part in report.slices[:_SLICES]
    ]
    yield from table(("slice", "overall", f"{report.overall.level:.0%}", "cases"), rows)
    yield from _more(len(report.slices) - _SLICES, "slices")


def _failures(report: Report, width: int) -> Iterator[Line]:
    if not report.failures_total:
        return
    yield BLANK
    yield [(f"failures ({report.failures_total:,})", "bold")]
    groups = by_episode(report.failures)[:_FAILURES]
    for group in groups:
        yield from _failure(group, width)
    left = report.failures_total - sum(map(len, groups))
    yield from _more(left, f"in the HTML report: assay report {report.manifest.run_id} --html FILE")


def _failure(items: Sequence[FailureItem], width: int) -> Iterator[Line]:
    first = items[0]
    attempt = f" #{first.attempt + 1}" if first.attempt else ""
    kind = (f"{words.kind(first.kind)} ", _KINDS.get(first.kind, ""))
    yield [("  ", ""), kind, (fit(first.case_id, min(60, width - 24)) + attempt, "bold")]
    for item in items:
        judge = f"{fit(item.judge, 40)}: " if item.judge else ""
        yield [("    ", ""), (judge, ""), (fit(item.reason or words.kind(item.kind), width - 4 - len(judge)), "")]
    link = f"  {fit(first.link, width)}" if first.link else ""
    yield [("    ", ""), (show_command(first.episode_id) + link, "dim")]


def _comparison(comparison: Comparison, width: int) -> Iterator[Line]:
    names = [comparison.run_a, comparison.run_b]
    if comparison.eval_a != comparison.eval_b:
        names = [f"{comparison.eval_a} {names[0]}", f"{comparison.eval_b} {names[1]}"]
    yield [("compared  ", "dim"), (f"A {fit(names[0], 60)}  B {fit(names[1], 60)}", "")]
    yield [("overall   ", "dim"), (overall_sentence(comparison.overall), "bold")]
    for note in paired_notes(comparison.overall):
        yield from _wrapped(note, width - 10, "dim", " " * 10)
    yield from _pairs(comparison.judges, width)
    yield from _flips("worse in B", comparison.lost, width)
    yield from _flips("better in B", comparison.gained, width)
    yield from _notes("warnings", comparison.warnings, width)


def overall_sentence(pair: PairedRate) -> str:
    """Say in a line how far a rate moved, from what to what, and how surely."""
    if pair.rate_a is None or pair.rate_b is None:
        return pair.note
    change = f"{words.percent(pair.rate_a)} \u2192 {words.percent(pair.rate_b)}: {words.difference(pair)}"
    return f"{change}, p {words.p_value(pair.p_value)}, {words.plural(pair.cases, 'case')}"


def paired_notes(pair: PairedRate) -> list[str]:
    """Say what a comparison could and could not have found."""
    if pair.difference is None:
        return []
    lines = [pair.note] if pair.note else []
    if pair.minimum_detectable is not None:
        shown = f"{100 * pair.minimum_detectable:.1f}"
        lines.append(f"{words.plural(pair.cases, 'case')} detect a difference of {shown} points with 80% power")
    if pair.cases_needed is not None and pair.cases_needed > pair.cases:
        lines.append(f"about {pair.cases_needed:,} cases would detect the difference seen here with 80% power")
    return lines


def _pairs(pairs: Sequence[PairedRate], width: int) -> Iterator[Line]:
    if not pairs:
        return
    yield BLANK
    rows = [
        [
            (fit(pair.name, 40), ""),
            (words.share(pair.rate_a), ""),
            (words.share(pair.rate_b), ""),
            (words.difference(pair), "bold"),
            (f"{pair.lost}/{pair.gained}", ""),
            (words.p_value(pair.p_value), "dim"),
            (words.p_value(pair.p_adjusted), ""),
        ]
        for pair in pairs
    ]
    yield from table(("judge", "A", "B", "difference", "worse/better", "p", f"p (Holm, {len(pairs)})"), rows)
    for pair in pairs:
        if pair.note:
            yield [("  ", ""), (fit(f"{pair.name}: {pair.note}", width - 2), "dim")]


def _flips(title: str, flips: Sequence[Flip], width: int) -> Iterator[Line]:
    if not flips:
        return
    yield BLANK
    yield [(f"{title} ({len(flips):,})", "bold")]
    for flip in flips[:_FLIPS]:
        share = f"{words.percent(flip.before)} \u2192 {words.percent(flip.after)}"
        yield [("  ", ""), (fit(flip.case_id, 40), "bold"), (f"  {share}", "")]
        if flip.reason:
            yield [("    ", ""), (fit(flip.reason, width - 4), "")]
        yield [("    ", ""), (f"A {show_command(flip.episode_a)}   B {show_command(flip.episode_b)}", "dim")]
    yield from _more(len(flips) - _FLIPS, "cases")


def _notes(title: str, notes: Sequence[str], width: int) -> Iterator[Line]:
    if not notes:
        return
    yield BLANK
    yield [(title, "bold")]
    for note in notes:
        yield from _wrapped(note, width - 4, "yellow", "  ! ")


def _more(left: int, what: str) -> Iterator[Line]:
    if left > 0:
        yield [(f"  \u2026 and {left:,} more {what}", "dim")]


def _wrapped(text: str, width: int, style: str, first: str = "") -> Iterable[Line]:
    """Break a sentence into lines; the second and later ones align with the text of the first."""
    import textwrap

    lines = textwrap.wrap(escaping.line(text, 2_000), max(width, 20), break_on_hyphens=False)
    for position, line in enumerate(lines):
        yield [(first if not position else " " * len(first), ""), (line, style)]
