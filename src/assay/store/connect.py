"""Connections: one engine per store, set up for the dialect."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from sqlalchemy import event

from assay.core.errors import StoreError
from assay.store.address import Address
from assay.store.faults import WAIT_S

_BEGIN = "assay_begin"
_SQLITE_NEEDS = (3, 35, 0)  # RETURNING

# NORMAL: a commit survives the death of every process; only a power cut may take the last ones, and never harms the file.
# A larger cache and rarer checkpoints: pages that many commits touch are written to the file once.
_PRAGMAS = ("synchronous=NORMAL", "cache_size=-32768", "wal_autocheckpoint=8192")


def make_engine(address: Address) -> sa.Engine:
    """Return the engine; nothing is connected yet."""
    if not address.is_sqlite:
        return sa.create_engine(
            address.url,
            paramstyle="format",  # rows are written by position
            pool_size=2,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "assay"},
        )
    if sqlite3.sqlite_version_info < _SQLITE_NEEDS:
        raise StoreError(f"assay needs SQLite 3.35 or newer; this Python comes with {sqlite3.sqlite_version}")
    engine = sa.create_engine(address.url, pool_size=2, connect_args={"timeout": WAIT_S})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def writing(connection: sa.Connection) -> sa.Connection:
    """Let the transactions of a connection be ones that write."""
    return connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def bare(connection: sa.Connection) -> sa.Connection:
    """Let SQLite run the statements of a connection outside of any transaction."""
    return connection.execution_options(**{_BEGIN: ""})


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin below, never by guess
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A transaction that reads first and then writes would fail at once when another writer came between: wait at the door.
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)
