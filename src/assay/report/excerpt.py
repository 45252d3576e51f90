"""What a person needs to see of an episode, within bounds: every text cut, every list short, nothing unread left out silently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

from assay.core.effects import Effects, FileChange, TableDiff
from assay.core.episode import Episode
from assay.core.trace import Message, ToolCall
from assay.core.verdict import Verdict
from assay.report.escaping import TEXT_LIMIT, cut, line, pretty

EPISODE_LIMIT = 400_000
"""Characters of one episode at most."""

_MESSAGES, _CALLS, _ROWS, _COLUMNS, _FILES, _TURNS, _TABLES, _NAMES = 200, 200, 50, 24, 100, 50, 30, 20
T = TypeVar("T")


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A text, possibly cut."""

    text: str
    """The beginning, not yet made visible."""
    is_cut: bool = False
    """Whether there was more."""
    size: int = 0
    """Characters of the whole text; 0 where it was not counted."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call."""

    name: str
    """Name of the tool."""
    arguments: Passage
    """Arguments as indented JSON."""
    result: Passage | None
    """The result; None while unknown."""
    error: Passage | None
    """The error; None without one."""
    is_evidence: bool
    """Whether a verdict rests on it."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the conversation."""

    role: str
    """Who spoke."""
    name: str
    """Author or tool, where given."""
    text: Passage
    """What was said."""
    reasoning: Passage | None
    """Reasoning parts; None without any."""
    calls: tuple[str, ...]
    """Tools that the message asks for, by name."""
    attachments: int
    """Images, files and other parts that are not shown."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Changed rows of a database table."""

    name: str
    """`database.table`."""
    columns: tuple[str, ...]
    """Columns, in order of first appearance."""
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """`added`, `removed` or `changed`, and a (before, after) per column; the two are equal where nothing changed."""
    left_out: int
    """Further rows."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A changed file."""

    path: str
    """Path in the workspace."""
    change: str
    """`added`, `changed` or `removed`."""
    size: int
    """Bytes."""
    text: Passage | None
    """Content, where it is text."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict."""

    judge: str
    """Name of the judge."""
    kind: str
    """`passed`, `failed` or `unjudged`."""
    reason: Passage
    """Why."""
    score: float | None
    """Optional grade."""


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """An episode, bounded."""

    episode_id: str
    """Id of the episode."""
    trace_id: str
    """Id of its trace."""
    tags: tuple[str, ...]
    """Tags of the case."""
    verdicts: tuple[Word, ...]
    """What the judges said, failures first."""
    failure: tuple[str, Passage, Passage] | None
    """`boundary kind`, message and detail; None when the episode finished."""
    expected: Passage | None
    """What the case expects; None when it does not say."""
    turns: tuple[tuple[Passage, Passage | None], ...]
    """Input and output of each turn."""
    messages: tuple[Said, ...]
    """The conversation."""
    calls: tuple[Call, ...]
    """Tools that were called."""
    tables: tuple[Table, ...]
    """Database rows that changed."""
    files: tuple[File, ...]
    """Files that changed."""
    logs: Passage | None
    """Tail of stdout and stderr; None without any."""
    facts: tuple[tuple[str, str], ...]
    """Label and value: time, tokens, seed and the like."""
    notes: tuple[str, ...]
    """What was left out."""
    size: int
    """Characters kept."""


def excerpt(episode: Episode, verdicts: Sequence[Verdict]) -> Excerpt:
    """Return what is worth reading of an episode, in at most about `EPISODE_LIMIT` characters."""
    budget, trace, effects, failure = _Budget(), episode.trace, episode.effects, episode.failure
    budget.open_section(0.2)
    words = tuple(budget.word(verdict) for verdict in sorted(verdicts, key=_gravity))
    error = None
    if failure is not None:
        error = (
            budget.name(f"{failure.boundary} {failure.kind}"),
            budget.text(failure.message),
            budget.text(failure.detail),
        )
    budget.open_section(0.3)
    expected = None if episode.case.expected is None else budget.value(episode.case.expected)
    turns = tuple(budget.turns(episode))
    budget.open_section(0.3)
    tables = tuple(budget.table(diff) for diff in budget.some(effects.tables, _TABLES, "tables"))
    files = tuple(budget.file(change) for change in budget.some(effects.files, _FILES, "files"))
    budget.open_section(0.5)
    logs = budget.text(episode.logs) if episode.logs else None
    calls = tuple(budget.calls(trace.tool_calls, verdicts))
    budget.open_section(1.0)
    messages = tuple(budget.said(message) for message in budget.some(trace.messages, _MESSAGES, "messages"))
    return Excerpt(
        episode_id=episode.id,
        trace_id=trace.trace_id,
        tags=episode.case.tags[:_NAMES],
        verdicts=words,
        failure=error,
        expected=expected,
        turns=turns,
        messages=messages,
        calls=calls,
        tables=tables,
        files=files,
        logs=logs,
        facts=tuple(_facts(episode)),
        notes=(*budget.notes, *_left_out(effects, trace.dropped_spans)),
        size=EPISODE_LIMIT - budget.left,
    )


def _gravity(verdict: Verdict) -> int:
    return {False: 0, None: 1, True: 2}[verdict.passed]


class _Budget:
    """Hands out what may still be shown of one episode."""

    def __init__(self) -> None:
        self.left = EPISODE_LIMIT
        self.notes: list[str] = []
        self._floor = 0

    def open_section(self, share: float) -> None:
        """Let what follows use this share of what is left, so that a long conversation does not crowd out the effects."""
        self._floor = int(self.left * (1.0 - share))

    @property
    def _room(self) -> int:
        return max(0, self.left - self._floor)

    def some(self, items: Sequence[T], limit: int, what: str) -> Iterable[T]:
        if len(items) > limit:
            self.notes.append(f"{len(items) - limit:,} further {what} are not shown")
        return islice(items, limit)

    def text(self, text: str) -> Passage:
        head, left_out = cut(text, min(TEXT_LIMIT, self._room))
        self.left -= len(head)
        return Passage(text=head, is_cut=left_out > 0, size=len(text))

    def name(self, text: str, limit: int = 120) -> str:
        """Return a name as one line; a short mark remains of it when there is no more room."""
        shown = line(text, max(2, min(limit, self._room)))
        self.left -= len(shown)
        return shown

    def value(self, value: Any) -> Passage:
        if isinstance(value, str):
            return self.text(value)
        if not self._room:
            return Passage(text="", is_cut=True)
        shown, is_cut = pretty(value, min(TEXT_LIMIT, self._room))
        self.left -= len(shown)
        return Passage(text=shown, is_cut=is_cut)

    def word(self, verdict: Verdict) -> Word:
        kind = {False: "failed", None: "unjudged", True: "passed"}[verdict.passed]
        return Word(judge=verdict.judge, kind=kind, reason=self.text(verdict.reason), score=verdict.score)

    def turns(self, episode: Episode) -> Iterable[tuple[Passage, Passage | None]]:
        outputs = episode.outputs
        for position, turn in enumerate(self.some(episode.case.turns, _TURNS, "turns")):
            yield self.value(turn), self.value(outputs[position]) if position < len(outputs) else None

    def said(self, message: Message) -> Said:
        return Said(
            role=self.name(message.role),
            name=self.name(message.name),
            text=self.text(message.text),
            reasoning=self.text(message.reasoning) if message.reasoning else None,
            calls=tuple(self.name(call.name) for call in message.tool_calls[:_NAMES]),
            attachments=len(message.attachments),
        )

    def calls(self, calls: Sequence[ToolCall], verdicts: Sequence[Verdict]) -> Iterable[Call]:
        evidence = {span for verdict in verdicts for span in verdict.evidence}
        for call in self.some(calls, _CALLS, "tool calls"):
            yield Call(
                name=self.name(call.name),
                arguments=self.value(call.arguments),
                result=None if call.result is None else self.value(call.result),
                error=self.text(call.error) if call.error else None,
                is_evidence=bool(call.span_id) and call.span_id in evidence,
            )

    def table(self, diff: TableDiff) -> Table:
        changes = [
            *(("added", {}, row) for row in diff.added),
            *(("removed", row, {}) for row in diff.removed),
            *(("changed", change.before, change.after) for change in diff.changed),
        ]
        kept = changes[:_ROWS] if self._room else []
        names = list(dict.fromkeys(column for _, before, after in kept for column in (*before, *after)))
        if len(names) > _COLUMNS:
            self.notes.append(f"{len(names) - _COLUMNS:,} further columns of {self.name(diff.table)} are not shown")
        columns = names[:_COLUMNS]
        return Table(
            name=self.name(f"{diff.database}.{diff.table}"),
            columns=tuple(self.name(column) for column in columns),
            rows=tuple(
                (kind, tuple(self._cell(kind, before.get(column), after.get(column)) for column in columns))
                for kind, before, after in kept
            ),
            left_out=len(changes) - len(kept) + diff.dropped,
        )

    def _cell(self, kind: str, before: Any, after: Any) -> tuple[str, str]:
        shown = [self._short(value) for value in (before, after)]
        one = {"added": shown[1], "removed": shown[0]}.get(kind)
        return (shown[0], shown[1]) if one is None else (one, one)

    def _short(self, value: Any) -> str:
        if not self._room:
            return "\u2026"
        shown, is_cut = pretty(value, min(300, self._room))
        self.left -= len(shown)
        return shown + ("\u2026" if is_cut else "")

    def file(self, change: FileChange) -> File:
        text = None
        if change.text is not None:
            text = self.text(change.text)
            text = msgspec.structs.replace(text, is_cut=text.is_cut or change.truncated)
        return File(path=self.name(change.path, 500), change=change.change, size=change.size, text=text)


def _left_out(effects: Effects, spans: int) -> Iterable[str]:
    if effects.dropped_files:
        yield f"{effects.dropped_files:,} further changed files were not recorded"
    if spans:
        yield f"{spans:,} further spans were not recorded"
    yield from (line(problem, 500) for problem in effects.problems[:_NAMES])


def _facts(episode: Episode) -> Iterable[tuple[str, str]]:
    usage = episode.usage
    yield "took", f"{episode.duration_s:.2f} s"
    if usage.model_calls:
        yield "model calls", f"{usage.model_calls:,}"
        yield "tokens", f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"
    if usage.tool_calls:
        yield "tool calls", f"{usage.tool_calls:,}"
    if usage.cost_usd is not None:
        yield "cost", f"${usage.cost_usd:.4f}"
    yield "isolation", episode.isolation or "unknown"
    yield "seed", str(episode.seed)
    if episode.retry:
        yield "after retries", str(episode.retry)
    yield "trace", episode.trace.trace_id
