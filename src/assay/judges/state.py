"""The judge `effects`: rows and files changed as expected, and nothing else did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import msgspec

from assay.core.effects import NO_EFFECTS, Effects, FileChange, RowChange, TableDiff
from assay.core.episode import Episode
from assay.core.errors import ConfigError, Problem
from assay.core.verdict import Verdict
from assay.judges.builtin import BuiltIn, unjudged
from assay.judges.expectations import Expectations, ExpectedFile, ExpectedTable, read_expectations
from assay.judges.patterns import assign, nearest_value
from assay.judges.subject import MISSING, shown, value_at

_MOST_DIFFERENCES = 20


class EffectsMatch(BuiltIn, frozen=True, kw_only=True):
    """Compare the effects with `Expectations`: tables, rows and files as expected, everything else as it was.

    `{"tables": {"bookings": {"added": [{"guest": "Nora", "id": {"$any": true}}]}}, "files": []}` wants one new booking
    and nothing else. The reason lists every difference.
    """

    kind: ClassVar[str] = "effects"
    shorthand: ClassVar[str] = "expected"

    expected: str = "effects"
    """Where the expectations stand in `case.expected` (JSON Pointer or dotted path)."""
    value: dict[str, Any] | None = None
    """The expectations themselves, for all cases alike."""
    ignore: tuple[str, ...] = ()
    """Tables, and files by pattern, that never count."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        if self.value is not None:
            try:
                read_expectations(self.value, key="value")
            except ConfigError as error:
                yield from error.problems

    def judge(self, episode: Episode) -> Verdict:
        """Compare; unjudged when the case has no expectations, or none that can be read."""
        value: Any = self.value if self.value is not None else value_at(episode.case.expected, self.expected)
        if value is MISSING or not isinstance(value, Mapping):
            return unjudged(f"case.expected has no expectations at '{self.expected}': {shown(value)}")
        try:
            expected = read_expectations(value, key=self.expected)
        except ConfigError as error:
            return unjudged(f"the expectations cannot be read: {error}")
        if episode.effects == NO_EFFECTS and not episode.world_digest:
            return unjudged("the episode had no world, so nothing is known about its effects")
        effects = _without(episode.effects, (*self.ignore, *expected.ignore))
        found = list(_differences(expected, effects))
        if not found:
            return Verdict(passed=True)
        said = found[:_MOST_DIFFERENCES]
        if len(found) > _MOST_DIFFERENCES:
            said.append(f"and {len(found) - _MOST_DIFFERENCES} more")
        if _may_be_dropped(expected, effects):
            return unjudged(f"rows beyond the bound were not kept, so it cannot be told whether {'; '.join(said)}")
        return Verdict(passed=False, reason="; ".join(said))


def _differences(expected: Expectations, effects: Effects) -> Iterator[str]:
    yield from effects.problems
    for name, table in expected.tables.items():
        yield from _table_differences(name, table, effects.table(name))
    if expected.strict:
        for diff in effects.tables:
            if not {diff.table, f"{diff.database}.{diff.table}"} & expected.tables.keys():
                yield f"{_named(diff)}: {_summary(diff)}, expected no change"
    if expected.files is not None:
        yield from _file_differences(expected.files, effects, strict=expected.strict)


def _table_differences(name: str, expected: ExpectedTable, diff: TableDiff) -> Iterator[str]:
    changed = [msgspec.to_builtins(change) for change in diff.changed]
    patterns = expected.changed
    if not isinstance(patterns, int):
        patterns = [msgspec.to_builtins(change) for change in patterns]
    for kind, wanted, rows in (
        ("added", expected.added, list(diff.added)),
        ("removed", expected.removed, list(diff.removed)),
        ("changed", patterns, changed),
    ):
        if isinstance(wanted, int):
            if len(rows) < wanted or (expected.strict and len(rows) > wanted):
                yield f"{name}: expected {wanted} {kind}, got {_listed(kind, rows)}"
            continue
        missing, extra = assign(wanted, rows)
        spare = [rows[index] for index in extra]
        for index in missing:
            nearest = nearest_value(wanted[index], spare)
            yield f"{name}: no {kind} row like {shown(wanted[index])}" + (f" (nearest: {nearest})" if nearest else "")
        if expected.strict:
            yield from (f"{name}: unexpected {kind} row {_row(kind, row)}" for row in spare)
    if diff.dropped and expected.strict:
        yield f"{name}: {diff.dropped} further differing rows"


def _file_differences(wanted: Sequence[ExpectedFile], effects: Effects, *, strict: bool) -> Iterator[str]:
    spare = list(effects.files)
    for file in sorted(wanted, key=lambda file: any(character in file.path for character in "*?[")):
        candidates = [change for change in spare if fnmatchcase(change.path, file.path)]
        problems = {change.path: list(_content_problems(file, change)) for change in candidates}
        fitting = next((change for change in candidates if not problems[change.path]), None)
        if fitting is not None:
            spare.remove(fitting)
        elif candidates:
            spare.remove(candidates[0])
            yield f"{candidates[0].path}: {', '.join(problems[candidates[0].path])}"
        else:
            yield f"{file.path}: expected to be {'touched' if file.change == 'any' else file.change}, nothing was done to it"
    if strict:
        yield from (f"{change.path}: unexpectedly {change.change}" for change in spare)
        if effects.dropped_files:
            yield f"{effects.dropped_files} further files differ"


def _content_problems(expected: ExpectedFile, change: FileChange) -> Iterator[str]:
    if expected.change not in {"any", change.change}:
        yield f"was {change.change}, expected to be {expected.change}"
    parts = [expected.contains] if isinstance(expected.contains, str) else expected.contains
    text = change.text or ""
    cut = " (of which only the beginning was kept)" if change.truncated else ""
    for part in filter(None, parts):
        if part not in text:
            yield f"does not contain {shown(part)}{cut}: {shown(change.text)}"
    if expected.regex and not re.search(expected.regex, text):
        yield f"does not match {shown(expected.regex)}{cut}: {shown(change.text)}"


def _without(effects: Effects, ignored: Sequence[str]) -> Effects:
    if not ignored:
        return effects
    tables = [diff for diff in effects.tables if not {diff.table, _named(diff)} & set(ignored)]
    files = [file for file in effects.files if not any(fnmatchcase(file.path, pattern) for pattern in ignored)]
    return msgspec.structs.replace(effects, tables=tuple(tables), files=tuple(files))


def _may_be_dropped(expected: Expectations, effects: Effects) -> bool:
    """Whether rows that are only counted could be the ones that are missed. Strict tables fail for their number."""
    return any(not table.strict and effects.table(name).dropped for name, table in expected.tables.items())


def _named(diff: TableDiff) -> str:
    return f"{diff.database}.{diff.table}"


def _summary(diff: TableDiff) -> str:
    counts = {"added": len(diff.added), "removed": len(diff.removed), "changed": len(diff.changed)}
    counts["more"] = diff.dropped
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _listed(kind: str, rows: Sequence[dict[str, Any]]) -> str:
    return f"{len(rows)}: {', '.join(_row(kind, row) for row in rows[:5])}" if rows else "none"


def _row(kind: str, row: dict[str, Any]) -> str:
    if kind != "changed":
        return shown(row)
    change = msgspec.convert(row, RowChange)
    columns = sorted(change.before.keys() | change.after.keys())
    parts = [
        f"{column} {shown(change.before.get(column, MISSING))} → {shown(change.after.get(column, MISSING))}"
        for column in columns
        if change.before.get(column, MISSING) != change.after.get(column, MISSING)
    ]
    return f"{shown(change.key)} ({', '.join(parts)})"
