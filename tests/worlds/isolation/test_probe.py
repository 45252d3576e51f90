from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.worlds.isolation.lab import needs_jail

from assay.core.errors import IsolationUnavailableError
from assay.worlds.isolation import bubblewrap
from assay.worlds.isolation.probe import CHANNELS, Probe, probe

pytestmark = pytest.mark.anyio

OPEN_IN_A_PROCESS = (
    "dev_shm", "host_environ", "host_file", "host_loopback", "keyring", "signal_host", "source", "sysv_shm", "tmp",
    "var_tmp",
)  # fmt: skip


@needs_jail
async def test_a_jail_closes_every_channel() -> None:
    found = await probe("jail", thorough=True)
    assert found.guarantees == ("fs", "pids", "net", "ipc", "env")
    assert (found.tried, found.leaks) == (16, ())
    assert found.line.startswith("isolation: jail (bubblewrap 0.")
    assert found.line.endswith(": fs pids net ipc env) - verified 16/16")


async def test_a_process_leaks_what_it_does_not_promise_to_close() -> None:
    found = await probe("process", thorough=True)
    assert found.guarantees == ("env",)
    assert found.leaks == OPEN_IN_A_PROCESS
    assert found.line == "isolation: process (env) - verified 6/16"


@needs_jail
async def test_the_hosts_network_leaks_the_network_only() -> None:
    found = await probe("jail", network="host", thorough=True)
    assert found.guarantees == ("fs", "pids", "ipc", "env")
    assert found.leaks == ("host_loopback",)


@needs_jail
async def test_auto_takes_the_jail_where_it_works() -> None:
    assert (await probe()).line.endswith(": fs pids net ipc env) - verified 6/6")


async def test_nothing_is_planted_for_good(tmp_path: Path) -> None:
    def planted() -> list[str]:
        return [
            str(path) for folder in ("/tmp", "/var/tmp", "/dev/shm") for path in Path(folder).glob("assay-canary-*")
        ]

    before = planted()
    await probe("process", thorough=True)
    assert planted() == before
    assert "ASSAY_CANARY" not in os.environ


async def test_a_task_promises_nothing() -> None:
    found = await probe("task")
    assert found.guarantees == ()
    assert found.line == "isolation: task (not hermetic)"


async def test_without_bubblewrap_a_jail_is_an_error_and_auto_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "candidates", list)
    with pytest.raises(IsolationUnavailableError, match="isolation jail: bubblewrap is not installed"):
        await probe("jail")
    assert (await probe()).line == "isolation: process (env) - bubblewrap is not installed - verified 1/6"


@needs_jail
def test_where_namespaces_are_forbidden_auto_falls_back_with_the_kernels_reason() -> None:
    script = "import asyncio; from assay.worlds.isolation.probe import probe; print(asyncio.run(probe()).line)"
    done = subprocess.run(
        [
            *(bubblewrap.candidates()[-1], "--dev-bind", "/", "/", "--unshare-user", "--disable-userns"),
            *(sys.executable, "-c", script),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("isolation: process (env) - bwrap: ")
    assert "namespace" in done.stdout


def test_every_channel_belongs_to_a_guarantee() -> None:
    assert len(CHANNELS) == 16
    assert set(CHANNELS.values()) == {"fs", "pids", "net", "ipc", "env"}


def test_the_line_tells_why_episodes_start_cold() -> None:
    found = Probe(kind="jail", guarantees=("fs",), version="bubblewrap 1.0", reason="no jail inside a jail", tried=2)
    assert found.line == "isolation: jail (bubblewrap 1.0: fs) - no jail inside a jail - verified 2/2"
