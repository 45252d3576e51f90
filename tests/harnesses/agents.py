"""Agents of the tests: copied into a project, imported by its zygote. Some mean well."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time


def echo(request):
    return request


async def async_echo(request):
    await asyncio.sleep(0)
    return request


def clerk(request, world):
    """Keep state in all the places that a world offers."""
    turn = world.session["turn"] = world.session.get("turn", 0) + 1
    (world.workspace / f"turn{turn}.txt").write_text(request)
    with sqlite3.connect(world.databases["hotel"]) as connection:
        connection.execute("INSERT INTO stays (guest) VALUES (?)", (request,))
    connection.close()
    return {
        "turn": turn,
        "clock": world.clock.isoformat(),
        "seed": world.seed,
        "env": world.env["MODE"],
        "policy": (world.workspace / "policy.md").read_text(),
    }


async def async_clerk(request, world):
    """Use one loop for all turns."""
    loop = world.session.setdefault("loop", asyncio.get_running_loop())
    return loop is asyncio.get_running_loop()


def wrapped_async(request):
    return async_echo(request)


def fail(request):
    raise ValueError(f"no room for {request}")


def fail_later(request, world):
    if world.session.setdefault("turns", []):
        raise RuntimeError("second turn")
    world.session["turns"].append(request)
    return "first"


class RudeError(Exception):
    def __str__(self):
        raise TypeError("no words")

    __repr__ = __str__


def rude(request):
    raise RudeError


def leave(request):
    sys.exit(3)


def vanish(request):
    print("about to vanish", file=sys.stderr, flush=True)
    os._exit(request)


def crash(request):
    os.kill(os.getpid(), signal.SIGSEGV)


def cancel(request):
    raise asyncio.CancelledError


def sleep(request):
    time.sleep(3600)


async def async_sleep(request):
    await asyncio.sleep(3600)


def linger(request):
    """Answer, and never leave."""
    import threading

    threading.Thread(target=time.sleep, args=(3600,)).start()
    return "done"


def shout(request):
    sys.stdout.buffer.write(b"\x1b[31mred\xff\n" * 300_000)
    sys.stdout.flush()
    print("last words", flush=True)
    return "\x1b[31m" + "x" * 3_000_000


def deep(request):
    value = []
    for _ in range(5_000):
        value = [value]
    return value


def odd(request):
    return {"object": object, "bytes": b"\xff", "surrogate": "\ud800", 3: {1}, "nan": float("nan")}


def haunt(request):
    """Leave a daemon behind that outlives the process group."""
    code = "import os, time\nos.setsid()\nif os.fork() == 0:\n    time.sleep(3600)"
    subprocess.Popen([sys.executable, "-c", code, request], start_new_session=True).wait()
    return "gone?"


def destroy(request, world):
    for path in world.workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (world.workspace / "hotel.db").symlink_to("/etc/passwd")
    (world.workspace / "dir").mkdir(mode=0)
    return "ruined"


def hungry(request):
    return len(bytearray(1 << 30))


def traced(request):
    from opentelemetry import trace

    tracer = trace.get_tracer("tests")
    with tracer.start_as_current_span("plan"):
        for _ in range(request):
            with tracer.start_as_current_span(
                "execute_tool book", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book"}
            ):
                time.sleep(0.001)
    return "booked"


async def async_traced(request):
    from opentelemetry import trace

    tracer = trace.get_tracer("tests")
    for _ in range(request):
        with tracer.start_as_current_span(
            "execute_tool book", attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book"}
        ):
            await asyncio.sleep(0.001)
    return "booked"


not_a_function = 3
