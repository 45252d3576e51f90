"""The episode's own process: takes on its environment and limits, then runs the agent. Never returns."""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from assay.worlds.isolation import wire

if TYPE_CHECKING:
    from assay.worlds.isolation.order import Order

NOT_FOUND = 127
"""Exit code of a command that could not be started, as in a shell."""

_OOM_PREFERENCE = b"500"


class Channel:
    """Streams frames to the worker while the program runs. Safe to use from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, kind: int, data: bytes) -> None:
        """Send one frame at once; blocks while the worker is behind.

        Raises `ValueError` for a frame beyond 64 MiB and `OSError` when nobody listens any more.
        """
        if len(data) > wire.FRAME_LIMIT:
            raise ValueError(f"frame of {len(data)} bytes is beyond the limit of {wire.FRAME_LIMIT}")
        try:
            header = wire.HEADER.pack(kind, len(data))
        except struct.error:
            raise ValueError(f"kind {kind} is not a number from 0 to 2**32 - 1") from None
        with self._lock:
            self._sock.sendall(header + data)


def settle(order: Order, stdio: tuple[int, int, int]) -> None:
    """Take on session, standard streams, environment, limits and working directory."""
    os.setsid()
    os.close(signal.set_wakeup_fd(-1))
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for target, source in enumerate(stdio):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(order.env)
    os.umask(0o022)
    _limit(resource.RLIMIT_CORE, 0)
    if order.memory_bytes:
        _limit(resource.RLIMIT_AS, order.memory_bytes)
    if order.processes:
        _limit(resource.RLIMIT_NPROC, order.processes)
    os.chdir(order.work)


def prefer_for_oom() -> None:
    """When memory runs out the kernel shall take the agent and not the harness."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # a preference, not a guarantee: no /proc (macOS) or not ours to change
    try:
        os.write(fd, _OOM_PREFERENCE)
    finally:
        os.close(fd)


def execute(order: Order) -> NoReturn:
    """Replace this process by the command."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, programs expect them
    try:
        os.execvpe(order.argv[0], order.argv, order.env)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"assay: cannot run {order.argv[0]!r}: {error.strerror}\n".encode())
    os._exit(NOT_FOUND)


def call(order: Order, frames: socket.socket) -> NoReturn:
    """Call the entry function and end the process the way an interpreter ends."""
    _refresh()
    code = 1
    try:
        code = _run_entry(order, Channel(frames))
    finally:
        os._exit(code)


def _run_entry(order: Order, channel: Channel) -> int:
    import atexit

    code = 0
    try:
        module, _, function = order.entry.partition(":")
        getattr(importlib.import_module(module), function)(order.payload, channel)
    except SystemExit as leaving:
        code = _exit_code(leaving)
    except BaseException:  # noqa: BLE001 - the boundary between assay and the agent: it goes to stderr as usual
        import traceback

        traceback.print_exc()
        code = 1
    threading._shutdown()  # noqa: SLF001 - what the interpreter does at its end: wait for threads  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()  # noqa: SLF001 - and then flush exporters and loggers  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def _refresh() -> None:
    """Undo what a copy of a warm interpreter would share with the other copies."""
    gc.enable()
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue] - a TextIOWrapper here
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # forget the directory of the zygote
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # `random` reseeds itself after a fork, numpy does not


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))
