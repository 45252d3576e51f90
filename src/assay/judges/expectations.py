"""What a case may say about effects: the tables and files that must change, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table, join_key
from assay.judges.patterns import pattern_problems


class ExpectedChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A changed row; each part is a pattern, and what is not given may be anything."""

    key: dict[str, Any] = {}
    """Primary key columns."""
    before: dict[str, Any] = {}
    """Columns at open."""
    after: dict[str, Any] = {}
    """Columns at close."""


class ExpectedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows of one table that must differ: patterns, one per row, or only how many."""

    added: list[dict[str, Any]] | int = 0
    """Rows that must be new."""
    removed: list[dict[str, Any]] | int = 0
    """Rows that must be gone."""
    changed: list[ExpectedChange] | int = 0
    """Rows that must have other values."""
    strict: bool = True
    """Whether further differing rows fail."""


class ExpectedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that must differ."""

    path: str
    """Relative to the workspace; `*`, `?` and `[...]` match, also across folders."""
    change: Literal["added", "changed", "removed", "any"] = "any"
    """How it must differ."""
    contains: str | list[str] = ""
    """Texts that its content must contain."""
    regex: str = ""
    """An expression that must be found in its content."""


class Expectations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The effects that a case expects."""

    tables: dict[str, ExpectedTable] = {}
    """Per table: `name` or `database.name`. Tables that are not named must not change."""
    files: list[ExpectedFile] | None = None
    """Files, each matched by a file of its own. Other files must then not change; without the key any file may."""
    ignore: list[str] = []
    """Tables, and files by pattern, that do not count."""
    strict: bool = True
    """Whether tables and files that are not named must not change."""


def read_expectations(value: Mapping[str, Any], *, key: str = "") -> Expectations:
    """Turn a JSON value into expectations; raises `ConfigError` with every mistake."""
    expected = convert_table(value, Expectations, key=key)
    problems = list(_problems(expected, key))
    if problems:
        raise ConfigError(problems)
    return expected


def _problems(expected: Expectations, key: str) -> Iterator[Problem]:
    for name, table in expected.tables.items():
        for kind, rows in (("added", table.added), ("removed", table.removed), ("changed", table.changed)):
            place = join_key(key, "tables", name, kind)
            if isinstance(rows, int):
                if rows < 0:
                    yield Problem(message="must be 0 or more", key=place)
                continue
            for index, row in enumerate(rows):
                found = pattern_problems(msgspec.to_builtins(row))
                yield from (Problem(message=problem, key=f"{place}[{index}]") for problem in found)
    for index, file in enumerate(expected.files or ()):
        try:
            re.compile(file.regex)
        except (re.error, RecursionError, OverflowError) as error:
            yield Problem(message=f"is no regular expression: {error}", key=join_key(key, f"files[{index}].regex"))
