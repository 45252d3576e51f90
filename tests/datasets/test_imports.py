from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.core.errors import ConfigError
from assay.datasets.files import load
from assay.datasets.imported import Imported, write_import
from assay.datasets.imports import KINDS, import_cases

CSV = 'qid,question,answer,level,notes\n1,"What, now?",42,"easy, math",x\n2,"Two\nlines",,hard,\n'


def table(folder: Path, text: str, name: str = "quiz.csv") -> Path:
    path = folder / name
    path.write_text(text, newline="")
    return path


def problems_in(kind: str, path: Path, **columns: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        import_cases(kind, path, columns=columns)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


def test_columns_go_where_they_are_sent(tmp_path: Path):
    path = table(tmp_path, CSV)
    columns = {"id": "qid", "input": "question", "expected.answer": "answer", "tags": "level"}
    imported = import_cases("csv", path, columns=columns)
    one, two = imported.cases
    assert (one.id, one.input, one.expected, one.tags) == ("1", "What, now?", {"answer": "42"}, ("easy", "math"))
    assert (two.id, two.input, two.expected, two.tags) == ("2", "Two\nlines", None, ("hard",))
    assert one.source == {"kind": "csv", "file": "quiz.csv"}
    assert imported.name == "quiz"
    assert imported.notes == ("columns that no field takes: notes",)


def test_columns_named_like_fields_need_no_mapping_and_rows_without_ids_are_named_by_content(tmp_path: Path):
    text = 'input,expected,tags\nhello,"{""total"": 3}",a|b\nhello,"{""total"": 3}",a|b\n[1],x,\n'
    imported = import_cases("csv", table(tmp_path, "\ufeff" + text))
    one, two = imported.cases
    assert (one.input, one.expected, one.tags) == ("hello", {"total": 3}, ("a", "b"))
    assert (two.input, two.expected) == ([1], "x")
    assert imported.notes == (
        "no column holds ids: they are made from the content of the rows",
        "1 rows were left out because they equal another row",
    )
    again = import_cases("csv", table(tmp_path, "input,expected,tags\n[1],x,\n"))
    assert again.cases[0].id == two.id


def test_json_lines_with_any_fields(tmp_path: Path):
    text = '{"prompt": ["a", "b"], "gold": {"x": 1}, "cat": ["t"], "n": 7}\n\n{"prompt": "c", "n": 8}\n'
    columns = {"input": "prompt", "expected": "gold", "tags": "cat", "id": "n"}
    imported = import_cases("jsonl", table(tmp_path, text, "any.jsonl"), columns=columns)
    assert [case.id for case in imported.cases] == ["7", "8"]
    assert imported.cases[0].turns == ("a", "b")
    assert imported.cases[0].expected == {"x": 1}
    assert imported.cases[0].tags == ("t",)


@pytest.mark.parametrize(
    ("text", "columns", "problems"),
    [
        (CSV, {}, [": input: no column is named 'input' (say which column is the input; columns: qid, question,"]),
        (CSV, {"input": "qestion"}, [": input: there is no column 'qestion' (did you mean 'question'?)"]),
        (
            CSV,
            {"inptu": "question", "expected.a": "answr"},
            [
                ": inptu: cases have no field 'inptu' (did you mean 'input'?)",
                ": expected.a: there is no column 'answr' (did you mean 'answer'?)",
                ": input: no column is named 'input'",
            ],
        ),
        (CSV, {"input": "question", "tags.x": "level"}, [": tags.x: cases have no field 'tags.x'"]),
        (
            CSV,
            {"input": "question", "expected": "answer", "expected.level": "level"},
            [": expected.level: 'expected' is given as a whole too"],
        ),
        ("id,input\n1,a\n1,b\n2,\n", {}, [":3: id: '1' is the id of line 2 too", ":4: input: has no input"]),
        ("input,input\n1,2\n", {}, [":1: two columns are named 'input'"]),
        ("input,x\n1\n1,2,3\n", {}, [":2: has 1 cells, the first row names 2", ":3: has 3 cells"]),
        ("input\n", {}, [": holds no row"]),
        ('input\n"open', {}, [": is no CSV file: "]),
        ("id,input,world\n1,a,text\n", {}, [":2: world: expected `object`, got `str`"]),
    ],
)
def test_mistakes_in_tables(tmp_path: Path, text: str, columns: dict[str, str], problems: list[str]):
    found = problems_in("csv", table(tmp_path, text), **columns)
    assert len(found) == len(problems)
    for said, start in zip(found, problems, strict=True):
        assert said.startswith(start)


def test_mistakes_in_json_lines(tmp_path: Path):
    text = '{"input": 1}\n[1]\noops\n{"input": 1, "id": {"a": 1}}\n'
    found = problems_in("jsonl", table(tmp_path, text, "x.jsonl"))
    assert [said.partition(": ")[0] for said in found] == [":2", ":3"]


def test_mistakes_in_the_call(tmp_path: Path):
    path = table(tmp_path, CSV)
    assert KINDS == ("csv", "jsonl", "tau-bench")
    assert problems_in("cvs", path) == ["there is no import named 'cvs' (did you mean 'csv'?)"]
    assert problems_in("csv", tmp_path / "none.csv") == [": there is no such file"]
    assert problems_in("tau-bench", path, input="question") == ["tau-bench has no columns to choose"]


def test_an_import_becomes_a_dataset_folder(tmp_path: Path):
    imported = import_cases("csv", table(tmp_path, CSV), columns={"input": "question"})
    named = {"name": 'quiz "one" \\ é', "purpose": "Line\nand\ttab \x7f\x01 😀"}
    odd = Imported(**named, cases=imported.cases)
    files = write_import(tmp_path / "sets" / "quiz", odd)
    assert [file.name for file in files] == ["cases.jsonl", "dataset.toml"]
    dataset = load(tmp_path / "sets" / "quiz")
    assert {"name": dataset.name, "purpose": dataset.purpose} == named
    assert list(dataset.cases) == imported.cases
    with pytest.raises(ConfigError, match="holds a dataset already"):
        write_import(tmp_path / "sets" / "quiz", imported)
    write_import(tmp_path / "sets" / "quiz", imported, name="other", replace=True)
    assert load(tmp_path / "sets" / "quiz").name == "other"


def test_a_cell_may_be_large(tmp_path: Path):
    long: Any = "x" * 1_000_000
    imported = import_cases("csv", table(tmp_path, f"input\n{long}\n"))
    assert imported.cases[0].input == long
