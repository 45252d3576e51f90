"""Cases from tables of other tools: CSV, and JSON Lines with any fields."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.core.case import Case
from assay.core.codec import digest
from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table, nearest
from assay.datasets.imported import Imported
from assay.datasets.problems import Problems, shown_path
from assay.datasets.rows import id_problem

_FIELDS = tuple(field.name for field in msgspec.structs.fields(Case))
_OBJECTS = ("expected", "world", "source")
_TAG_SEPARATOR = re.compile(r"[,;|]")
Row = tuple[int, dict[str, Any]]


def import_csv(path: Path, columns: Mapping[str, str]) -> Imported:
    """Read a CSV file whose first row names the columns; see `assay.datasets.imports.import_cases`."""
    try:
        text = path.read_text("utf-8-sig")
        # One cell may be as long as the file: a limit of its own would only refuse what was already read.
        csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        rows = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([Problem(message=f"is no CSV file: {error}", path=shown_path(path))]) from error
    problems = Problems(shown_path(path))
    for name in {name for name in header if header.count(name) > 1}:
        problems.add(Problem(message=f"two columns are named '{name}'"), line=1)
    for line, cells in rows:
        if len(cells) != len(header):
            problems.add(Problem(message=f"has {len(cells)} cells, the first row names {len(header)}"), line=line)
    problems.check()
    table = [(line, {name: _cell(cell) for name, cell in zip(header, cells, strict=True)}) for line, cells in rows]
    return _import("csv", path, table, dict.fromkeys(header), columns)


def import_jsonl(path: Path, columns: Mapping[str, str]) -> Imported:
    """Read JSON Lines with any fields; see `assay.datasets.imports.import_cases`."""
    problems = Problems(shown_path(path))
    rows: list[Row] = []
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise ConfigError([Problem(message=f"cannot be read: {error.strerror}", path=shown_path(path))]) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append((number, msgspec.json.decode(line, type=dict[str, Any])))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                problems.add(Problem(message=f"is no JSON object: {error}"), line=number)
    problems.check()
    return _import("jsonl", path, rows, {name: None for _, row in rows for name in row}, columns)


def _import(kind: str, path: Path, rows: list[Row], names: Mapping[str, None], columns: Mapping[str, str]) -> Imported:
    problems = Problems(shown_path(path))
    mapping = _mapping(names, columns, problems)
    problems.check()
    cases: dict[str, Case] = {}
    lines: dict[str, int] = {}
    same = 0
    for line, row in rows:
        try:
            case = _case(path, row, mapping, kind)
        except ConfigError as error:
            problems.extend(error.problems, line=line)
            continue
        if "id" not in mapping and case.id in cases:
            same += 1
        elif case.id in cases:
            problems.add(Problem(message=f"'{case.id}' is the id of line {lines[case.id]} too", key="id"), line=line)
        else:
            cases[case.id], lines[case.id] = case, line
    if not rows:
        problems.add(Problem(message="holds no row"))
    problems.check()
    notes = list(_notes(names, mapping, same))
    return Imported(
        name=path.stem, cases=list(cases.values()), notes=tuple(notes), purpose=f"Imported from {path.name}."
    )


def _notes(names: Mapping[str, None], mapping: Mapping[str, str], same: int) -> Iterator[str]:
    unused = [name for name in names if name not in mapping.values()]
    if unused:
        yield f"columns that no field takes: {', '.join(unused)}"
    if "id" not in mapping:
        yield "no column holds ids: they are made from the content of the rows"
    if same:
        yield f"{same:,} rows were left out because they equal another row"


def _mapping(names: Mapping[str, None], columns: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """Say which column goes where: as asked for, and columns that are named like a field to that field."""
    mapping = dict(columns)
    taken = {field.partition(".")[0] for field in columns}
    mapping |= {field: field for field in _FIELDS if field not in taken and field in names}
    for field, column in columns.items():
        head, _, inner = field.partition(".")
        if head not in _FIELDS or (inner and head not in (*_OBJECTS, "input")):
            hint = nearest(head, _FIELDS) or f"fields: {', '.join(_FIELDS)}"
            problems.add(Problem(message=f"cases have no field '{field}'", key=field, hint=hint))
        if inner and head in mapping:
            problems.add(Problem(message=f"'{head}' is given as a whole too", key=field))
        if column not in names:
            hint = nearest(column, names) or f"columns: {', '.join(names)}"
            problems.add(Problem(message=f"there is no column '{column}'", key=field, hint=hint))
    if not any(field.partition(".")[0] == "input" for field in mapping):
        hint = f"say which column is the input; columns: {', '.join(names)}"
        problems.add(Problem(message="no column is named 'input'", key="input", hint=hint))
    return mapping


def _case(path: Path, row: Mapping[str, Any], mapping: Mapping[str, str], kind: str) -> Case:
    fields: dict[str, Any] = {}
    for field, column in mapping.items():
        value = row.get(column)
        if value is not None:
            _put(fields, field.split("."), _tags(value) if field == "tags" else value)
    if "input" not in fields:
        raise ConfigError([Problem(message="has no input", key=mapping.get("input", "input"))])
    fields["id"] = str(fields["id"]) if "id" in fields else f"{path.stem}-{digest(fields)[:12]}"
    if problem := id_problem(fields["id"]):
        raise ConfigError([Problem(message=problem, key=mapping.get("id", "id"))])
    fields.setdefault("source", {"kind": kind, "file": path.name})
    return convert_table(fields, Case)


def _put(fields: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        fields = fields.setdefault(part, {})
    fields[path[-1]] = value


def _tags(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [tag.strip() for tag in _TAG_SEPARATOR.split(value) if tag.strip()]


def _cell(text: str) -> Any:
    """Read a cell: empty is nothing, a JSON object or list is one, everything else stays text."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
    return text or None
