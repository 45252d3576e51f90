from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.case import Case, Dataset, Tier
from assay.core.errors import ConfigError
from assay.datasets.files import load, with_tags, write

ROWS = '{"id": "one", "input": "x", "tags": ["a"]}\n{"id": "two", "input": "y", "tags": ["a", "b"]}\n'


def folder(base: Path, header: str | None = None, rows: str | None = ROWS) -> Path:
    path = base / "booking"
    path.mkdir()
    if header is not None:
        (path / "dataset.toml").write_text(header)
    if rows is not None:
        (path / "cases.jsonl").write_text(rows)
    return path


def test_a_folder_is_a_dataset(tmp_path: Path):
    header = 'name = "rooms"\ntier = "golden"\npurpose = "Bookings."\n[slices]\na = "first"\nb = "second"\n'
    path = folder(tmp_path, header)
    dataset = load(path)
    assert (dataset.name, dataset.tier, dataset.purpose, dataset.path) == ("rooms", Tier.golden, "Bookings.", str(path))
    assert [case.id for case in dataset.cases] == ["one", "two"]
    assert dataset.digest == Dataset.of(list(dataset.cases)).digest


def test_a_folder_without_header_and_a_bare_file_are_candidates(tmp_path: Path):
    path = folder(tmp_path)
    bare = load(str(path / "cases.jsonl"))
    assert (bare.name, bare.tier) == ("cases", Tier.candidate)
    assert (load(path).name, load(path).tier) == ("booking", Tier.candidate)
    assert bare.digest == load(path).digest


def test_the_digest_changes_with_a_case_and_not_with_the_order(tmp_path: Path):
    path = folder(tmp_path)
    before = load(path).digest
    (path / "cases.jsonl").write_text("".join(reversed(ROWS.splitlines(keepends=True))))
    assert load(path).digest == before
    (path / "cases.jsonl").write_text(ROWS.replace('"y"', '"z"'))
    assert load(path).digest != before


def test_mistakes_in_header_and_cases_are_reported_together(tmp_path: Path):
    header = 'nam = "x"\n\n  tier = "gold"\nslices = 3\n'
    path = folder(tmp_path, header, '{"id": "one"}\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert list(map(str, caught.value.problems)) == [
        f"{path}/dataset.toml:1: nam: unknown key (did you mean 'name'?)",
        f"{path}/dataset.toml:3: tier: invalid enum value 'gold' (one of golden, synthetic, candidate, traffic)",
        f"{path}/dataset.toml:4: slices: expected `object`, got `int`",
        f"{path}/cases.jsonl:1: input: missing",
    ]


def test_a_header_that_is_no_toml(tmp_path: Path):
    path = folder(tmp_path, "name = \n")
    with pytest.raises(ConfigError, match=r"dataset\.toml: is no TOML: .*line 1"):
        load(path)


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("datasets/bookng", "did you mean 'booking'?"),
        ("datasts/booking", "did you mean 'datasets'?"),
        ("datasets/other", "did you mean '{root}/datasets/other.jsonl'?"),
        ("datasets/zzz", "{root}/datasets holds: booking, other.jsonl"),
        ("datasets/booking/cases.json", "did you mean 'cases.jsonl'?"),
    ],
)
def test_a_missing_path_names_what_is_near(tmp_path: Path, wanted: str, hint: str):
    (tmp_path / "datasets").mkdir()
    folder(tmp_path / "datasets")
    (tmp_path / "datasets" / "other.jsonl").write_text(ROWS)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / wanted)
    (problem,) = caught.value.problems
    assert problem.message == "there is no such dataset"
    assert problem.path == str(tmp_path / wanted)
    assert problem.hint == hint.format(root=tmp_path)


def test_a_folder_without_cases(tmp_path: Path):
    path = folder(tmp_path, "tier = 3\n", None)
    (path / "case.jsonl").write_text(ROWS)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [problem.hint for problem in caught.value.problems][-1] == "did you mean 'case.jsonl'?"
    assert len(caught.value.problems) == 2


def test_paths_are_shown_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder(tmp_path, None, "oops\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^booking/cases\.jsonl:1: is no JSON"):
        load(tmp_path / "booking")


def test_filtering_by_tags(tmp_path: Path):
    dataset = load(folder(tmp_path))
    picked = with_tags(dataset, ["b", "c"])
    assert [case.id for case in picked.cases] == ["two"]
    assert picked.cases[-1].id == "two"
    assert [case.id for case in picked.cases[0:5]] == ["two"]
    assert picked.digests == [picked.cases[0].digest]
    assert picked.digest != dataset.digest
    assert with_tags(dataset, ["a"]).digest == dataset.digest
    with pytest.raises(ConfigError, match=r"no case is tagged aa \(did you mean 'a'\?\)"):
        with_tags(dataset, ["aa"])
    with pytest.raises(ConfigError, match="no case has tags"):
        with_tags(Dataset.of([Case(id="x", input=1)]), ["a"])


CASES = st.builds(
    Case,
    id=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
    input=st.recursive(st.text() | st.integers(-(2**60), 2**60) | st.none(), st.lists, max_leaves=4),
    expected=st.none() | st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=4),
    tags=st.lists(st.text(max_size=4), max_size=2).map(tuple),
    cluster=st.none() | st.text(max_size=4),
)


@given(st.lists(CASES, min_size=1, max_size=5, unique_by=lambda case: case.id))
def test_written_cases_are_read_back_and_written_again_as_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, cases: list[Case]
):
    base = tmp_path_factory.mktemp("write")
    assert write(base / "one.jsonl", cases) == len(cases)
    read = load(base / "one.jsonl").cases
    assert list(read) == cases
    write(base / "two.jsonl", read)
    assert (base / "two.jsonl").read_bytes() == (base / "one.jsonl").read_bytes()


def test_a_changed_case_is_a_changed_line(tmp_path: Path):
    case = Case(id="a", input="é", expected={"z": 1, "b": 2}, tags=("t",))
    write(tmp_path / "deep" / "new.jsonl", [case])
    text = (tmp_path / "deep" / "new.jsonl").read_text("utf-8")
    assert text == '{"id":"a","input":"é","expected":{"b":2,"z":1},"tags":["t"]}\n'


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path):
    path = tmp_path / "cases.jsonl"
    path.write_text("before")
    with pytest.raises(ConfigError, match="'a' occurs twice"):
        write(path, [Case(id="a", input=1), Case(id="a", input=2), Case(id="", input=3)])
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_dataset_can_be_written_over_itself(tmp_path: Path):
    path = tmp_path / "cases.jsonl"
    path.write_text(ROWS)
    dataset = load(path)
    assert write(path, dataset.cases) == 2
    assert load(path).digest == dataset.digest
