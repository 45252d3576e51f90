from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.case import Case
from assay.core.errors import ConfigError
from assay.datasets.rows import id_problem, read_rows

GOOD = b'{"id": "a", "input": "x"}\n'


def rows_file(folder: Path, *lines: bytes) -> Path:
    path = folder / "cases.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def problems_in(path: Path, slices: dict[str, str] | None = None) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_rows(path, slices)
    assert {problem.path for problem in caught.value.problems} == {str(path)}
    return [
        (problem.line, problem.key, f"{problem.message} {problem.hint}".strip()) for problem in caught.value.problems
    ]


def test_cases_are_decoded_when_they_are_looked_at(tmp_path: Path):
    path = rows_file(
        tmp_path, GOOD, '{"id": "b", "input": ["é", 1], "tags": ["t"]}\n'.encode(), b'{"id":"c","input":3}'
    )
    cases, digests = read_rows(path)
    assert len(cases) == 3
    assert cases[1] == Case(id="b", input=["é", 1], tags=("t",))
    assert cases[-1].id == "c"
    assert [case.id for case in cases] == ["a", "b", "c"]
    assert [case.id for case in cases[1:]] == ["b", "c"]
    assert digests == [case.digest for case in cases]
    with pytest.raises(IndexError):
        _ = cases[3]


@pytest.mark.parametrize(
    "content",
    [
        GOOD + b"\n \t\n" + b'{"id": "b", "input": 1}\n\n',
        b"\xef\xbb\xbf" + GOOD + b'{"id": "b", "input": 1}',
        GOOD.replace(b"\n", b"\r\n") + b'{"id": "b", "input": 1}\r\n\r\n',
        b"\n" + GOOD + b'   {"id": "b", "input": 1}  \n',
        b"\xef\xbb\xbf\n" + GOOD + b'{"id": "b", "input": 1}',
    ],
)
def test_blank_lines_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, content: bytes):
    cases, _ = read_rows(rows_file(tmp_path, content))
    assert [case.id for case in cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        (b"{broken", [(2, "", "is no JSON: ")]),
        (b'{"id": "b", "input": 1} trailing', [(2, "", "is no JSON: ")]),
        (b'{"id": "b", "input": "\xff"}', [(2, "", "is not UTF-8: byte 0xff at column 23")]),
        (b'{"id": "b", "input": NaN}', [(2, "", "is no JSON: ")]),
        (b"[1]", [(2, "", "must be a JSON object, not list")]),
        (b"3", [(2, "", "must be a JSON object, not int")]),
        (b'{"id": "b"}', [(2, "input", "missing")]),
        (b"{}", [(2, "id", "missing"), (2, "input", "missing")]),
        (b'{"id": "b", "inptu": 1}', [
            (2, "inptu", "unknown key did you mean 'input'?"), (2, "input", "missing"),
        ]),
        (b'{"id": 5, "input": 1, "tags": ["x", 3], "world": []}', [
            (2, "id", "expected `str`, got `int`"),
            (2, "tags[1]", "expected `str`, got `int`"),
            (2, "world", "expected `object`, got `array`"),
        ]),
        (b'{"id": "", "input": 1}', [(2, "id", "must not be empty")]),
        (b'{"id": "a\\nb", "input": 1}', [(2, "id", "holds characters that cannot be printed")]),
        (b'{"id": "' + b"x" * 201 + b'", "input": 1}', [(2, "id", "has 201 characters, at most 200 are allowed")]),
        (b'{"id": "a", "input": 1}', [(2, "id", "'a' is the id of line 1 too")]),
        (b'{"id": "b", "input": ' + b"[" * 5000 + b"]" * 5000 + b"}", [(2, "", "nests too deeply")]),
        (b'{"id": "b", "input": ' + b"9" * 5000 + b"}", [(2, "", "is no JSON: Integer value out of range")]),
    ],
    ids=range(16),
)  # fmt: skip
def test_every_mistake_is_placed(tmp_path: Path, line: bytes, problems: list[tuple[int, str, str]]):
    found = problems_in(rows_file(tmp_path, GOOD, line + b"\n"))
    assert [(number, key) for number, key, _ in found] == [(number, key) for number, key, _ in problems]
    for (_, _, said), (_, _, words) in zip(found, problems, strict=True):
        assert said.startswith(words)


def test_all_mistakes_are_reported_at_once_up_to_a_bound(tmp_path: Path):
    found = problems_in(rows_file(tmp_path, GOOD, *[b'{"id": "b"}\n'] * 3, GOOD, b"oops\n"))
    assert [number for number, _, _ in found] == [2, 3, 4, 5, 6]
    many = problems_in(rows_file(tmp_path, *[b"oops\n"] * 1234))
    assert len(many) == 51
    assert many[-1] == (None, "", "and 1,184 more problems")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no case"),
        (b"\n \n", "holds no case"),
        (b"\xef\xbb\xbf", "holds no case"),
        (b'[{"id": "a", "input": 1}]', "is JSON but not JSON Lines"),
        (b'{\n  "id": "a",\n  "input": 1\n}', "is JSON but not JSON Lines"),
        (GOOD.decode().encode("utf-16"), "is UTF-16"),
    ],
)
def test_files_in_another_shape_are_one_mistake(tmp_path: Path, content: bytes, words: str):
    ((_, _, said),) = problems_in(rows_file(tmp_path, content))
    assert said.startswith(words)


def test_slices_name_the_tags_that_cases_may_have(tmp_path: Path):
    path = rows_file(tmp_path, b'{"id": "a", "input": 1, "tags": ["dates", "datse"]}\n')
    assert problems_in(path, {"dates": ""}) == [(1, "tags", "no slice is named 'datse' did you mean 'dates'?")]
    assert len(read_rows(path, {})[0]) == 1


def test_a_file_that_is_replaced_stays_readable_and_one_that_is_edited_does_not(tmp_path: Path):
    path = rows_file(tmp_path, GOOD)
    cases, _ = read_rows(path)
    other = tmp_path / "other"
    other.write_bytes(b'{"id": "new", "input": 1}\n')
    other.replace(path)
    assert cases[0].id == "a"
    cases, _ = read_rows(path)
    with path.open("ab") as file:
        file.write(GOOD)
    with pytest.raises(ConfigError, match="changed after it was read"):
        _ = cases[0]


def test_cases_travel_to_other_processes(tmp_path: Path):
    cases, _ = read_rows(rows_file(tmp_path, GOOD))
    assert pickle.loads(pickle.dumps(cases))[0] == cases[0]


def test_the_file_is_closed_with_the_cases(tmp_path: Path):
    path = rows_file(tmp_path, GOOD)

    def open_files() -> int:
        return sum(os.path.realpath(name) == str(path.resolve()) for name in Path("/proc/self/fd").iterdir())

    cases, _ = read_rows(path)
    assert open_files() == 1
    del cases
    assert open_files() == 0


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=8, unique=True))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, ids: list[str]):
    written = [Case(id=one, input={"text": one}, expected=[one]) for one in ids if not id_problem(one)]
    path = tmp_path_factory.mktemp("rows") / "cases.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(case) for case in written))
    if written:
        assert list(read_rows(path)[0]) == written


@given(st.binary(max_size=60))
def test_no_bytes_are_a_surprise(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.mktemp("bytes") / "cases.jsonl"
    path.write_bytes(content)
    with suppress(ConfigError):
        assert len(read_rows(path)[0]) > 0
