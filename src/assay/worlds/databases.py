"""SQLite databases of a world: built once from seeds, copied for every episode."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from assay.core.errors import ConfigError, Problem
from assay.core.tables import join_key, nearest
from assay.worlds.copying import copy_file, read_digest
from assay.worlds.spec import DatabaseSpec
from assay.worlds.sqlite import open_database, quoted, run_sql, table_columns

_CHUNK_ROWS = 1_000


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A seeded database, ready to be copied."""

    path: str
    """The file; never written again."""
    content: str
    """BLAKE2b-128 of its bytes."""
    state: str
    """Digest of schema and rows without volatile columns: equal for equal seeds."""
    volatile: frozenset[tuple[str, str]]
    """(table, column) pairs in lower case that are never compared."""


def seed_files(root: Path, spec: DatabaseSpec, key: str) -> list[Path]:
    """Return the seed files in order, folders resolved. Raises `ConfigError` for what is missing or out of place."""
    files: list[Path] = []
    problems: list[Problem] = []
    for name in spec.seed:
        path = root / name
        if path.is_dir():
            files += sorted(file for file in path.iterdir() if file.suffix in {".sql", ".db"})
        elif path.is_file() and path.suffix in {".sql", ".db"}:
            files.append(path)
        else:
            message = f"'{name}' is neither a folder nor a .sql or .db file"
            problems.append(Problem(message=message, key=join_key(key, "seed"), hint=f"looked in {root}"))
    late = [file for file in files[1:] if file.suffix == ".db"]
    problems += [Problem(message=f"'{file.name}' must be the first seed", key=join_key(key, "seed")) for file in late]
    if problems:
        raise ConfigError(problems)
    return files


def build_template(files: Iterable[Path], spec: DatabaseSpec, target: Path, key: str) -> Template:
    """Build a database from its seed files. Raises `ConfigError` for SQL that fails and unknown volatile columns."""
    for file in files:
        try:
            if file.suffix == ".db":
                copy_file(str(file), str(target))
            else:
                run_sql(target, file.read_text(encoding="utf-8"))
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise ConfigError([Problem(message=f"seed failed: {error}", path=str(file), key=key)]) from error
    target.touch()
    try:
        with closing(open_database(target)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            volatile = _volatile(connection, spec, key)
            state = state_digest(connection, volatile)
    except sqlite3.Error as error:
        raise ConfigError([Problem(message=f"the seeded database cannot be read: {error}", key=key)]) from error
    return Template(path=str(target), content=read_digest(str(target))[1], state=state, volatile=volatile)


def state_digest(connection: sqlite3.Connection, volatile: frozenset[tuple[str, str]]) -> str:
    """Digest schema and rows, volatile columns left out, independent of how the file is laid out."""
    hasher = hashlib.blake2b(digest_size=16)
    schema = (
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name"
    )
    hasher.update(repr(connection.execute(schema).fetchall()).encode())
    for table, (columns, keys) in table_columns(connection, "main").items():
        kept = [column for column in columns if (table.lower(), column.lower()) not in volatile]
        names = ", ".join(map(quoted, kept)) or "count(*)"
        order = ", ".join(map(quoted, keys if keys and set(keys) <= set(kept) else kept)) or "1"
        cursor = connection.execute(f"SELECT {names} FROM {quoted(table)} ORDER BY {order}")  # noqa: S608 - quoted names
        hasher.update(repr((table, kept)).encode())
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            hasher.update(repr(rows).encode())
    counters = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone()
    if counters:
        hasher.update(repr(connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY 1").fetchall()).encode())
    return hasher.hexdigest()


def file_names(databases: Mapping[str, DatabaseSpec], key: str) -> dict[str, str]:
    """Return the workspace path of each database. Raises `ConfigError` for paths that are taken or leave it."""
    paths: dict[str, str] = {}
    problems: list[Problem] = []
    for name, spec in databases.items():
        path = Path(spec.path or f"{name}.db")
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in str(path):
            message = "the path must lie inside the workspace"
        elif str(path) in paths.values():
            message = "two databases have the same path"
        else:
            paths[name] = str(path)
            continue
        problems.append(Problem(message=message, key=join_key(key, name, "path")))
    if problems:
        raise ConfigError(problems)
    return paths


def _volatile(connection: sqlite3.Connection, spec: DatabaseSpec, key: str) -> frozenset[tuple[str, str]]:
    tables = table_columns(connection, "main")
    known = {f"{table}.{column}".lower(): f"{table}.{column}" for table in tables for column in tables[table][0]}
    wrong = [
        Problem(message=f"there is no column '{name}'", key=join_key(key, "volatile"), hint=nearest(name, known))
        for name in spec.volatile
        if name.lower() not in known
    ]
    if wrong:
        raise ConfigError(wrong)
    return frozenset((name.lower().rpartition(".")[0], name.lower().rpartition(".")[2]) for name in spec.volatile)
