from __future__ import annotations

import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.codec import digest_bytes
from assay.core.effects import RowChange, TableDiff
from assay.core.errors import WorldError
from assay.worlds.table_changes import Compared, TableBounds, compare_database

SCHEMA = """
CREATE TABLE rooms (number TEXT PRIMARY KEY, price INTEGER, seen_at TEXT);
CREATE TABLE stays (hotel TEXT, room TEXT, guest TEXT, PRIMARY KEY (hotel, room)) WITHOUT ROWID;
CREATE TABLE log (line TEXT, level INTEGER);
INSERT INTO rooms VALUES ('101', 100, 'a'), ('102', 120, 'b'), ('103', 140, 'c');
INSERT INTO stays VALUES ('north', '101', 'Ada'), ('north', '102', 'Bob');
INSERT INTO log VALUES ('start', 1), ('start', 1), ('end', 1);
"""


@pytest.fixture
def pair(tmp_path: Path) -> Compared:
    return make(tmp_path, SCHEMA)


def make(folder: Path, schema: str, volatile: frozenset[tuple[str, str]] = frozenset()) -> Compared:
    base, live, scratch = folder / "base.db", folder / "work" / "hotel.db", folder / "scratch"
    live.parent.mkdir()
    scratch.mkdir()
    with closing(sqlite3.connect(base)) as connection:
        connection.executescript(schema)
    shutil.copyfile(base, live)
    return Compared(name="hotel", live=live, base=base, volatile=volatile, scratch=scratch)


def act(pair: Compared, script: str) -> None:
    with closing(sqlite3.connect(pair.live)) as connection:
        connection.executescript(script)


def diff(pair: Compared, script: str = "") -> dict[str, TableDiff]:
    act(pair, script)
    diffs, problems = compare_database(pair)
    assert problems == []
    assert list(pair.scratch.iterdir()) == []
    return {diff.table: diff for diff in diffs}


def test_an_untouched_database_has_no_effects(pair: Compared):
    assert diff(pair) == {}


def test_a_database_that_was_rewritten_with_the_same_rows_has_no_effects(pair: Compared):
    assert (
        diff(
            pair,
            "UPDATE rooms SET price = price; VACUUM; INSERT INTO log VALUES ('x', 1); DELETE FROM log WHERE line = 'x'",
        )
        == {}
    )


def test_rows_are_matched_by_primary_key(pair: Compared):
    script = (
        "UPDATE rooms SET price = 99 WHERE number = '101'; DELETE FROM rooms WHERE number = '102';"
        "INSERT INTO rooms VALUES ('104', NULL, 'd'); UPDATE stays SET guest = 'Eve' WHERE room = '102'"
    )
    assert diff(pair, script) == {
        "rooms": TableDiff(
            database="hotel",
            table="rooms",
            added=({"number": "104", "price": None, "seen_at": "d"},),
            removed=({"number": "102", "price": 120, "seen_at": "b"},),
            changed=(
                RowChange(
                    key={"number": "101"},
                    before={"number": "101", "price": 100, "seen_at": "a"},
                    after={"number": "101", "price": 99, "seen_at": "a"},
                ),
            ),
        ),
        "stays": TableDiff(
            database="hotel",
            table="stays",
            changed=(
                RowChange(
                    key={"hotel": "north", "room": "102"},
                    before={"hotel": "north", "room": "102", "guest": "Bob"},
                    after={"hotel": "north", "room": "102", "guest": "Eve"},
                ),
            ),
        ),
    }


def test_rows_without_a_key_are_counted_as_a_multiset(pair: Compared):
    found = diff(pair, "DELETE FROM log WHERE rowid = 1; INSERT INTO log VALUES ('end', 1), ('end', 2)")["log"]
    assert found.removed == ({"line": "start", "level": 1},)
    assert found.added == ({"line": "end", "level": 1}, {"line": "end", "level": 2})
    assert found.changed == ()


def test_volatile_columns_are_neither_compared_nor_kept(tmp_path: Path):
    pair = make(tmp_path, SCHEMA, frozenset({("rooms", "seen_at"), ("log", "level")}))
    found = diff(
        pair,
        "UPDATE rooms SET seen_at = 'now'; UPDATE log SET level = 7; UPDATE rooms SET price = 1 WHERE number = '101'",
    )
    assert list(found) == ["rooms"]
    (change,) = found["rooms"].changed
    assert (change.before, change.after) == ({"number": "101", "price": 100}, {"number": "101", "price": 1})


def test_a_volatile_key_is_no_key(tmp_path: Path):
    pair = make(
        tmp_path,
        "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('a', 'x')",
        frozenset({("t", "id")}),
    )
    found = diff(pair, "DELETE FROM t; INSERT INTO t VALUES ('other', 'x'), ('more', 'y')")
    assert found == {"t": TableDiff(database="hotel", table="t", added=({"v": "y"},))}


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
def test_letter_case_and_spaces_count_whatever_the_collation(tmp_path: Path, collation: str):
    schema = f"CREATE TABLE k (id INTEGER PRIMARY KEY, v TEXT COLLATE {collation}); CREATE TABLE m (v TEXT COLLATE {collation});"
    pair = make(tmp_path, schema + "INSERT INTO k VALUES (1, 'a'), (2, 'b'); INSERT INTO m VALUES ('a'), ('b')")
    found = diff(
        pair,
        "UPDATE k SET v = 'A' WHERE id = 1; UPDATE k SET v = 'b ' WHERE id = 2; UPDATE m SET v = 'A' WHERE v = 'a'",
    )
    assert [change.after["v"] for change in found["k"].changed] == ["A", "b "]
    assert (found["m"].added, found["m"].removed) == (({"v": "A"},), ({"v": "a"},))


def test_rows_with_a_null_key_are_still_compared(tmp_path: Path):
    pair = make(tmp_path, "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (NULL, 'x'), (NULL, 'y')")
    found = diff(pair, "UPDATE t SET v = 'z' WHERE v = 'y'")["t"]
    assert (found.added, found.removed) == (({"id": None, "v": "z"},), ({"id": None, "v": "y"},))


def test_tables_and_columns_may_come_and_go(pair: Compared):
    found = diff(
        pair,
        "DROP TABLE log; CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('hi');"
        "ALTER TABLE stays ADD COLUMN paid INTEGER; DELETE FROM stays WHERE room = '101'",
    )
    assert len(found["log"].removed) == 3
    assert found["notes"].added == ({"text": "hi"},)
    assert found["stays"].removed == ({"hotel": "north", "room": "101", "guest": "Ada"},)
    assert [change.after["paid"] for change in found["stays"].changed] == [None]


def test_cells_become_values_that_json_can_hold(tmp_path: Path):
    pair = make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    with closing(sqlite3.connect(pair.live)) as connection, connection:
        values: list[Any] = [b"\x00\x01", math.inf, 2**62, "x" * 20_000, 1.5]
        connection.executemany("INSERT INTO t (v) VALUES (?)", [(value,) for value in values])
        connection.execute("INSERT INTO t (v) VALUES (CAST(x'ff41' AS TEXT))")
    cells = [row["v"] for row in diff(pair)["t"].added]
    assert cells[0] == f"blob of 2 bytes, digest {digest_bytes(bytes([0, 1]))}"
    assert cells[1:3] == ["inf", 2**62]
    assert cells[3] == "x" * 16_384 + "… [3616 more characters]"
    assert cells[4:] == [1.5, "\ufffdA"]
    msgspec.json.encode(cells)


def test_rows_beyond_the_bound_are_counted(pair: Compared):
    bounded = msgspec.structs.replace(pair, bounds=TableBounds(rows=5))
    script = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO log SELECT i, 0 FROM n; DELETE FROM rooms"
    found = diff(bounded, script)
    assert (len(found["log"].added), found["log"].dropped) == (5, 95)
    assert (len(found["rooms"].removed), found["rooms"].dropped) == (3, 0)


def test_text_beyond_the_bound_is_counted(pair: Compared):
    bounded = msgspec.structs.replace(pair, bounds=TableBounds(all_chars=100))
    found = diff(bounded, "INSERT INTO log SELECT hex(zeroblob(40)), 1 FROM rooms; DELETE FROM rooms")
    assert (len(found["log"].added), found["log"].dropped) == (2, 1)
    assert (found["rooms"].removed, found["rooms"].dropped) == ((), 3)


def test_views_triggers_virtual_tables_and_generated_columns_are_left_alone(pair: Compared):
    found = diff(
        pair,
        "CREATE VIEW bomb AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;"
        "CREATE VIRTUAL TABLE search USING fts5(body); INSERT INTO search VALUES ('hello');"
        "CREATE TABLE g (a INTEGER, b TEXT AS (zeroblob(a)) VIRTUAL); INSERT INTO g (a) VALUES (90000000);"
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM rooms; END",
    )
    assert found == {"g": TableDiff(database="hotel", table="g", added=({"a": 90_000_000},))}


def everything_removed(pair: Compared) -> str:
    diffs, problems = compare_database(pair)
    assert {diff.table: len(diff.removed) for diff in diffs} == {"rooms": 3, "stays": 2, "log": 3}
    (problem,) = problems
    assert problem.startswith("database hotel cannot be read: ")
    return problem


def test_a_deleted_database_lost_all_rows(pair: Compared):
    pair.live.unlink()
    assert "No such file" in everything_removed(pair)


def test_garbage_in_place_of_a_database_lost_all_rows(pair: Compared):
    pair.live.write_bytes(b"garbage" * 10_000)
    assert "not a database" in everything_removed(pair)


def test_a_link_in_place_of_a_database_is_not_followed(pair: Compared, tmp_path: Path):
    victim = tmp_path / "victim.db"
    pair.live.rename(victim)
    before = victim.read_bytes()
    pair.live.symlink_to(victim)
    assert "not a regular file" in everything_removed(pair)
    assert victim.read_bytes() == before


@pytest.mark.parametrize("name", ["hotel.db", "hotel.db-wal", "hotel.db-journal"])
def test_a_fifo_in_place_of_a_database_file_does_not_block(pair: Compared, name: str):
    path = pair.live.parent / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "not a regular file" in everything_removed(pair)


def test_a_database_that_grew_beyond_the_bound_is_not_copied(pair: Compared):
    with pair.live.open("ab") as file:
        file.truncate(1 << 40)
    assert "grew by more than" in everything_removed(pair)


def test_a_corrupt_table_counts_as_removed_and_the_others_are_compared(pair: Compared):
    with closing(sqlite3.connect(pair.live)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'log'").fetchone()[0]
    with pair.live.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    diffs, problems = compare_database(pair)
    assert [(diff.table, len(diff.removed)) for diff in diffs] == [("log", 3)]
    assert len(problems) == 1
    assert problems[0].startswith("table hotel.log cannot be read: ")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_an_agent_killed_in_mid_transaction_leaves_what_it_committed(pair: Compared, mode: str):
    code = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"c.execute('PRAGMA journal_mode = {mode}'); c.execute('PRAGMA cache_size = 1')\n"
        "c.execute(\"INSERT INTO rooms VALUES ('200', 1, 'z')\")\n"
        "c.execute('BEGIN'); c.execute('DELETE FROM log')\n"
        "c.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        "INSERT INTO log SELECT hex(zeroblob(50)), i FROM n')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(pair.live)], check=False)
    ending = "-wal" if mode == "WAL" else "-journal"
    assert Path(f"{pair.live}{ending}").stat().st_size > 0
    found = {item.table: item for item in compare_database(pair)[0]}
    assert found == {
        "rooms": TableDiff(database="hotel", table="rooms", added=({"number": "200", "price": 1, "seen_at": "z"},))
    }


def test_a_hostile_journal_cannot_make_recovery_delete_a_file(pair: Compared, tmp_path: Path):
    victim = tmp_path / "precious"
    victim.write_text("keep me")
    magic = bytes.fromhex("d9d505f920a163d7")
    size = pair.live.stat().st_size
    header = (magic + struct.pack(">5I", 0, 0, size // 4096, 512, 4096)).ljust(512, b"\0")
    name = str(victim).encode()
    page = (size // 4096 + 1).to_bytes(4, "big")
    record = page + name + struct.pack(">II", len(name), sum(name)) + magic
    Path(f"{pair.live}-journal").write_bytes(header + record)
    assert compare_database(pair) == ([], [])
    assert victim.read_text() == "keep me"


def test_a_comparison_that_takes_too_long_is_not_the_agents_failure(pair: Compared):
    act(
        pair,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO log SELECT i, 0 FROM n",
    )
    with pytest.raises(WorldError, match="took longer than 0 s"):
        compare_database(msgspec.structs.replace(pair, bounds=TableBounds(wall_s=0.0)))


Row = tuple[int, int | None, str]
rows = st.lists(
    st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 3)), st.sampled_from(["", "a", "A", "b"])),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(before=rows, after=rows, keyed=st.booleans())
def test_the_difference_turns_before_into_after(
    before: list[Row], after: list[Row], keyed: bool, tmp_path_factory: pytest.TempPathFactory
):
    if keyed:
        before, after = [list({row[0]: row for row in rows}.values()) for rows in (before, after)]
    schema = f"CREATE TABLE t (id INTEGER {'PRIMARY KEY' if keyed else ''}, n INTEGER, s TEXT COLLATE NOCASE);"
    pair = make(tmp_path_factory.mktemp("pair"), schema)
    for path, content in ((pair.base, before), (pair.live, after)):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", content)
    found = diff(pair).get("t", TableDiff(database="hotel", table="t"))
    result = sorted(map(repr, before))
    for row in [*found.removed, *(change.before for change in found.changed)]:
        result.remove(repr(tuple(row.values())))
    result += [repr(tuple(row.values())) for row in [*found.added, *(change.after for change in found.changed)]]
    assert sorted(result) == sorted(map(repr, after))
    assert not {repr(row) for row in found.added} & {repr(row) for row in found.removed}
    assert all(change.before != change.after for change in found.changed)
