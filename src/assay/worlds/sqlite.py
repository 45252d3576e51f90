"""SQLite, opened with care: files may come from an agent."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

SIDE_FILES = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""
SCRIPT_S = 60.0
"""Seconds that a script may take."""
_CELL_BYTES = 64 << 20

Columns = tuple[tuple[str, ...], tuple[str, ...]]
"""All columns of a table, and those of its primary key in key order."""


def run_sql(path: Path, script: str) -> None:
    """Run a script, bounded in time and kept inside its file (no ATTACH). Raises `sqlite3.Error`."""
    with closing(_connect(path)) as connection, deadline(connection, SCRIPT_S):
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(script)
        connection.commit()


def open_database(path: Path, *, base: Path | None = None) -> sqlite3.Connection:
    """Open a database that may be hostile, with a trusted one attached read-only as `base` where given.

    Nothing that the file's schema says is trusted, and text that is no UTF-8 is replaced. Raises `sqlite3.Error`.
    """
    connection = _connect(path)
    connection.text_factory = _decode
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL_BYTES)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    if base is not None:
        connection.execute("ATTACH ? AS base", (f"file:{quote(str(base))}?mode=ro&immutable=1",))
    return connection


@contextmanager
def deadline(connection: sqlite3.Connection, seconds: float) -> Generator[None]:
    """Interrupt statements that run past the deadline: they raise `sqlite3.OperationalError` "interrupted"."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def table_columns(connection: sqlite3.Connection, schema: str) -> dict[str, Columns]:
    """Return the ordinary tables of a database with their columns and primary key columns (in key order).

    Views, virtual tables, their shadow tables, SQLite's own tables and generated columns are left out.
    """
    found = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = ? AND type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY name",
        (schema,),
    ).fetchall()
    tables: dict[str, Columns] = {}
    for (name,) in found:
        rows = connection.execute("SELECT name, pk FROM pragma_table_info(?, ?)", (name, schema)).fetchall()
        keys = sorted((position, column) for column, position in rows if position)
        tables[name] = (tuple(column for column, _ in rows), tuple(column for _, column in keys))
    return tables


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}", uri=True, isolation_level=None, timeout=1.0)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")
