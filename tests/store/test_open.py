"""Opening: paths, URLs, folders, and databases that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import assay.store
from assay.core.errors import ConfigError, MissingExtraError, StoreError
from assay.store import SqlStore, open_store
from assay.store.address import locate
from assay.store.faults import fault
from tests.store.made import items, manifest


def test_importing_the_package_loads_no_database(tmp_path):
    code = """
import sys
import assay.store, assay.store.open
assert not {"sqlalchemy", "alembic", "psycopg"} & set(sys.modules)
assay.store.open_store(sys.argv[1]).close()
assert not {"alembic", "psycopg"} & set(sys.modules), "only migrations and servers need them"
"""
    for _ in range(2):  # a fresh store, then an existing one
        subprocess.run([sys.executable, "-c", code, tmp_path / "assay.db"], check=True)


def test_the_package_has_two_names():
    assert assay.store.SqlStore is SqlStore
    with pytest.raises(AttributeError, match="nothing"):
        _ = assay.store.nothing


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_file_is_named_by_path_or_url(tmp_path, form):
    path = tmp_path / "with space" / "assay.db"
    store = open_store(form.format(path))
    assert store.name == str(path)
    assert path.exists()
    store.close()


def test_a_path_may_be_relative_or_a_path_object(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store(Path("sub") / "assay.db")
    monkeypatch.chdir("/")
    store.create_run(manifest(), items(1))
    store.close()
    assert open_store(tmp_path / "sub" / "assay.db").run("latest").total == 1


def test_the_projects_folder_is_made_and_kept_out_of_git(tmp_path):
    open_store(tmp_path / ".assay" / "assay.db").close()
    assert (tmp_path / ".assay" / ".gitignore").read_text() == "*\n"
    (tmp_path / ".assay" / ".gitignore").write_text("mine")
    open_store(tmp_path / ".assay" / "assay.db").close()
    assert (tmp_path / ".assay" / ".gitignore").read_text() == "mine"
    open_store(tmp_path / "other" / "assay.db").close()
    assert not (tmp_path / "other" / ".gitignore").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "needs a file"),
        (":memory:", "needs a file"),
        ("sqlite://", "needs a file"),
        ("mysql://me:s3cret@host/db", "'mysql'"),
        ("postgresql+asyncpg://me:s3cret@host/db", "'postgresql\\+asyncpg'"),
        ("postgresql://me:s3cret@host:port/db", "cannot be read"),
        ("://s3cret", "cannot be read"),
    ],
)
def test_what_names_no_store_is_a_mistake_of_configuration(url, said):
    with pytest.raises(ConfigError, match=said) as raised:
        open_store(url)
    assert "s3cret" not in str(raised.value)
    assert "sqlite:///PATH or postgresql://" in str(raised.value)


def test_the_driver_of_postgresql_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'assay\[postgres\]'"):
        locate("postgresql://host/db")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("postgres://me@host:5433/db?sslmode=require", "postgresql://me@host:5433/db"),
        ("postgresql://host/db?password=s3cret&user=me", "postgresql://host/db"),
        ("postgresql://me@/db?host=%2Ftmp%2Fsock&passfile=s3cret", "postgresql://me@/db?host=%2Ftmp%2Fsock"),
    ],
)
def test_a_shown_url_has_no_secrets(url, shown):
    assert locate(url).shown == shown


@pytest.mark.postgres
def test_no_error_of_a_server_shows_the_password(postgres_server):
    for url in (
        f"postgresql://nobody:s3cret@/postgres?host={postgres_server}",
        f"postgresql://postgres:s3cret@/missing?host={postgres_server}",
        "postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=1",
        "postgresql://me:s3cret@/db?host=/no/such/folder",
        "postgresql://postgres@/db?host=/no/such/folder&password=s3cret",
    ):
        with pytest.raises(StoreError) as raised:
            open_store(url)
        error: BaseException | None = raised.value
        while error is not None:
            assert "s3cret" not in str(error)
            error = error.__cause__


@pytest.mark.postgres
def test_what_is_wrong_with_a_server_is_said(postgres_server):
    for url, said in (
        (f"postgresql://nobody@/postgres?host={postgres_server}", "check user and password|check that the server"),
        (f"postgresql://postgres@/missing?host={postgres_server}", "no such database|check that the server"),
        ("postgresql://me@/db?host=/no/such/folder", "check that the server runs"),
    ):
        with pytest.raises(StoreError, match=said):
            open_store(url)


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and they are long enough to be a page\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a SQLite database: name another file"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE users (id)")
    connection.close()
    with pytest.raises(StoreError, match=r"tables of something else \(users\)"):
        open_store(path)


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/assay.db: its folder cannot be made"):
        open_store(tmp_path / "file" / "assay.db")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "assay.db"
    store = open_store(path)
    store.create_run(manifest(), items(2000))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="the file is damaged: restore a copy"):
        open_store(path).scored("run-1")


def test_a_locked_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "assay.db"
    open_store(path).close()
    monkeypatch.setattr("assay.store.connect.WAIT_S", 0.05)
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process kept it locked"):
        store.claim("run-1", "w", 1, 60)
    assert store.runs() == []  # reading goes on
    other.close()
    assert store.claim("run-1", "w", 1, 60) == []
    store.close()


READ_ONLY = """
import os, sys
import sqlalchemy.dialects.sqlite
from assay.core.errors import StoreError
from assay.store import SqlStore
if os.geteuid() == 0:  # root may write everything, so become someone else once all is loaded
    os.setuid(65534)
try:
    SqlStore(sys.argv[1]).finish_run("run-1", "finished")
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("exists", [True, False])
def test_a_store_that_may_not_be_written_is_named(exists):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "assay.db"
        if exists:
            store = open_store(path)
            store.create_run(manifest(), [])
            store.close()
            path.chmod(0o444)
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", READ_ONLY, path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        Path(folder).chmod(0o755)
    assert done.stdout.startswith(f"the store {path}: it cannot be ")
    assert "this user" in done.stdout


def test_a_fault_without_a_known_cause_still_names_the_store():
    from sqlalchemy.exc import InvalidRequestError

    assert str(fault("here", InvalidRequestError("odd"))) == "the store here: the database refused (odd)"
