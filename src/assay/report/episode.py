"""One episode for a terminal, and plain for logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assay.core.episode import Episode, Outcome
from assay.core.trace import Span
from assay.core.verdict import Verdict
from assay.report import escaping
from assay.report.excerpt import Excerpt, Passage, excerpt
from assay.report.layout import BLANK, Line, fit, plain, styled, table

if TYPE_CHECKING:
    from rich.text import Text

WIDTH = 100
"""Terminal columns that single lines are cut to; longer texts wrap."""

_LINES = 40
_SPANS = 500
_MARKS = {"passed": ("PASSED", "bold green"), "failed": ("FAILED", "bold red"), "unjudged": ("UNJUDGED", "bold yellow")}
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def render_episode_text(
    episode: Episode, verdicts: Sequence[Verdict], *, spans: bool = False, width: int = WIDTH
) -> str:
    """Return an episode as plain text without any control sequence; `spans` adds the tree of its trace."""
    return plain(_episode(episode, verdicts, spans=spans, width=width))


def render_episode_rich(
    episode: Episode, verdicts: Sequence[Verdict], *, spans: bool = False, width: int = WIDTH
) -> Text:
    """Return the same as styled text for `rich.print`."""
    return styled(_episode(episode, verdicts, spans=spans, width=width))


def _episode(episode: Episode, verdicts: Sequence[Verdict], *, spans: bool, width: int) -> Iterator[Line]:
    kept = excerpt(episode, verdicts)
    yield [(fit(episode.case.id, width - 30), "bold"), (f"  attempt {episode.attempt}", "dim")]
    facts = [kept.episode_id, *(f"{label} {value}" for label, value in kept.facts)]
    yield [(fit(" \u00b7 ".join(facts), 2 * width), "dim")]
    if kept.failure is not None and episode.outcome is not Outcome.finished:
        kind, message, detail = kept.failure
        yield BLANK
        yield [(f"{episode.outcome.value.replace('_', ' ').upper()} ", "bold red"), (kind, "")]
        yield from _text(message, "  ")
        yield from _text(detail, "  ", "dim")
    yield from _verdicts(kept, width)
    yield from _conversation(kept)
    yield from _tools(kept)
    yield from _effects(kept, width)
    if spans:
        yield from _spans(episode, width)
    if kept.logs is not None:
        yield from _section("logs")
        yield from _text(kept.logs, "  ", "dim")
    for note in kept.notes:
        yield [(fit(note, width), "yellow")]


def _verdicts(kept: Excerpt, width: int) -> Iterator[Line]:
    if kept.verdicts:
        yield BLANK
    for word in kept.verdicts:
        mark, style = _MARKS[word.kind]
        score = f" {word.score:.2f}" if word.score is not None else ""
        yield [(f"{mark:9}", style), (fit(word.judge, 40) + score, "bold")]
        yield from _text(word.reason, " " * 9)
    if kept.expected is not None:
        yield from _section("expected")
        yield from _text(kept.expected, "  ")


def _conversation(kept: Excerpt) -> Iterator[Line]:
    yield from _section("conversation")
    if len(kept.messages) > 2 * len(kept.turns):
        for said in kept.messages:
            who = said.role + (f" ({escaping.line(said.name, 40)})" if said.name else "")
            calls = f" \u2192 {', '.join(escaping.line(call, 40) for call in said.calls)}" if said.calls else ""
            yield [(f"  {escaping.line(who, 60)}", "bold"), (calls, "cyan")]
            yield from _text(said.text, "    ")
        return
    for given, answer in kept.turns:
        yield [("  user", "bold")]
        yield from _text(given, "    ")
        yield [("  agent", "bold")]
        if answer is None:
            yield [("    no answer", "red")]
        else:
            yield from _text(answer, "    ")


def _tools(kept: Excerpt) -> Iterator[Line]:
    if not kept.calls:
        return
    yield from _section("tool calls")
    for call in kept.calls:
        mark = "! " if call.is_evidence else "  "
        arguments = escaping.line(call.arguments.text, 400)
        yield [(mark, "bold red"), (escaping.line(call.name, 60), "cyan"), (f" {arguments}", "")]
        if call.error is not None:
            yield [("    error: " + escaping.line(call.error.text, 400), "red")]
        elif call.result is not None:
            yield [("    " + escaping.line(call.result.text, 400), "dim")]


def _effects(kept: Excerpt, width: int) -> Iterator[Line]:
    yield from _section("effects")
    if not kept.tables and not kept.files:
        yield [("  nothing changed", "dim")]
    for changed in kept.tables:
        yield [(f"  {escaping.line(changed.name, 80)}", "bold")]
        for kind, cells in changed.rows:
            sign, style = _SIGNS[kind]
            shown = [
                f"{name}={before}" if before == after else f"{name}={before}\u2192{after}"
                for name, (before, after) in zip(changed.columns, cells, strict=True)
                if kind != "changed" or before != after or name == changed.columns[0]
            ]
            yield [(f"  {sign} ", style), (escaping.line(", ".join(shown), 4 * width), "")]
        if changed.left_out:
            yield [(f"    and {changed.left_out:,} further rows", "dim")]
    for file in kept.files:
        sign, style = _SIGNS.get(file.change, ("?", ""))
        yield [(f"  {sign} ", style), (fit(file.path, width - 24), ""), (f"  {file.size:,} bytes", "dim")]
        if file.text is not None:
            yield from _text(file.text, "      ", "dim")


def _spans(episode: Episode, width: int) -> Iterator[Line]:
    yield from _section("spans")
    depth: dict[str, int] = {}
    start = episode.trace.spans[0].start_ns if episode.trace.spans else 0
    rows: list[list[tuple[str, str]]] = []
    for span in episode.trace.spans[:_SPANS]:
        depth[span.span_id] = depth.get(span.parent_id, -1) + 1
        indent = "  " * min(depth[span.span_id], 20)
        style = "red" if span.status == "error" else ""
        rows.append(
            [
                (indent + fit(span.name, max(20, width // 2)), style),
                (span.kind, "dim"),
                (f"{(span.start_ns - start) / 1e6:,.1f}", "dim"),
                (f"{(span.end_ns - span.start_ns) / 1e6:,.1f}", ""),
                (_tokens(span), "dim"),
                (span.span_id, "dim"),
            ]
        )
    yield from table(("span", "kind", "at ms", "took ms", "tokens", "id"), rows, left=2)
    if len(episode.trace.spans) > _SPANS:
        yield [(f"  and {len(episode.trace.spans) - _SPANS:,} further spans", "dim")]


def _tokens(span: Span) -> str:
    return f"{span.model.usage.tokens:,}" if span.model is not None else ""


def _section(title: str) -> Iterator[Line]:
    yield BLANK
    yield [(title, "dim")]


def _text(passage: Passage, indent: str, style: str = "") -> Iterator[Line]:
    lines = escaping.visible(passage.text).splitlines() or ([""] if passage.text else [])
    for row in lines[:_LINES]:
        yield [(indent + row, style)]
    if passage.is_cut or len(lines) > _LINES:
        yield [(f"{indent}\u2026 cut; `assay export` has all of it", "dim")]
