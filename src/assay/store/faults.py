"""What a database says when it fails, turned into errors that name the store and what to do about it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import exc

from assay.core.errors import StoreError, StoreFullError

WAIT_S = 30
"""Seconds that SQLite waits for another writer."""

_FULL = "no space is left for it: free some and resume the run; what was committed before is intact"

_SQLITE = {
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {WAIT_S} s: end that process, or try again",
    sqlite3.SQLITE_LOCKED: "another connection keeps it locked: try again",
    sqlite3.SQLITE_READONLY: "it cannot be written: give this user write access to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that the folder exists and that this user may read and write it",
    sqlite3.SQLITE_PERM: "it cannot be opened: give this user access to the file",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a copy, or move it away and start a new one",
    sqlite3.SQLITE_IOERR: "the disk failed while it was read or written",
    sqlite3.SQLITE_TOOBIG: "a record is larger than SQLite can hold (1 GB): lower the limits on output and spans",
}

_SQLITE_FULL = {sqlite3.SQLITE_FULL}
# A quota or file size limit; SQLite keeps the reason to itself.
_SQLITE_WRITE_FAILED = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE}

_POSTGRESQL = {
    "08": "the connection failed: check that the server runs and can be reached",
    "28": "it refuses this user: check user and password",
    "3D": "there is no such database: create it first (createdb)",
    "42501": "this user may not do that: grant it the right to create and write tables",
    "25006": "it is read-only: name the primary server",
    "40": "other writers got in the way again and again: try again",
    "53300": "it has no free connection: use fewer workers or raise max_connections",
    "53": "the server lacks resources",
    "57": "the server is stopping or ended the connection: try again when it runs",
    "XX001": "its data is damaged: restore a backup",
    "XX002": "an index is damaged: restore a backup or run REINDEX",
}

_POSTGRESQL_FULL = {"53100", "53400"}
RETRIED = ("40001", "40P01")
"""SQLSTATEs of transactions that lost against another one and may simply be run again."""

_SECRET = re.compile(r"(?i)(password|passwd|pwd|sslpassword)(\s*[=:]\s*)\S+|(://[^\s:/@]*:)[^\s@]+@")


@contextmanager
def explained(store: str) -> Generator[None]:
    """Turn every error of SQLAlchemy and its drivers into a `StoreError` about the store with this name."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise fault(store, error) from error


def fault(store: str, error: exc.SQLAlchemyError) -> StoreError:
    """Return what to raise for an error of the database."""
    cause = getattr(error, "orig", None) or error
    said = _without_secrets(str(cause).strip())
    if isinstance(cause, sqlite3.Error):
        return _sqlite_fault(store, cause, said)
    state = sqlstate(error)
    if state in _POSTGRESQL_FULL:
        return StoreFullError(f"the store {store}: {_FULL} ({said})")
    if not state and isinstance(error, exc.OperationalError):
        state = "08"  # the client's own errors carry no state: no server, wrong password
    advice = next((text for code, text in _POSTGRESQL.items() if state.startswith(code)), "the database refused")
    return StoreError(f"the store {store}: {advice} ({said})")


def sqlstate(error: exc.SQLAlchemyError) -> str:
    """Return PostgreSQL's code for an error; empty where there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _sqlite_fault(store: str, cause: sqlite3.Error, said: str) -> StoreError:
    code = getattr(cause, "sqlite_errorcode", 0)
    if code in _SQLITE_FULL:
        return StoreFullError(f"the store {store}: {_FULL} ({said})")
    if code in _SQLITE_WRITE_FAILED:
        return StoreFullError(
            f"the store {store}: a write failed: the disk, a quota or a file size limit is exhausted; {_FULL} ({said})"
        )
    advice = _SQLITE.get(code & 0xFF, "the database refused")
    return StoreError(f"the store {store}: {advice} ({said})")


def _without_secrets(text: str) -> str:
    return _SECRET.sub(lambda found: f"{found[1]}{found[2]}***" if found[1] else f"{found[3]}***@", text)
