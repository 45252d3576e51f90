"""Datasets on disk: a folder with `cases.jsonl` and `dataset.toml`, or a bare JSON Lines file."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from assay.core.case import Case, Dataset, Tier
from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table, nearest
from assay.datasets.problems import Problems, shown_path
from assay.datasets.rows import PickedCases, id_problem, read_rows

CASES_FILE = "cases.jsonl"
HEADER_FILE = "dataset.toml"
_encode_row = msgspec.json.Encoder(order="deterministic").encode


class DatasetFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `dataset.toml` says."""

    name: str = ""
    """Short name, shown in reports; the folder's name without one."""
    tier: Tier = Tier.candidate
    """How far the dataset can be trusted."""
    purpose: str = ""
    """What it is for, in a sentence."""
    slices: dict[str, str] = {}
    """Tag -> what it covers. Where there are any, cases may have no other tags."""


def load(path: str | Path) -> Dataset:
    """Read a dataset folder or a JSON Lines file; its cases are decoded when they are looked at.

    Raises `ConfigError` with every mistake in the dataset.
    """
    path = Path(path)
    if path.is_dir():
        cases_path = path / CASES_FILE
        header = _attempt_header(path / HEADER_FILE)
        if not cases_path.is_file():
            raise ConfigError([*header[1], _missing(cases_path)])
        return _load(path, cases_path, *header)
    if not path.is_file():
        raise ConfigError([_missing(path)])
    return _load(path, path, DatasetFile(name=path.stem), ())


def with_tags(dataset: Dataset, tags: Sequence[str]) -> Dataset:
    """Return the cases that have at least one of the tags; raises `ConfigError` when no case has."""
    wanted = set(tags)
    positions = array("Q")
    seen: set[str] = set()
    for position, case in enumerate(dataset.cases):
        if wanted.intersection(case.tags):
            positions.append(position)
        seen.update(case.tags)
    if not positions:
        hints = filter(None, (nearest(tag, seen) for tag in tags))
        hint = next(hints, f"tags in use: {', '.join(sorted(seen)[:20])}" if seen else "no case has tags")
        message = f"no case is tagged {' or '.join(tags)}"
        raise ConfigError([Problem(message=message, path=dataset.path, key="tags", hint=hint)])
    return msgspec.structs.replace(
        dataset,
        cases=PickedCases(dataset.cases, positions),
        digests=[dataset.digests[position] for position in positions],
    )


def write(path: str | Path, cases: Iterable[Case]) -> int:
    """Write cases as JSON Lines and return how many; the file appears complete or not at all.

    One case a line, fields in the order of `Case`, keys of objects sorted, defaults left out: writing equal cases gives
    equal bytes, and a changed case is a changed line. Raises `ConfigError` for ids that are no ids or occur twice.
    """
    path = Path(path)
    seen: set[str] = set()
    problems = Problems(shown_path(path))

    def rows() -> Iterable[bytes]:
        for number, case in enumerate(cases, 1):
            problem = id_problem(case.id) or (f"'{case.id}' occurs twice" if case.id in seen else "")
            if problem:
                problems.add(Problem(message=problem, key="id"), line=number)
            seen.add(case.id)
            yield _encode_row(case)
        problems.check()

    return write_lines(path, rows())


def write_lines(path: Path, rows: Iterable[bytes]) -> int:
    """Write rows, a line each, to a file that appears complete or not at all; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    count = 0
    try:
        with os.fdopen(handle, "wb") as file:
            for row in rows:
                file.write(row + b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    return count


def _load(path: Path, cases_path: Path, header: DatasetFile, problems: Sequence[Problem]) -> Dataset:
    try:
        cases, digests = read_rows(cases_path, header.slices)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from error
    if problems:
        raise ConfigError(problems)
    return Dataset(
        name=header.name or path.resolve().name,
        tier=header.tier,
        cases=cases,
        digests=digests,
        purpose=header.purpose,
        path=str(path),
    )


def _attempt_header(path: Path) -> tuple[DatasetFile, Sequence[Problem]]:
    """Read `dataset.toml`; mistakes come back beside an empty header, so that those in the cases are found as well."""
    if not path.is_file():
        return DatasetFile(), ()
    shown = shown_path(path)
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return DatasetFile(), [Problem(message=f"is no TOML: {error}", path=shown)]
    try:
        return convert_table(table, DatasetFile), ()
    except ConfigError as error:
        return DatasetFile(), [_placed(problem, text, shown) for problem in error.problems]


def _placed(problem: Problem, text: str, path: str) -> Problem:
    key = re.escape(problem.key.partition(".")[0])
    match = re.search(rf"^[ \t]*\[?[ \t]*{key}[ \t]*[\]=.]", text, re.MULTILINE)
    line = text.count("\n", 0, match.start()) + 1 if match else None
    hint = f"one of {', '.join(Tier)}" if problem.key == "tier" else problem.hint
    return msgspec.structs.replace(problem, path=path, line=line, hint=hint)


def _missing(path: Path) -> Problem:
    """Say that a path does not exist, and what there is nearby."""
    folder = next((parent for parent in path.parents if parent.is_dir()), Path())
    wanted = path.relative_to(folder).parts[0]
    there = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if f"{path.name}.jsonl" in there:
        hint = f"did you mean '{shown_path(path)}.jsonl'?"
    else:
        found = nearest(wanted, there)
        hint = found or f"{shown_path(folder)} holds: {', '.join(there[:10]) or 'nothing'}"
    return Problem(message="there is no such dataset", path=shown_path(path), hint=hint)
