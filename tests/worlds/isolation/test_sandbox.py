from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.worlds.isolation.lab import Lab, call, kinds, living_with, until

from assay.core.errors import ConfigError, WorldError
from assay.core.sandbox import Command, Frame, Place, Sandbox
from assay.worlds.isolation.sandbox import open_sandbox
from assay.worlds.isolation.spec import PreloadError

pytestmark = pytest.mark.anyio

TREE = 20


@kinds
async def test_a_call_streams_frames_and_exits_with_zero(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        frames, ended = await lab.play(sandbox, call("speak", b"5"))
    assert frames == [Frame(kind=number, data=b"x" * number) for number in range(5)]
    assert (ended.status, ended.code, ended.signal, ended.dropped) == ("exited", 0, None, 0)


@kinds
async def test_a_large_frame_arrives_whole(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        assert await lab.ask(sandbox, "send_large", b"20000000") == b"y" * 20_000_000


@kinds
async def test_an_exception_is_exit_code_1_with_its_traceback_on_stderr(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        _, ended = await lab.play(sandbox, call("fail"))
    assert (ended.status, ended.code) == ("exited", 1)
    assert b"ValueError: the agent is confused" in ended.stderr


@pytest.mark.parametrize(("value", "code"), [("3", 3), ("null", 0), ('"no"', 1)])
async def test_leaving_gives_the_exit_code_of_an_interpreter(lab: Lab, value: str, code: int) -> None:
    async with lab.sandbox("process") as sandbox:
        _, ended = await lab.play(sandbox, call("leave", value.encode()))
    assert (ended.status, ended.code) == ("exited", code)


async def test_threads_and_exit_handlers_run_to_their_end(lab: Lab) -> None:
    async with lab.sandbox("process") as sandbox:
        frames, ended = await lab.play(sandbox, call("end_late"))
    assert [frame.data for frame in frames] == [b"from a thread", b"at exit"]
    assert ended.code == 0


@kinds
async def test_a_signal_is_told_apart_from_an_exit_code(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        _, ended = await lab.play(sandbox, call("die", str(int(signal.SIGSEGV)).encode()))
    assert (ended.status, ended.code, ended.signal) == ("signaled", None, signal.SIGSEGV)


@kinds
async def test_a_command_gets_its_input_place_and_exit_code(lab: Lab, kind: str) -> None:
    place = lab.place(GREETING="hello")
    async with lab.sandbox(kind) as sandbox:
        script = 'cat; pwd; echo "$GREETING"; echo oops >&2; echo made > result.txt; exit 3'
        program = Command(argv=("sh", "-c", script), stdin=b"from stdin\n")
        frames, ended = await lab.play(sandbox, program, place=place)
        inside = sandbox.inside(place)
    assert frames == []
    assert ended.stdout.decode().splitlines() == ["from stdin", inside.work, "hello"]
    assert (ended.stderr, ended.status, ended.code) == (b"oops\n", "exited", 3)
    assert text_of(place.work, "result.txt") == "made\n"


@kinds
async def test_input_larger_than_a_pipe_does_not_block(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        program = Command(argv=("wc", "-c"), stdin=b"z" * 5_000_000)
        _, ended = await lab.play(sandbox, program)
    assert ended.stdout.strip() == b"5000000"


async def test_a_missing_program_is_127_as_in_a_shell(lab: Lab) -> None:
    async with lab.sandbox("process") as sandbox:
        _, ended = await lab.play(sandbox, Command(argv=("no-such-program",)))
    assert (ended.status, ended.code) == ("exited", 127)
    assert b"no-such-program" in ended.stderr


@kinds
async def test_nothing_of_the_host_environment_is_inherited(
    lab: Lab, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    place = lab.place(GREETING="hello")
    async with lab.sandbox(kind, env={"MODEL": "small"}) as sandbox:
        facts = json.loads(await lab.ask(sandbox, "report", place=place))
        inside = sandbox.inside(place)
        _, ended = await lab.play(sandbox, Command(argv=("env",)), place=place)
    expected = {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": inside.home,
        "TMPDIR": inside.tmp,
        "PWD": inside.work,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "USER": "agent",
        "LOGNAME": "agent",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MODEL": "small",
        "GREETING": "hello",
    }
    assert facts["env"] == expected
    assert dict(line.split("=", 1) for line in ended.stdout.decode().splitlines()) == expected
    assert (facts["cwd"], facts["home"]) == (inside.work, inside.home)


@kinds
async def test_episodes_share_one_import_of_the_agent_and_nothing_else(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        one, two = [json.loads(await lab.ask(sandbox, "report")) for _ in range(2)]
        assert sandbox.cold == ""
    assert one["imported_at"] == two["imported_at"]
    assert one["random"] != two["random"]
    assert one["hash"] == two["hash"]


async def test_the_hash_seed_is_the_one_that_was_asked_for(lab: Lab) -> None:
    async with lab.sandbox("process", hash_seed=1) as one, lab.sandbox("process", hash_seed=2) as two:
        hashes = [json.loads(await lab.ask(sandbox, "report"))["hash"] for sandbox in (one, two)]
    assert hashes[0] != hashes[1]


async def test_a_zygote_without_an_agent_loads_nothing_heavy(lab: Lab) -> None:
    async with lab.sandbox("process", preload=()) as sandbox:
        facts = json.loads(await lab.ask(sandbox, "report"))
    assert not {"msgspec", "numpy", "asyncio"} & set(facts["modules"])


@kinds
async def test_numpy_starts_warm_and_every_episode_draws_its_own_numbers(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind, preload=("agents", "numpy")) as sandbox:
        assert sandbox.cold == ""
        draws = [tuple(json.loads(await lab.ask(sandbox, "draw"))) for _ in range(2)]
    assert draws[0][0] != draws[1][0]
    assert draws[0][1] != draws[1][1]


@kinds
async def test_output_beyond_the_bound_keeps_beginning_and_end(lab: Lab, kind: str) -> None:
    size = 30_000_000 // 65536 * 65536
    async with lab.sandbox(kind, output_bytes=1000) as sandbox:
        _, ended = await lab.play(sandbox, call("flood", str(size).encode()))
    assert ended.stdout.startswith(b"FIRST\n0123456789abcde\n")
    assert ended.stdout.endswith(b"0123456789abcde\nLAST\n")
    assert ended.dropped == size + len(b"FIRST\nLAST\n") - 1000
    assert len(ended.stdout) < 1100


@kinds
async def test_what_was_sent_and_printed_before_a_timeout_survives_it(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        frames, ended = await lab.play(sandbox, call("hang"), wall_s=0.5)
    assert [frame.data for frame in frames] == [b"before"]
    assert (ended.status, ended.code, ended.stdout) == ("timeout", None, b"about to hang\n")


@kinds
async def test_kill_ends_a_program_at_once(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        running = await sandbox.start(call("hang"), lab.place(), wall_s=600, memory_mb=None, listen=False)
        await anext(running.frames())
        await running.kill()
        assert (await running.exit()).status == "killed"


@kinds
async def test_frames_that_nobody_reads_do_not_hold_a_program_up(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        running = await sandbox.start(
            call("send_large", b"5000000"), lab.place(), wall_s=60, memory_mb=None, listen=False
        )
        assert (await running.exit()).status == "exited"


async def test_a_malformed_frame_ends_the_program(lab: Lab) -> None:
    async with lab.sandbox("process") as sandbox:
        frames, ended = await lab.play(sandbox, call("write_garbage"), wall_s=600)
    assert frames == []
    assert ended.status == "killed"
    assert "beyond the limit" in ended.detail


@kinds
async def test_memory_beyond_the_limit_is_the_agents_error(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        _, ended = await lab.play(sandbox, call("allocate", b"2000000000"), memory_mb=1000)
        _, unlimited = await lab.play(sandbox, call("allocate", b"200000000"), memory_mb=1000)
    assert (ended.status, ended.code) == ("exited", 1)
    assert b"MemoryError" in ended.stderr
    assert unlimited.code == 0


@kinds
@pytest.mark.parametrize("ending", ["by itself", "by timeout", "by kill"])
async def test_no_descendant_outlives_its_episode(lab: Lab, kind: str, ending: str) -> None:
    token = secrets.token_hex(8)
    payload = json.dumps({"token": token, "then_sleep_s": 0 if ending == "by itself" else 600}).encode()
    async with lab.sandbox(kind) as sandbox:
        running = await sandbox.start(
            call("spawn_tree", payload),
            lab.place(),
            wall_s=3 if ending == "by timeout" else 600,
            memory_mb=None,
            listen=False,
        )
        frames = running.frames()
        await anext(frames)
        if ending != "by itself":
            await until(lambda: len(living_with(token)) == TREE)
        if ending == "by kill":
            await running.kill()
        ended = await running.exit()
        survivors = living_with(token)
    assert ended.status == {"by itself": "exited", "by timeout": "timeout", "by kill": "killed"}[ending]
    assert survivors == []


WORKER = """
import asyncio, json, sys
from tests.worlds.isolation.lab import Lab, call

async def main(kind, folder, token):
    from pathlib import Path
    lab = Lab(Path(folder))
    async with lab.sandbox(kind) as sandbox:
        payload = json.dumps({"token": token, "then_sleep_s": 600}).encode()
        running = await sandbox.start(call("spawn_tree", payload), lab.place(), wall_s=600, memory_mb=None, listen=False)
        async for frame in running.frames():
            print(frame.data.decode(), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start_worker(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )


@kinds
async def test_a_killed_worker_leaves_nothing_running(tmp_path: Path, kind: str) -> None:
    token = secrets.token_hex(8)
    with start_worker(kind, str(tmp_path), token) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"planted\n"
        await until(lambda: len(living_with(token)) == TREE + 1)  # the worker itself carries the token too
        worker.kill()
    await until(lambda: not living_with(token))
    await until(lambda: not living_with(str(tmp_path)))


@kinds
async def test_a_dead_zygote_loses_its_episodes_and_is_replaced(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        running = await sandbox.start(call("hang"), lab.place(), wall_s=600, memory_mb=None, listen=False)
        await anext(running.frames())
        os.kill(zygote_of(os.getpid()), signal.SIGKILL)
        ended = await running.exit()
        assert ended.status == "lost"
        assert "died" in ended.detail
        assert await lab.ask(sandbox, "noop", b"again") == b"again"


async def test_what_a_killed_supervisor_leaves_is_swept_up(lab: Lab) -> None:
    token = secrets.token_hex(8)
    async with lab.sandbox("process") as sandbox:
        place = lab.place()
        running = await sandbox.start(
            call("kill_supervisor", token.encode()), place, wall_s=600, memory_mb=None, listen=False
        )
        await anext(running.frames())
        make_file(place.work, "go")
        assert (await running.exit()).status == "lost"
        await until(lambda: not living_with(token))
        assert await lab.ask(sandbox, "noop", b"still there") == b"still there"


@kinds
async def test_a_hundred_episodes_at_once(lab: Lab, kind: str) -> None:
    async with lab.sandbox(kind) as sandbox:
        answers = await asyncio.gather(*(lab.ask(sandbox, "noop", str(number).encode()) for number in range(100)))
    assert answers == [str(number).encode() for number in range(100)]


@kinds
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "1 thread"),
        ("import asyncio; loop = asyncio.new_event_loop()", "eventpoll"),
        ("import socket; connection = socket.socket()", "socket"),
        ("log = open(__file__)", "/unsafe.py"),
    ],
)
async def test_an_agent_that_cannot_be_copied_is_imported_by_every_episode(
    lab: Lab, kind: str, statement: str, reason: str
) -> None:
    (lab.project / "unsafe.py").write_text(f"from agents import *\n{statement}\n")
    async with lab.sandbox(kind, preload=("unsafe",)) as sandbox:
        assert reason in sandbox.cold
        one, two = [json.loads(await lab.ask(sandbox, "report")) for _ in range(2)]
        assert one["imported_at"] != two["imported_at"]


@kinds
async def test_an_import_error_carries_the_traceback(lab: Lab, kind: str) -> None:
    (lab.project / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(PreloadError, match="ModuleNotFoundError: No module named 'no_such_module'") as caught:
        await open_sandbox(lab.spec(kind, preload=("broken",)))
    assert caught.value.module == "broken"
    assert isinstance(caught.value, ConfigError)


@kinds
async def test_an_agent_that_kills_the_interpreter_on_import_is_reported(lab: Lab, kind: str) -> None:
    (lab.project / "deadly.py").write_text("import os\nprint('last words', flush=True)\nos.kill(os.getpid(), 11)\n")
    with pytest.raises(PreloadError, match="last words"):
        await open_sandbox(lab.spec(kind, preload=("deadly",)))


@kinds
async def test_an_import_that_never_ends_is_given_up(lab: Lab, kind: str) -> None:
    (lab.project / "endless.py").write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(WorldError, match="was not ready"):
        await open_sandbox(lab.spec(kind, preload=("endless",), open_timeout_s=1.0))


@kinds
async def test_what_is_printed_on_import_is_not_printed_by_every_episode(lab: Lab, kind: str) -> None:
    (lab.project / "chatty.py").write_text("from agents import *\nprint('imported', end='')\n")
    async with lab.sandbox(kind, preload=("chatty",)) as sandbox:
        _, ended = await lab.play(sandbox, call("noop"))
    assert ended.stdout == b""


@kinds
async def test_a_listener_is_served_by_the_worker_and_reached_by_the_program(lab: Lab, kind: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nserved")
        await writer.drain()
        writer.close()

    async def episode() -> bytes:
        place = lab.place(SERVICE_URL="http://127.0.0.1:{listen_port}/")
        running = await sandbox.start(call("fetch"), place, wall_s=60, memory_mb=None, listen=True)
        assert running.listener is not None
        assert running.listener.getsockname() == ("127.0.0.1", running.listen_port)
        async with await asyncio.start_server(answer, sock=running.listener):
            (frame,) = [frame async for frame in running.frames()]
        assert (await running.exit()).code == 0
        return frame.data

    async with lab.sandbox(kind) as sandbox:
        assert await asyncio.gather(*(episode() for _ in range(5))) == [b"served"] * 5


@kinds
async def test_a_place_that_is_not_there_is_the_worlds_error(lab: Lab, kind: str) -> None:
    place = Place(work=str(lab.scratch / "nowhere"), home=str(lab.scratch), tmp=str(lab.scratch), env={})
    async with lab.sandbox(kind) as sandbox:
        with pytest.raises(WorldError, match="No such file or directory"):
            await lab.play(sandbox, call("noop"), place=place)
        assert await lab.ask(sandbox, "noop", b"fine") == b"fine"


@kinds
async def test_nothing_is_left_behind(lab: Lab, kind: str) -> None:
    before = traces_of(os.getpid())
    async with lab.sandbox(kind) as sandbox:
        place = lab.place()
        for _ in range(3):
            await lab.ask(sandbox, "noop", place=place)
        hanging = await sandbox.start(call("hang"), lab.place(), wall_s=600, memory_mb=None, listen=False)
    assert (await hanging.exit()).status == "killed"
    assert traces_of(os.getpid()) == before
    assert sorted(path.name for path in lab.scratch.iterdir()) == ["episode-1", "episode-2"]
    assert living_with(str(lab.scratch)) == []


def make_file(*path: str) -> None:
    Path(*path).touch()


def text_of(*path: str) -> str:
    return Path(*path).read_text()


def traces_of(pid: int) -> tuple[list[int], list[str], int]:
    """Children, mounts and number of open descriptors of a process."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return children(pid), mounts, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def children(pid: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == pid:
                found.append(int(folder.name))
    return found


def zygote_of(worker: int) -> int:
    """The interpreter that forks supervisors: the only Python below the worker that is not below another one."""
    below = children(worker)
    while below:
        pid = below.pop()
        if "python" in str(Path(f"/proc/{pid}/exe").readlink()):
            return pid
        below += children(pid)
    raise AssertionError("no zygote")


def test_the_sandbox_satisfies_its_protocol(lab: Lab) -> None:
    async def open_one() -> Sandbox:
        return await open_sandbox(lab.spec("process"))

    async def main() -> None:
        await (await open_one()).close()

    asyncio.run(main())
