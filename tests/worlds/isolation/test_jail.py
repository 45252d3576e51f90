from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.worlds.isolation.lab import Lab, call, needs_jail

from assay.core.errors import ConfigError
from assay.core.sandbox import Command, Place
from assay.worlds.isolation import bubblewrap

pytestmark = [pytest.mark.anyio, needs_jail]

WRITABLE = ["/dev/shm", "/home/agent", "/run", "/tmp", "/var/tmp", "/workspace"]
WITHOUT_NESTING = """#!/bin/sh
[ "$1" = --version ] && exec {bwrap} --version
exec {bwrap} --disable-userns "$@"
"""


@pytest.fixture(params=["jails in a jail", "a jail for each"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to make a jail: the second is what remains where a security module forbids nested namespaces."""
    if request.param == "a jail for each":
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "bwrap"
        program.write_text(WITHOUT_NESTING.format(bwrap=bubblewrap.candidates()[0]))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return request.param


async def test_the_way_is_the_one_that_works(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail") as sandbox:
        assert sandbox.cold.startswith("no jail inside a jail") == (way == "a jail for each")
        assert sandbox.guarantees == ("fs", "pids", "net", "ipc", "env")


async def test_an_ordinary_user_without_capabilities(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail") as sandbox:
        facts = json.loads(await lab.ask(sandbox, "report"))
        _, ended = await lab.play(sandbox, Command(argv=("sh", "-c", "id -un; hostname; cat /proc/self/status")))
    name, host, *status = ended.stdout.decode().splitlines()
    assert (facts["uid"], name, host) == (1000, "agent", "assay")
    for lines in (status, facts["status"].splitlines()):
        fields = dict(line.split(":\t", 1) for line in lines)
        assert {int(fields[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
        assert fields["NoNewPrivs"] == "1"
        assert fields["Uid"].split() == ["1000"] * 4


async def test_paths_are_constant(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail") as sandbox:
        inside = sandbox.inside(lab.place())
        facts = json.loads(await lab.ask(sandbox, "report"))
    assert (inside.work, inside.home, inside.tmp) == ("/workspace", "/home/agent", "/tmp")
    assert (facts["cwd"], facts["home"], facts["env"]["TMPDIR"]) == ("/workspace", "/home/agent", "/tmp")


async def test_only_the_place_and_private_directories_can_be_written(lab: Lab, way: str) -> None:
    place = lab.place()
    async with lab.sandbox("jail") as sandbox:
        assert sorted(json.loads(await lab.ask(sandbox, "writable_places", place=place))) == WRITABLE
        told = json.loads(await lab.ask(sandbox, "write_files", json.dumps(WRITABLE).encode(), place=place))
        assert set(told.values()) == {"written"}
        seen = json.loads(await lab.ask(sandbox, "read_files", json.dumps(WRITABLE).encode()))
    assert made_by_agent(place) == ["x"] * 3
    assert not [path for path, names in seen.items() if "made-by-agent" in names]


async def test_the_project_can_be_read_and_not_written(lab: Lab, way: str) -> None:
    (lab.project / "data.txt").write_text("data")
    async with lab.sandbox("jail") as sandbox:
        path = str(lab.project / "data.txt")
        assert json.loads(await lab.ask(sandbox, "read_files", json.dumps([path]).encode())) == {path: "data"}
        project = str(lab.project)
        told = json.loads(await lab.ask(sandbox, "write_files", json.dumps([project]).encode()))
        assert told == {project: "OSError"}


async def test_hidden_paths_are_hidden_under_every_name(lab: Lab, way: str) -> None:
    (lab.project / ".env").write_text("TOKEN=secret")
    (lab.project / ".git" / "objects").mkdir(parents=True)
    (lab.project / "golden").mkdir()
    (lab.project / "golden" / "answers.txt").write_text("42")
    (lab.project / "shortcut").symlink_to("golden")
    hide = (".env", ".git", "shortcut", str(lab.project / "golden"), "not-there")
    names = [".env", ".git", "golden", "shortcut", "golden/answers.txt", "shortcut/answers.txt"]
    asked = json.dumps([str(lab.project / name) for name in names]).encode()
    async with lab.sandbox("jail", hide=hide) as sandbox:
        seen = list(json.loads(await lab.ask(sandbox, "read_files", asked)).values())
        hidden = [str(lab.project / name) for name in (".git", "golden")]
        told = json.loads(await lab.ask(sandbox, "write_files", json.dumps(hidden).encode()))
    assert seen == ["", [], [], [], "FileNotFoundError", "FileNotFoundError"]
    assert set(told.values()) == {"OSError"}


async def test_the_scratch_directory_is_hidden_even_inside_the_project(lab: Lab, way: str) -> None:
    lab.scratch = lab.project / ".assay" / "scratch"
    lab.scratch.mkdir(parents=True)
    (lab.scratch / "other-episode").mkdir()
    asked = json.dumps([str(lab.scratch)]).encode()
    async with lab.sandbox("jail") as sandbox:
        assert json.loads(await lab.ask(sandbox, "read_files", asked)) == {str(lab.scratch): []}
    async with lab.sandbox("jail", hide=(".assay",)) as sandbox:
        (seen,) = json.loads(await lab.ask(sandbox, "read_files", asked)).values()
        assert seen in ([], "FileNotFoundError")


async def test_a_scratch_directory_in_shared_memory(lab: Lab, way: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        lab.scratch = Path(scratch)
        asked = json.dumps(["/dev/shm"]).encode()
        async with lab.sandbox("jail") as sandbox:
            assert json.loads(await lab.ask(sandbox, "read_files", asked)) == {"/dev/shm": []}


async def test_host_files_and_processes_are_out_of_sight(lab: Lab, way: str) -> None:
    asked = json.dumps(["/etc/shadow", "/sys/kernel", "/var/log", str(lab.scratch), str(lab.project.parent)]).encode()
    async with lab.sandbox("jail") as sandbox:
        seen = json.loads(await lab.ask(sandbox, "read_files", asked))
        processes = json.loads(await lab.ask(sandbox, "list_processes"))
    assert seen.pop(str(lab.project.parent)) == ["project"]
    assert set(seen.values()) <= {"FileNotFoundError"}
    assert len(processes) <= (2 if way == "jails in a jail" else 4)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could write there in the first place")
async def test_the_kernels_settings_cannot_be_written_even_when_root_runs_the_tests(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail") as sandbox:
        assert await lab.ask(sandbox, "write_sysctl") == b"OSError"
    async with lab.sandbox("process") as sandbox:
        assert await lab.ask(sandbox, "write_sysctl") == b"written"


async def test_a_user_namespace_of_its_own_uncovers_nothing(lab: Lab) -> None:
    covered = [str(lab.scratch), "/tmp", "/.proc", "/proc/sys", "/proc", "/dev/shm", "/workspace"]
    async with lab.sandbox("jail") as sandbox:
        told = await lab.ask(sandbox, "dig", json.dumps(covered).encode())
    assert b"uncovered" not in told
    assert told.count(b"umount:") == len(covered)


async def test_network_none_has_a_loopback_of_its_own(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail") as sandbox:
        with_server = Command(
            argv=(
                sys.executable,
                "-c",
                "import socket\nserver = socket.create_server(('127.0.0.1', 4242))\n"  # noqa: ISC004 - one script
                "socket.create_connection(('localhost', 4242))\nprint(socket.if_nameindex())",
            )
        )
        _, ended = await lab.play(sandbox, with_server)
    assert ended.stdout == b"[(1, 'lo')]\n", ended.stderr


async def test_network_host_is_a_missing_guarantee(lab: Lab, way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1]).encode()
        async with lab.sandbox("jail") as sandbox:
            assert await lab.ask(sandbox, "connect", port) != b"0"
        async with lab.sandbox("jail", network="host") as sandbox:
            assert sandbox.guarantees == ("fs", "pids", "ipc", "env")
            assert await lab.ask(sandbox, "connect", port) == b"0"


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel does not count the processes of the real root")
async def test_the_number_of_processes_is_bounded_for_ordinary_users(lab: Lab, way: str) -> None:
    async with lab.sandbox("jail", processes=30) as sandbox:
        frames, ended = await lab.play(sandbox, call("fork_until_refused", b"60"))
    assert ended.code == 0
    assert 0 < int(frames[0].data) <= 30


async def test_a_view_that_would_show_private_directories_is_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="must be private"):
        async with lab.sandbox("jail", project_root="/home"):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="already an ordinary user")
def test_the_same_for_an_ordinary_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs this very file as another user, where that user can start an interpreter with these packages."""
    python = interpreter_for_everybody()
    if python is None:
        pytest.skip("no interpreter of this version that an ordinary user may start")
    done = subprocess.run(
        [
            "setpriv", "--reuid=20001", "--regid=20001", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
            "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHONPATH={os.pathsep.join(packages())}",
            "PYTHONDONTWRITEBYTECODE=1", python, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider",
            str(Path(__file__)), str(Path(__file__).with_name("test_probe.py")),
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def made_by_agent(place: Place) -> list[str]:
    return [Path(folder, "made-by-agent").read_text() for folder in (place.work, place.home, place.tmp)]


def packages() -> list[str]:
    return [*(path for path in sys.path if path.endswith("site-packages")), *bubblewrap.import_roots()]


def interpreter_for_everybody() -> str | None:
    """This interpreter, or another one of its version, that does not lie in somebody's private home; none where we do."""
    if not all(everybody_may_enter(Path(place)) for place in (__file__, *packages())):
        return None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if Path(path).exists() and everybody_may_enter(Path(path)):
            return path
    return None


def everybody_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in path.resolve().parents)


async def test_threads_that_a_fork_starts_are_waited_for(lab: Lab) -> None:
    """The OpenTelemetry SDK asks for its resource in threads after every fork; a process with threads gets no namespace."""
    (lab.project / "forker.py").write_text(
        "import os, threading, time\n"
        "os.register_at_fork(after_in_child=lambda: threading.Thread(target=time.sleep, args=(0.05,)).start())\n"
    )
    async with lab.sandbox("jail", preload=("agents", "forker")) as sandbox:
        assert sandbox.cold == ""
        for _ in range(3):
            assert json.loads(await lab.ask(sandbox, "report"))
