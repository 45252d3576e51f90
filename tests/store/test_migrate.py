"""Tables: made at once, built by migrations, upgraded, refused."""

from __future__ import annotations

import multiprocessing
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from assay.core.errors import StoreError
from assay.core.plan import Action
from assay.store import open_store
from assay.store.address import locate
from assay.store.connect import make_engine, writing
from assay.store.migrate import MIGRATIONS, ensure_schema, upgrade
from assay.store.schema import REVISION, VERSION_TABLE, metadata
from tests.store.made import finished, item, items, manifest, run_all, trace_of, verdict

LATER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("runs", sa.Column("note", sa.Text(), nullable=False, server_default="none"))
    {then}
"""


@pytest.fixture
def engine(store_url):
    made = make_engine(locate(store_url))
    yield made
    made.dispose()


@pytest.fixture
def later(tmp_path):
    """Our migrations and one more, as a later version would have them."""

    def make(then: str = "pass") -> Path:
        folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "9999_later.py").write_text(LATER.format(head=REVISION, then=then))
        return folder

    return make


def migrate(engine: sa.Engine) -> None:
    with engine.connect() as connection, writing(connection).begin():
        upgrade(connection)


def described(engine: sa.Engine) -> list[tuple[str, ...]]:
    """All that the database itself knows of its tables and indexes."""
    if engine.dialect.name == "sqlite":
        query = "SELECT name, replace(replace(sql, char(10), ' '), char(9), '') FROM sqlite_master ORDER BY name"
    else:
        query = """
            SELECT table_name || '.' || column_name, concat_ws(' ', ordinal_position, data_type, is_nullable,
                   collation_name, column_default) FROM information_schema.columns WHERE table_schema = current_schema()
            UNION ALL
            SELECT indexname, replace(indexdef, current_schema(), '') FROM pg_indexes WHERE schemaname = current_schema()
            UNION ALL
            SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
            ORDER BY 1, 2
        """
    with engine.begin() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def stamp(engine: sa.Engine) -> str:
    with engine.begin() as connection:
        return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one()


def test_the_newest_migration_leads_to_the_stamped_revision():
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == REVISION


def test_tables_made_at_once_are_those_that_migrations_build(engine, store_url):
    migrate(engine)
    built = described(engine)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        for name in sa.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {name}")
    assert described(engine) == []
    ensure_schema(engine, "the store")
    assert described(engine) == built
    assert stamp(engine) == REVISION


def test_migrated_tables_are_a_working_store(engine, store_url):
    migrate(engine)
    store = open_store(store_url)
    run_all(store, manifest(), items(2), [verdict(True)])
    assert [row.verdicts["exact"] for row in store.scored("run-1")] == [(True, None)] * 2
    store.close()


def test_an_older_store_is_migrated_with_what_it_holds(engine, store_url, later):
    store = open_store(store_url)
    run_all(store, manifest(), items(2), [verdict(True)])
    before = store.scored("run-1")
    ensure_schema(engine, "the store", later(), "9999")
    assert stamp(engine) == "9999"
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT note FROM runs").scalar_one() == "none"
    assert store.scored("run-1") == before
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(engine, store_url, later):
    open_store(store_url).close()
    before = described(engine)
    with pytest.raises(RuntimeError, match="half way"):
        ensure_schema(engine, "the store", later("raise RuntimeError('half way')"), "9999")
    assert described(engine) == before
    assert stamp(engine) == REVISION


def test_a_store_from_a_newer_version_is_refused(engine, store_url):
    open_store(store_url).close()
    with engine.connect() as connection, writing(connection).begin():
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer assay \(its schema is '9999'\): update assay"):
        open_store(store_url)


def test_tables_of_something_else_are_left_alone(engine, store_url):
    with engine.connect() as connection, writing(connection).begin():
        connection.exec_driver_sql("CREATE TABLE runs (id INTEGER)")
    before = described(engine)
    with pytest.raises(StoreError, match=r"tables of something else \(runs\)"):
        open_store(store_url)
    assert described(engine) == before


def test_a_server_may_be_shared(postgres_url):
    engine = make_engine(locate(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of the team')")
    open_store(postgres_url).close()
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "of the team"
    engine.dispose()


def _bring_up(url: str, migrations: Path, revision: str, barrier) -> None:
    engine = make_engine(locate(url))
    barrier.wait(timeout=60)
    ensure_schema(engine, url, migrations, revision)
    engine.dispose()


def all_at_once(url: str, migrations: Path, revision: str) -> list[int | None]:
    """Bring the tables up in three processes at the same moment; returns their exit codes."""
    context = multiprocessing.get_context("spawn")
    asked = (url, migrations, revision, context.Barrier(3))
    processes = [context.Process(target=_bring_up, args=asked) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def test_processes_that_open_a_fresh_store_at_once_all_succeed(store_url):
    assert all_at_once(store_url, MIGRATIONS, REVISION) == [0] * 3


def test_processes_that_open_an_older_store_at_once_migrate_it_once(engine, store_url, later):
    open_store(store_url).close()
    assert all_at_once(store_url, later(), "9999") == [0] * 3
    assert stamp(engine) == "9999"


def test_opening_a_current_store_writes_nothing(tmp_path):
    path = tmp_path / "assay.db"
    open_store(path).close()
    before = path.read_bytes(), path.stat().st_mtime_ns
    store = open_store(path)
    assert store.runs() == []
    assert not (tmp_path / "assay.db-wal").exists() or (tmp_path / "assay.db-wal").stat().st_size == 0
    store.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_new_file_lets_readers_and_a_writer_work_at_once(tmp_path):
    open_store(tmp_path / "assay.db").close()
    connection = sqlite3.connect(tmp_path / "assay.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.fixture
def asked():
    """Statements and parameters, as they go to the driver."""
    found: list[tuple[str, tuple]] = []

    def note(connection, cursor, statement, parameters, context, executemany):
        found.append((statement, parameters))

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield found
    event.remove(sa.Engine, "before_cursor_execute", note)


def test_no_query_reads_a_whole_table(tmp_path, asked):
    store = open_store(tmp_path / "assay.db")
    run_all(store, manifest("run-0"), items(3, lock="l"), [verdict(False)])
    rows = [item(0), item(1), item(2, action=Action.reuse, episode_id="run-0-1")]
    store.create_run(manifest(), rows)
    claims = store.claim("run-1", "w", 2, 60)
    store.renew("run-1", "w", 60)
    store.holders("run-1")
    store.release("run-1", "w", [0], crashed=True)
    store.commit("run-1", "w", [finished(claims[1], settled=False)])
    for ask in (store.run, store.scored, store.totals, lambda run_id: store.failures(run_id, 5)):
        ask("run-1")
    assert len(list(store.episodes("run-0"))) == 3
    store.episode("run-0-1")
    store.trace(trace_of("run-0-1").trace_id)
    store.reusable(["l"])
    store.judged(["run-0-0"])
    store.close()

    connection = sqlite3.connect(tmp_path / "assay.db")
    for statement, parameters in asked:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            values = parameters[0] if isinstance(parameters, list) else parameters
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            scans = [step for step in plan if re.match(r"SCAN (work|episodes|verdicts|trace)", step)]
            assert not scans, (statement, plan)
            if "picked" in statement:  # claims: what is settled must cost nothing
                assert any("work_open" in step for step in plan), (statement, plan)
    connection.close()
