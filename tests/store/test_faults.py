"""What happens when the database fails: full disks, lost connections, rivals."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import subprocess
import sys

import psycopg
import pytest

from assay.core.errors import StoreError, StoreFullError
from assay.store import connect, open_store
from tests.store.made import finished, items, manifest, run_all, verdict

FILL = """
import random, sys
from assay.core.errors import StoreFullError
from assay.store import open_store
from tests.store.made import finished, items, manifest, verdict

store = open_store(sys.argv[1])
store.create_run(manifest(), items(500))
try:
    for _ in range(500):
        (claim,) = store.claim("run-1", "w", 1, 60)
        noise = random.Random(claim.seq).randbytes(10_000).hex()
        store.commit("run-1", "w", [finished(claim, [verdict(True)], outputs=(noise,))])
        print(claim.seq, flush=True)
except StoreFullError as error:
    print(error, file=sys.stderr)
"""


def check_intact(path, acknowledged: list[int]) -> None:
    """All that was acknowledged is there, whole, and the run can go on."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    store = open_store(path)
    settled = [row.seq for row in store.scored("run-1") if row.outcome]
    assert settled == acknowledged
    assert [row.verdicts for row in store.scored("run-1") if row.outcome] == [{"exact": (True, None)}] * len(settled)
    assert len([found.output for found in store.episodes("run-1") if found.output]) == len(settled)
    for worker, seqs in store.holders("run-1").items():
        store.release("run-1", worker, seqs, crashed=False)
    claims = store.claim("run-1", "next", 1000, 60)
    assert len(claims) == 500 - len(settled)
    assert len(store.commit("run-1", "next", [finished(claim) for claim in claims])) == len(claims)
    store.close()


def check_filled(done: subprocess.CompletedProcess[str], path) -> None:
    acknowledged = [int(line) for line in done.stdout.split()]
    assert acknowledged
    assert len(acknowledged) < 500
    assert f"the store {path}: " in done.stderr
    assert "free some and resume the run; what was committed before is intact" in done.stderr
    check_intact(path, acknowledged)


def test_a_file_that_may_grow_no_more_is_a_full_store_and_stays_intact(tmp_path):
    path = tmp_path / "assay.db"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    done = subprocess.run(
        [sys.executable, "-c", FILL, path], preexec_fn=limit, capture_output=True, text=True, check=True
    )
    check_filled(done, path)


def test_a_full_disk_is_a_full_store_and_stays_intact(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = f'mount -t tmpfs -o size=3m none {disk} && {sys.executable} -c "$FILL" {disk}/assay.db; cp {disk}/assay* {tmp_path}'
    unshare = shutil.which("unshare")
    command = [unshare or "unshare", "--mount", "--map-root-user", "sh", "-c", inside]
    if unshare is None or subprocess.run([*command[:-1], "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here, so no disk that can be filled")
    done = subprocess.run(command, env={"FILL": FILL, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    acknowledged = [int(line) for line in done.stdout.split()]
    assert 0 < len(acknowledged) < 500
    assert "no space is left" in done.stderr
    check_intact(tmp_path / "assay.db", acknowledged)


def test_a_group_that_does_not_fit_is_not_written_at_all(tmp_path, monkeypatch):
    path = tmp_path / "assay.db"
    open_store(path).close()
    monkeypatch.setattr(connect, "_PRAGMAS", (*connect._PRAGMAS, "max_page_count=100"))
    store = open_store(path)
    store.create_run(manifest(), items(10))
    claims = store.claim("run-1", "w", 10, 60)
    assert store.commit("run-1", "w", [finished(claims[0])]) == [0]
    with pytest.raises(StoreFullError, match="no space is left"):
        store.commit(
            "run-1",
            "w",
            [finished(claim, outputs=(random.Random(claim.seq).randbytes(50_000).hex(),)) for claim in claims[1:]],
        )
    assert store.run("run-1").done == 1
    assert store.commit("run-1", "w", [finished(claim) for claim in claims[1:]]) == list(range(1, 10))
    store.close()


@pytest.mark.postgres
class TestServer:
    @pytest.fixture
    def store_url(self, postgres_url):
        return postgres_url

    @pytest.fixture
    def server(self, postgres_url):
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            yield connection

    def raise_on_insert(self, server, table: str, condition: str, code: str) -> None:
        server.execute(f"""
            CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
                IF {condition} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{code}'; END IF;
                RETURN NEW;
            END $$ LANGUAGE plpgsql""")
        server.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()")

    def test_a_full_disk_of_the_server(self, store, server):
        store.create_run(manifest(), items(2))
        claims = store.claim("run-1", "w", 2, 60)
        store.commit("run-1", "w", [finished(claims[0])])
        self.raise_on_insert(server, "trace_chunks", "true", "53100")
        with pytest.raises(StoreFullError, match="free some and resume the run") as raised:
            store.commit("run-1", "w", [finished(claims[1])])
        assert store.name in str(raised.value)
        assert store.run("run-1").done == 1
        server.execute("DROP TRIGGER refuse ON trace_chunks")
        assert store.commit("run-1", "w", [finished(claims[1])]) == [1]

    def test_a_transaction_that_lost_to_a_rival_is_run_again(self, store, server):
        store.create_run(manifest(), items(1))
        claims = store.claim("run-1", "w", 1, 60)
        server.execute("CREATE SEQUENCE tries")
        self.raise_on_insert(server, "episodes", "nextval('tries') < 4", "40P01")
        assert store.commit("run-1", "w", [finished(claims[0], [verdict(True)])]) == [0]
        assert store.scored("run-1")[0].verdicts == {"exact": (True, None)}

    def test_a_transaction_that_always_loses_fails(self, store, server):
        store.create_run(manifest(), items(1))
        claims = store.claim("run-1", "w", 1, 60)
        self.raise_on_insert(server, "episodes", "true", "40001")
        with pytest.raises(StoreError, match="other writers got in the way"):
            store.commit("run-1", "w", [finished(claims[0])])
        assert store.run("run-1").done == 0

    def test_connections_that_the_server_ended_are_made_anew(self, store, server):
        run_all(store, manifest(), items(1))
        ended = server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'assay' AND pid <> %s",
            [server.info.backend_pid],
        ).fetchall()
        assert ended
        assert store.run("run-1").done == 1

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("53300", "no free connection"),
            ("42501", "grant it the right"),
            ("25006", "read-only"),
            ("57P01", "stopping"),
        ],
    )
    def test_what_the_server_refuses_is_explained(self, store, server, code, said):
        self.raise_on_insert(server, "runs", "true", code)
        with pytest.raises(StoreError, match=said):
            store.create_run(manifest(), [])
