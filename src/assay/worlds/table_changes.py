"""What an episode did to a database: the file is hostile input, its rows are bounded."""

from __future__ import annotations

import errno
import math
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from assay.core.codec import digest_bytes
from assay.core.effects import RowChange, TableDiff
from assay.core.errors import WorldError
from assay.worlds.copying import copy_file, same_bytes
from assay.worlds.sqlite import Columns, deadline, open_database, table_columns
from assay.worlds.table_queries import MAX_COLUMNS, Query, keyed, null_key, unkeyed, whole

Volatile = frozenset[tuple[str, str]]
"""(table, column) pairs in lower case."""


class TableBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a database is compared and kept."""

    rows: int = 1_000
    """Differing rows per table that are kept; further ones are counted."""
    tables: int = 200
    """Tables that are compared."""
    cell_chars: int = 16_384
    """Characters of a text cell that are kept."""
    all_chars: int = 4 << 20
    """Characters of text that are kept over all rows."""
    growth_bytes: int = 1 << 30
    """Bytes by which the file may grow and still be compared."""
    wall_s: float = 30.0
    """Seconds that the comparison may take."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A database, the one that it started from, and how to compare them."""

    name: str
    """Name of the database."""
    live: Path
    """The file that the agent had."""
    base: Path
    """A copy of what it was at open; trusted."""
    volatile: Volatile
    """Columns that are left out."""
    scratch: Path
    """Directory for a temporary copy."""
    bounds: TableBounds = TableBounds()
    """How much is compared and kept."""


def compare_database(database: Compared) -> tuple[list[TableDiff], list[str]]:
    """Return the tables with rows that differ from the base, and problems.

    A database (or table) that is gone or cannot be read counts as all of its rows removed. Raises `WorldError` when the
    comparison takes too long or the base cannot be read.
    """
    comparison = _Comparison(database)
    try:
        if not _has_journal(database.live) and same_bytes(str(database.live), str(database.base)):
            return [], []
        with tempfile.TemporaryDirectory(prefix="compare-", dir=database.scratch) as folder:
            copy = _salvage(database, Path(folder))
            with (
                closing(open_database(copy, base=database.base)) as connection,
                deadline(connection, database.bounds.wall_s),
            ):
                comparison.compare(connection)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        comparison.raise_if_interrupted(error)
        reason = getattr(error, "strerror", None) or error
        comparison = _Comparison(database)
        comparison.problems.append(f"database {database.name} cannot be read: {reason}; all its rows count as removed")
        comparison.remove_all()
    return comparison.diffs, comparison.problems


def _has_journal(live: Path) -> bool:
    return any(os.path.lexists(f"{live}{ending}") for ending in ("-wal", "-journal"))


def _salvage(database: Compared, folder: Path) -> Path:
    """Copy a database with its write-ahead log and journal to where SQLite may recover it.

    A journal may name a further file that recovery would delete; sixteen zero bytes at its end take that power away.
    """
    live, copy = database.live, folder / "now.db"
    parts = ["", *(ending for ending in ("-wal", "-journal") if os.path.lexists(f"{live}{ending}"))]
    size = sum(os.lstat(f"{live}{ending}").st_size for ending in parts)
    if size > database.base.stat().st_size + database.bounds.growth_bytes:
        raise OSError(errno.EFBIG, f"it grew by more than {database.bounds.growth_bytes} bytes")
    for ending in parts:
        copy_file(f"{live}{ending}", f"{copy}{ending}")
    journal = folder / "now.db-journal"
    if journal.exists():
        with journal.open("ab") as file:
            file.write(bytes(16))
    return copy


class _Comparison:
    def __init__(self, database: Compared) -> None:
        self.diffs: list[TableDiff] = []
        self.problems: list[str] = []
        self._name = database.name
        self._base = database.base
        self._volatile = database.volatile
        self._bounds = database.bounds
        self._chars_left = database.bounds.all_chars

    def raise_if_interrupted(self, error: Exception) -> None:
        """Tell a slow comparison (infrastructure) from a database that the agent broke."""
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise WorldError(f"comparing database {self._name} took longer than {self._bounds.wall_s:g} s") from error

    def compare(self, connection: sqlite3.Connection) -> None:
        """Compare all tables of `main` with those of `base`."""
        now = {table.lower(): (table, columns) for table, columns in table_columns(connection, "main").items()}
        base = {table.lower(): (table, columns) for table, columns in table_columns(connection, "base").items()}
        names = sorted(now.keys() | base.keys(), key=lambda name: (name not in base, name))
        for name in names[: self._bounds.tables]:
            try:
                self._diff(
                    (base.get(name) or now[name])[0],
                    connection,
                    self._queries(connection, now.get(name), base.get(name)),
                )
            except (sqlite3.Error, UnicodeError) as error:
                self.raise_if_interrupted(error)
                self.problems.append(f"table {self._name}.{name} cannot be read: {error}")
                if name in base:
                    self._diff(base[name][0], connection, self._gone(base[name]))
        if len(names) > self._bounds.tables:
            self.problems.append(
                f"database {self._name} holds {len(names)} tables; {self._bounds.tables} were compared"
            )

    def remove_all(self) -> None:
        """Report every row of the base as removed."""
        try:
            with closing(open_database(self._base, base=self._base)) as connection:
                for table, columns in table_columns(connection, "base").items():
                    self._diff(table, connection, self._gone((table, columns)))
        except sqlite3.Error as error:
            raise WorldError(f"the seed of database {self._name} cannot be read: {error}") from error

    def _queries(
        self, connection: sqlite3.Connection, now: tuple[str, Columns] | None, base: tuple[str, Columns] | None
    ) -> list[Query]:
        if base is None:
            return [] if now is None else [whole("added", "main", now[0], self._kept(now))]
        if now is None:
            return self._gone(base)
        if max(len(now[1][0]), len(base[1][0])) > MAX_COLUMNS:
            raise sqlite3.DataError(f"more than {MAX_COLUMNS} columns")
        keys = base[1][1]
        volatile = frozenset(column for table, column in self._volatile if table == base[0].lower())
        usable = bool(keys) and now[1][1] == keys and not volatile.intersection(key.lower() for key in keys)
        for schema, table in (("main", now[0]), ("base", base[0])):
            usable = usable and connection.execute(null_key(schema, table, keys)).fetchone() is None
        return keyed(now, base, volatile) if usable else unkeyed(now, base, volatile)

    def _gone(self, base: tuple[str, Columns]) -> list[Query]:
        return [whole("removed", "base", base[0], self._kept(base))]

    def _kept(self, table: tuple[str, Columns]) -> list[str]:
        return [column for column in table[1][0] if (table[0].lower(), column.lower()) not in self._volatile]

    def _diff(self, name: str, connection: sqlite3.Connection, queries: Iterable[Query]) -> None:
        added: list[dict[str, Any]] = []
        removed: list[dict[str, Any]] = []
        changed: list[RowChange] = []
        dropped = 0
        for query in queries:
            if not query.after:
                continue
            room = self._bounds.rows - len(added) - len(removed) - len(changed)
            rows = list(self._rows(connection, query, room))
            if query.kind == "changed":
                changed = [_row_change(query, row) for row in rows]
            elif query.kind == "added":
                added = [dict(zip(query.after, row, strict=True)) for row in rows]
            else:
                removed = [dict(zip(query.after, row, strict=True)) for row in rows]
            if len(rows) == room or self._chars_left <= 0:
                counted = connection.execute(f"SELECT count(*) FROM ({query.sql})").fetchone()  # noqa: S608 - made of quoted names
                dropped += counted[0] - len(rows)
        if added or removed or changed or dropped:
            diff = TableDiff(
                database=self._name,
                table=name,
                added=tuple(added),
                removed=tuple(removed),
                changed=tuple(changed),
                dropped=dropped,
            )
            self.diffs.append(diff)

    def _rows(self, connection: sqlite3.Connection, query: Query, room: int) -> Iterator[list[Any]]:
        cursor = connection.execute(query.sql)
        while room > 0 and self._chars_left > 0 and (row := cursor.fetchone()) is not None:
            cells = [_plain(cell, self._bounds.cell_chars) for cell in row]
            self._chars_left -= sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
            room -= 1
            yield cells


def _row_change(query: Query, row: list[Any]) -> RowChange:
    size = len(query.after)
    after = dict(zip(query.after, row[:size], strict=True))
    before = dict(zip(query.before, row[size:], strict=True))
    return RowChange(key={name: before[name] for name in query.keys}, before=before, after=after)


def _plain(cell: Any, most: int) -> Any:
    """Return a cell as JSON can hold it: blobs by size and digest, long text cut with a mark."""
    if isinstance(cell, bytes):
        return f"blob of {len(cell)} bytes, digest {digest_bytes(cell)}"
    if isinstance(cell, str) and len(cell) > most:
        return f"{cell[:most]}… [{len(cell) - most} more characters]"
    if isinstance(cell, float) and not math.isfinite(cell):
        return repr(cell)
    return cell
