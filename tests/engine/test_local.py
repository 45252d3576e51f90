from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from assay.core.errors import ConfigError, HarnessError
from assay.engine.job import Job, Result
from assay.engine.local import LocalEngine
from tests.engine.jobs import Refusing, Script, Stillborn


def run(payloads: list[bytes], *, job: Job | None = None, workers: int = 2, slots: int = 8) -> list[Result]:
    engine = LocalEngine(job or Script(), workers=workers, slots=slots)
    engine.start()
    return asyncio.run(drive(engine, payloads))


async def drive(engine: LocalEngine, payloads: list[bytes]) -> list[Result]:
    waiting = list(enumerate(payloads))
    done: list[Result] = []
    await engine.attach()
    try:
        while waiting or engine.in_flight:
            now, waiting = waiting[: engine.free], waiting[engine.free :]
            engine.submit(now)
            done += await engine.results(timeout_s=5)
    finally:
        await engine.close()
    return done


def test_every_item_comes_back_once_with_its_own_result() -> None:
    payloads = [f"echo {number}".encode() for number in range(2_000)]
    results = run(payloads)
    assert {result.key: result.payload for result in results} == dict(enumerate(payloads))
    assert len(results) == len(payloads)


def test_items_run_in_more_than_one_process_at_once() -> None:
    results = run([b"pid"] * 200, slots=4)
    pids = {result.payload for result in results}
    assert len(pids) == 2
    assert str(os.getpid()).encode() not in pids


def test_a_death_is_reported_for_what_the_worker_held_and_the_rest_goes_on() -> None:
    payloads = [b"sleep 0.2"] * 6 + [b"exit 3"] + [b"echo"] * 20
    results = run(payloads, workers=2, slots=4)
    dead = [result for result in results if result.death is not None]
    assert 6 in {result.key for result in dead}
    assert {result.death.status for result in dead if result.death} == {3}
    assert len(results) == len(payloads)


def test_a_death_alone_can_be_blamed_on_the_item() -> None:
    async def alone() -> list[Result]:
        await engine.attach()
        engine.submit([(1, b"sleep 0.3")])
        await engine.submit_alone(2, b"kill")
        found: list[Result] = []
        while engine.in_flight:
            found += await engine.results(timeout_s=5)
        await engine.close()
        return found

    engine = LocalEngine(Script(), workers=1, slots=4)
    engine.start()
    results = {result.key: result for result in asyncio.run(alone())}
    assert results[1].death is None
    death = results[2].death
    assert death is not None
    assert death.alone
    assert death.status == -signal.SIGKILL
    assert "signal 9" in str(death)


def test_what_a_dying_worker_printed_explains_its_death() -> None:
    results = run([b"raise the roof"], workers=1)
    death = results[0].death
    assert death is not None
    assert death.status == 70
    assert "RuntimeError: the roof" in str(death)


def test_a_chatty_worker_is_neither_blocked_nor_kept() -> None:
    results = run([b"print 5000000"] * 4, workers=1)
    assert len(results) == 4
    assert all(result.death is None for result in results)


def test_workers_that_cannot_open_end_the_run_with_their_reason() -> None:
    with pytest.raises(HarnessError, match="cannot be imported"):
        run([b"echo"], job=Refusing())


def test_workers_that_die_while_opening_are_not_started_for_ever() -> None:
    with pytest.raises(HarnessError, match="no room to live"):
        run([b"echo"] * 100, job=Stillborn())


def test_drained_items_come_back_unstarted() -> None:
    async def drained() -> list[Result]:
        await engine.attach()
        engine.submit([(key, b"sleep 0.2") for key in range(6)])
        await asyncio.sleep(0.1)
        engine.drain()
        found: list[Result] = []
        while engine.in_flight:
            found += await engine.results(timeout_s=5)
        await engine.close()
        return found

    engine = LocalEngine(Script(), workers=1, slots=2)
    engine.start()
    results = asyncio.run(drained())
    assert sorted(result.key for result in results if result.recalled) == [2, 3, 4, 5]
    assert sorted(result.key for result in results if result.payload) == [0, 1]


def test_a_process_with_threads_gets_fresh_interpreters_and_says_so() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="busy-body")
    thread.start()
    try:
        engine = LocalEngine(Script(), workers=2, slots=2)
        engine.start()
        results = asyncio.run(drive(engine, [b"echo 1", b"echo 2", b"echo 3"]))
    finally:
        release.set()
        thread.join()
    assert "busy-body" in engine.note
    assert sorted(result.payload or b"" for result in results) == [b"echo 1", b"echo 2", b"echo 3"]


def test_a_job_that_cannot_be_sent_to_a_fresh_interpreter_is_a_configuration_error() -> None:
    class Local(Script):
        pass

    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(ConfigError, match="importable module"):
            LocalEngine(Local(), workers=1, slots=1).start()
    finally:
        release.set()
        thread.join()


def test_no_worker_survives_a_killed_coordinator(tmp_path: Path) -> None:
    script = tmp_path / "coordinator.py"
    script.write_text(
        "import asyncio\n"
        "from assay.engine.local import LocalEngine\n"
        "from tests.engine.jobs import Script\n"
        "async def main(engine):\n"
        "    await engine.attach()\n"
        "    engine.submit([(0, b'sleep 60'), (1, b'sleep 60')])\n"
        "    await asyncio.sleep(0.2)\n"
        "    print('up', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "engine = LocalEngine(Script(), workers=2, slots=1)\n"
        "engine.start()\n"
        "asyncio.run(main(engine))\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 3
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family):
        assert time.monotonic() < deadline, "workers outlived their coordinator"
        time.sleep(0.02)


def test_waiting_items_are_taken_from_full_workers_for_idle_ones() -> None:
    async def uneven() -> list[Result]:
        await engine.attach()
        engine.submit([(key, b"sleep 0.3" if key % 2 == 0 else b"echo") for key in range(8)])
        found: list[Result] = []
        while engine.in_flight:
            found += await engine.results(timeout_s=0.1)
            engine.level()
        await engine.close()
        return found

    engine = LocalEngine(Script(), workers=2, slots=2)
    engine.start()
    results = asyncio.run(uneven())
    assert len(results) == 8
    recalled = {result.key for result in results if result.recalled}
    assert recalled
    assert recalled < {0, 2, 4, 6}
