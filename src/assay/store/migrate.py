"""Bring a database to the tables of this version: make them, migrate older ones, refuse newer ones."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from assay.core.errors import StoreError
from assay.store.connect import bare, writing
from assay.store.faults import WAIT_S
from assay.store.schema import REVISION, VERSION_TABLE, metadata, versions

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x6173736179  # "assay": PostgreSQL's advisory locks are numbers
_PAUSE_S = 0.01


def ensure_schema(engine: sa.Engine, store: str, migrations: Path = MIGRATIONS, revision: str = REVISION) -> None:
    """Make the tables or migrate them, whatever other processes do meanwhile; writes nothing where they are current.

    Raises `StoreError` for a database that a newer assay wrote, or that belongs to something else.
    """
    with engine.begin() as connection:
        if _stamp(connection) == revision:
            return
    if engine.dialect.name == "sqlite":
        _use_wal(engine)
    with engine.connect() as connection, writing(connection).begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = _stamp(connection)  # again: now no one else can change it
        if found is None:
            _create(connection, store)
        elif found != revision:
            _upgrade(connection, store, found, migrations)


def upgrade(connection: sa.Connection, target: str = "head", migrations: Path = MIGRATIONS) -> None:
    """Run the migrations up to a revision, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _stamp(connection: sa.Connection) -> str | None:
    """Return the revision that a database is at; None for one without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(versions.c.version_num)).scalar()


def _create(connection: sa.Connection, store: str) -> None:
    """Make the tables of this version at once; Alembic, which would build the same in steps, takes a second to load."""
    tables = set(sa.inspect(connection).get_table_names())
    # A file is ours alone. A server's database may be shared, as long as the names are free.
    taken = tables if connection.dialect.name == "sqlite" else tables & metadata.tables.keys()
    if taken:
        raise StoreError(
            f"the store {store}: it holds tables of something else ({', '.join(sorted(taken)[:5])}): name another one"
        )
    metadata.create_all(connection, checkfirst=False)
    versions.create(connection, checkfirst=False)
    connection.execute(sa.insert(versions).values(version_num=REVISION))


def _upgrade(connection: sa.Connection, store: str, found: str, migrations: Path) -> None:
    from alembic.script import ScriptDirectory

    if found not in {script.revision for script in ScriptDirectory(str(migrations)).walk_revisions()}:
        raise StoreError(f"the store {store} was written by a newer assay (its schema is {found!r}): update assay")
    upgrade(connection, "head", migrations)


def _use_wal(engine: sa.Engine) -> None:
    """Let readers and a writer work at once. The switch waits for nobody by itself, so wait for it here."""
    deadline = time.monotonic() + WAIT_S
    with engine.connect() as connection:
        bare(connection)
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
            except OperationalError as error:
                busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return
