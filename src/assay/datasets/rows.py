"""Rows of a JSON Lines file of cases: checked once, then decoded only when they are looked at."""

from __future__ import annotations

import os
import weakref
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec

from assay.core.case import Case
from assay.core.codec import canonical_json, digest_bytes
from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table, nearest
from assay.datasets.problems import Problems, shown_path

_ID_CHARS = 200
_decode_case = msgspec.json.Decoder(Case).decode
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_NOT_A_CASE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FileCases(Sequence[Case]):
    """The cases of a JSON Lines file, in file order: a list of byte ranges, decoded when indexed.

    The file stays open, so one that is replaced later does not matter; one that is edited in place raises `ConfigError`.
    """

    def __init__(self, path: Path, starts: array[int], lengths: array[int], stamp: tuple[int, int]) -> None:
        self._path = path
        self._starts = starts
        self._lengths = lengths
        self._stamp = stamp
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file).atexit = False

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        start, length = self._starts[index], self._lengths[index]
        if _stamp(self._file) != self._stamp:
            raise ConfigError([Problem(message="changed after it was read", path=shown_path(self._path))])
        return _decode_case(os.pread(self._file, length, start))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self._starts, self._lengths, self._stamp)


class PickedCases(Sequence[Case]):
    """Some of the cases of another sequence, in the same order."""

    def __init__(self, cases: Sequence[Case], positions: array[int]) -> None:
        self._cases = cases
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        if isinstance(index, slice):
            return [self._cases[position] for position in self._positions[index]]
        return self._cases[self._positions[index]]


def read_rows(path: Path, slices: Mapping[str, str] | None = None) -> tuple[FileCases, list[str]]:
    """Check every row of a file; returns the cases and the digest of each.

    Blank lines and a UTF-8 byte order mark are allowed. `slices`, where given, are the tags that cases may have. Raises
    `ConfigError` with every mistake, placed by line: what is no JSON, no UTF-8 or no case, ids given twice, no case at
    all.
    """
    problems = Problems(shown_path(path))
    starts, lengths, digests = array("Q"), array("Q"), list[str]()
    lines_of_ids: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            stamp = _stamp(file.fileno())
            for number, start, line in _lines(file):
                if number == 1 and (problem := _foreign_format(line)):
                    problems.add(problem, line=1)
                    break
                try:
                    case = _decode_case(line)
                    digests.append(digest_bytes(canonical_json(case)))
                except _NOT_A_CASE:
                    problems.extend(explain_row(line), line=number)
                    continue
                problems.extend(_case_problems(case, lines_of_ids, slices), line=number)
                lines_of_ids.setdefault(case.id, number)
                starts.append(start)
                lengths.append(len(line))
    except OSError as error:
        raise ConfigError([Problem(message=f"cannot be read: {error.strerror}", path=shown_path(path))]) from error
    if not starts and not problems:
        problems.add(Problem(message="holds no case", hint='write one JSON object a line: {"id": ..., "input": ...}'))
    problems.check()
    return FileCases(path, starts, lengths, stamp), digests


def explain_row(line: bytes) -> list[Problem]:
    """Say everything that is wrong with a row that could not be decoded."""
    try:
        line.decode()
        row = msgspec.json.decode(line)
        if not isinstance(row, dict):
            return [Problem(message=f"must be a JSON object, not {type(row).__name__}")]
        convert_table(row, Case)
    except UnicodeDecodeError as error:
        problem = Problem(message=f"is not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}")
    except msgspec.DecodeError as error:
        problem = Problem(message=f"is no JSON: {error}", hint="a row is one JSON object on one line")
    except ConfigError as error:
        return list(error.problems)
    except RecursionError:
        problem = Problem(message="nests too deeply")
    else:
        problem = Problem(message="is no case")
    return [problem]


def id_problem(case_id: str) -> str:
    """Say what is wrong with the id of a case; empty if nothing is."""
    if not case_id.strip():
        return "must not be empty"
    if len(case_id) > _ID_CHARS:
        return f"has {len(case_id):,} characters, at most {_ID_CHARS} are allowed"
    if not case_id.isprintable():
        return "holds characters that cannot be printed"
    return ""


def _case_problems(case: Case, lines_of_ids: Mapping[str, int], slices: Mapping[str, str] | None) -> Iterator[Problem]:
    if problem := id_problem(case.id):
        yield Problem(message=problem, key="id")
    elif case.id in lines_of_ids:
        yield Problem(message=f"'{case.id}' is the id of line {lines_of_ids[case.id]} too", key="id")
    if slices:
        for tag in case.tags:
            if tag not in slices:
                hint = nearest(tag, slices) or "add it to [slices] in dataset.toml"
                yield Problem(message=f"no slice is named '{tag}'", key="tags", hint=hint)


def _lines(file: Iterator[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes of every line that is not blank."""
    offset = 0
    for number, line in enumerate(file, 1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        if line[skipped:].strip():
            yield number, offset + skipped, line[skipped:]
        offset += len(line)


def _foreign_format(line: bytes) -> Problem | None:
    if line.startswith(_WIDE_BOMS):
        return Problem(message="is UTF-16", hint="save it as UTF-8")
    if line.lstrip().startswith(b"[") or line.strip() == b"{":
        return Problem(
            message="is JSON but not JSON Lines", hint="a dataset has one object a line, and no list around them"
        )
    return None


def _stamp(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_mtime_ns, status.st_size
