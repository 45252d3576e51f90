"""Entry functions that the tests run inside episodes; copied into the project of every test."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

IMPORTED_AT = time.time_ns()
IMPORTED_IN = os.getpid()


def noop(payload, channel):
    channel.send(1, payload)


def speak(payload, channel):
    for number in range(int(payload)):
        channel.send(number, b"x" * number)


def send_large(payload, channel):
    channel.send(1, b"y" * int(payload))


def report(payload, channel):
    facts = {
        "env": dict(os.environ),
        "cwd": str(Path.cwd()),
        "pid": os.getpid(),
        "uid": os.getuid(),
        "home": str(Path.home()),
        "imported_at": IMPORTED_AT,
        "hash": hash("assay"),
        "random": random.random(),
        "modules": sorted(sys.modules),
        "status": Path("/proc/self/status").read_text(encoding="utf-8"),
        "fds": [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in (0, 1, 2)],
    }
    channel.send(1, json.dumps(facts).encode())


def fail(payload, channel):
    raise ValueError("the agent is confused")


def leave(payload, channel):
    sys.exit(json.loads(payload))


def end_late(payload, channel):
    atexit.register(lambda: channel.send(2, b"at exit"))
    threading.Thread(target=lambda: (time.sleep(0.05), channel.send(1, b"from a thread"))).start()


def hang(payload, channel):
    print("about to hang")
    channel.send(1, b"before")
    time.sleep(600)


def die(payload, channel):
    os.kill(os.getpid(), int(payload))


def flood(payload, channel):
    """Print far more than anybody wants to keep."""
    size, line = int(payload), b"0123456789abcde\n"
    sys.stdout.buffer.write(b"FIRST\n")
    for _ in range(size // (len(line) * 4096)):
        sys.stdout.buffer.write(line * 4096)
    sys.stdout.buffer.write(b"LAST\n")


def allocate(payload, channel):
    channel.send(1, str(len(bytearray(int(payload)))).encode())


def spawn_tree(payload, channel):
    """Start 20 sleepers, half of them orphaned sessions of their own; then do as told."""
    order = json.loads(payload)
    sleep, name = shutil.which("sleep"), [order["token"], "600"]
    for number in range(20):
        if number % 2:
            subprocess.Popen(name, executable=sleep)
        elif os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sleep, name)
            os._exit(0)
        else:
            os.wait()
    channel.send(1, b"planted")
    time.sleep(order["then_sleep_s"])


def write_garbage(payload, channel):
    channel._sock.sendall(b"\xff" * 64)
    time.sleep(600)


def read_files(payload, channel):
    """Send what each path gives: its text, its listing, or the error."""
    found = {}
    for path in json.loads(payload):
        try:
            found[path] = (
                sorted(name.name for name in Path(path).iterdir())
                if Path(path).is_dir()
                else Path(path).read_text(encoding="utf-8")
            )
        except OSError as error:
            found[path] = type(error).__name__
    channel.send(1, json.dumps(found).encode())


def write_files(payload, channel):
    """Send, for each directory, whether a file can be made in it."""
    found = {}
    for path in json.loads(payload):
        try:
            (Path(path) / "made-by-agent").write_text("x", encoding="utf-8")
            found[path] = "written"
        except OSError as error:
            found[path] = type(error).__name__
    channel.send(1, json.dumps(found).encode())


def writable_places(payload, channel):
    """Send every directory outside /proc that a file can be made in."""
    found = []
    for top, names, _ in os.walk("/"):
        if top == "/":
            names.remove("proc")
        if top.count("/") > 3:
            names.clear()
        try:
            (Path(top) / "made-by-walk").touch()
        except OSError:
            continue
        found.append(top)
        names.clear()
    channel.send(1, json.dumps(found).encode())


def write_sysctl(payload, channel):
    path = Path("/proc/sys/kernel/hung_task_warnings")
    try:
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        channel.send(1, b"written")
    except OSError as error:
        channel.send(1, type(error).__name__.encode())


def dig(payload, channel):
    """Try to take off, in a user namespace of its own, what hides something."""
    script = "; ".join(f"umount {path} && echo uncovered" for path in json.loads(payload))
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True)
    channel.send(1, (done.stdout + done.stderr).encode())


def list_processes(payload, channel):
    channel.send(
        1, json.dumps([int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]).encode()
    )


def fetch(payload, channel):
    with urllib.request.urlopen(os.environ["SERVICE_URL"], timeout=30) as answer:
        channel.send(1, answer.read())


def connect(payload, channel):
    with socket.socket() as sock:
        sock.settimeout(5)
        channel.send(1, str(sock.connect_ex(("127.0.0.1", int(payload)))).encode())


def kill_supervisor(payload, channel):
    subprocess.Popen([payload.decode(), "600"], executable=shutil.which("sleep"))
    channel.send(1, b"planted")
    while not Path("go").exists():
        time.sleep(0.01)
    os.kill(os.getppid(), 9)
    time.sleep(600)


def draw(payload, channel):
    import numpy as np

    channel.send(1, json.dumps([random.random(), np.random.random()]).encode())  # noqa: NPY002 - what agents still use


def fork_until_refused(payload, channel):
    made = 0
    for _ in range(int(payload)):
        try:
            if os.fork() == 0:
                time.sleep(600)
        except BlockingIOError:
            break
        made += 1
    channel.send(1, str(made).encode())
