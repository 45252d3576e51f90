from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from assay.core.errors import ConfigError
from assay.worlds.databases import build_template, file_names, seed_files
from assay.worlds.spec import DatabaseSpec

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);"


def seeds(folder: Path, **files: str) -> DatabaseSpec:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return DatabaseSpec(seed=tuple(f"{name}.sql" for name in files))


def build(folder: Path, spec: DatabaseSpec, name: str = "template.db"):
    return build_template(seed_files(folder, spec, "key"), spec, folder / name, "key")


def rows(path: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, name FROM t ORDER BY id").fetchall()


def test_seeds_run_in_order(tmp_path: Path):
    spec = seeds(tmp_path, b_schema=SCHEMA, a_rows="INSERT INTO t (name) VALUES ('x');")
    assert rows(build(tmp_path, spec).path) == [(1, "x")]


def test_a_folder_is_its_sql_files_by_name_and_a_database_may_come_first(tmp_path: Path):
    folder = tmp_path / "hotel"
    folder.mkdir()
    seeds(folder, a=SCHEMA, b="INSERT INTO t (name) VALUES ('x');")
    (folder / "notes.md").write_text("not a seed")
    first = build(tmp_path, DatabaseSpec(seed=("hotel",)))
    Path(first.path).rename(tmp_path / "start.db")
    seeds(tmp_path, more="INSERT INTO t (name) VALUES ('y');")
    assert rows(build(tmp_path, DatabaseSpec(seed=("start.db", "more.sql"))).path) == [(1, "x"), (2, "y")]


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_template_is_one_file(tmp_path: Path, mode: str):
    template = build(tmp_path, seeds(tmp_path, a=f"PRAGMA journal_mode = {mode};" + SCHEMA))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.sql", "template.db"]
    assert Path(template.path).read_bytes()[18] == (2 if mode == "WAL" else 1)


def test_an_empty_seed_is_an_empty_database(tmp_path: Path):
    assert Path(build(tmp_path, DatabaseSpec(seed=())).path).read_bytes() == b""


def test_the_state_is_equal_for_equal_rows_however_they_came(tmp_path: Path):
    one = build(tmp_path, seeds(tmp_path, a=SCHEMA + "INSERT INTO t VALUES (1, 'x', '0'), (2, 'y', '0');"), "one.db")
    longer = SCHEMA + "INSERT INTO t VALUES (2, 'y', '0'), (1, 'x', 'other'); UPDATE t SET at = '0'; VACUUM_ME;"
    two = build(tmp_path, seeds(tmp_path, b=longer.replace(" VACUUM_ME;", "")), "two.db")
    assert one.state == two.state
    assert one.content != two.content


@pytest.mark.parametrize(
    "more",
    [
        "UPDATE t SET name = 'z';",
        "INSERT INTO t VALUES (2, 'y', '0');",
        "CREATE INDEX i ON t (name);",
        "ALTER TABLE t ADD COLUMN c;",
        "UPDATE sqlite_sequence SET seq = 9;",
    ],
)
def test_the_state_changes_with_rows_schema_and_counters(tmp_path: Path, more: str):
    script = SCHEMA + "INSERT INTO t VALUES (1, 'x', '0');"
    before = build(tmp_path, seeds(tmp_path, a=script), "one.db")
    assert build(tmp_path, seeds(tmp_path, b=script + more), "two.db").state != before.state


def test_volatile_columns_are_no_part_of_the_state(tmp_path: Path):
    spec = DatabaseSpec(seed=("a.sql",), volatile=("T.at",))
    states: set[str] = set()
    for moment in ("1", "2"):
        seeds(tmp_path, a=SCHEMA + f"INSERT INTO t VALUES (1, 'x', '{moment}');")
        states.add(build(tmp_path, spec, f"{moment}.db").state)
    assert len(states) == 1


def test_mistakes_in_seeds_name_the_file(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, seeds(tmp_path, broken="CREATE TABL t (x);"))
    (problem,) = caught.value.problems
    assert problem.path == str(tmp_path / "broken.sql")
    assert "syntax error" in problem.message


@pytest.mark.parametrize("script", ["ATTACH 'other.db' AS other;", "VACUUM INTO 'other.db';"])
def test_seeds_stay_in_their_file(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="too many attached databases"):
        build(tmp_path, seeds(tmp_path, a=SCHEMA + script))
    assert not (tmp_path / "other.db").exists()


def test_a_seed_that_is_no_database_is_a_mistake(tmp_path: Path):
    (tmp_path / "bad.db").write_text("this is not a database, whatever its name says")
    with pytest.raises(ConfigError, match="not a database"):
        build(tmp_path, DatabaseSpec(seed=("bad.db",)))


def test_missing_and_misplaced_seeds_are_all_named(tmp_path: Path):
    (tmp_path / "a.sql").write_text("")
    (tmp_path / "late.db").write_text("")
    with pytest.raises(ConfigError) as caught:
        seed_files(tmp_path, DatabaseSpec(seed=("a.sql", "late.db", "nothing.sql", "a.txt")), "world.databases.x")
    assert [problem.message for problem in caught.value.problems] == [
        "'nothing.sql' is neither a folder nor a .sql or .db file",
        "'a.txt' is neither a folder nor a .sql or .db file",
        "'late.db' must be the first seed",
    ]
    assert {problem.key for problem in caught.value.problems} == {"world.databases.x.seed"}


def test_an_unknown_volatile_column_is_a_mistake(tmp_path: Path):
    spec = seeds(tmp_path, a=SCHEMA)
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, DatabaseSpec(seed=spec.seed, volatile=("t.att",)))
    (problem,) = caught.value.problems
    assert (problem.key, problem.hint) == ("key.volatile", "did you mean 't.at'?")


def test_database_files_have_names_of_their_own_inside_the_workspace():
    spec = DatabaseSpec(seed=())
    assert file_names({"a": spec, "b": DatabaseSpec(seed=(), path="data/b.sqlite")}, "k") == {
        "a": "a.db",
        "b": "data/b.sqlite",
    }
    for path in ("/tmp/x", "../x", "a/../../x", "."):
        with pytest.raises(ConfigError, match="inside the workspace"):
            file_names({"a": DatabaseSpec(seed=(), path=path)}, "k")
    with pytest.raises(ConfigError, match="same path"):
        file_names({"a": DatabaseSpec(seed=(), path="x"), "b": DatabaseSpec(seed=(), path="./x")}, "k")
