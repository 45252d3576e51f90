"""The zygote: a small process that imported the agent once and forks a supervisor for every episode.

Started as a fresh interpreter by `assay.worlds.isolation.launch`; its only argument is the descriptor of the control
socket. A request is one byte with two sockets attached; everything else about an episode is read by its supervisor.
"""

# Pathlib would take milliseconds of every start; nothing below the worker imports it.
# ruff: noqa: PTH115, PTH208

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import stat
import sys
import time
from typing import NoReturn

from assay.worlds.isolation import jail, order, process, wire
from assay.worlds.isolation.supervisor import supervise, wake_on_signals

_SWEEP_PAUSE_MS = 1
_THREADS_END_S = 0.2
_THREADS_PAUSE_S = 0.001


def main() -> NoReturn:
    """Take the setting, import the agent, say whether copies can be made, and serve until the worker is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    setting = order.read_setting(wire.receive(control)[1])
    if sys.platform == "linux":
        _depend_on(setting)
    sys.path[:0] = setting.python_path
    before = _descriptors()
    for module in setting.preload:
        try:
            importlib.import_module(module)
        except BaseException:  # noqa: BLE001 - whatever an agent raises while it is imported, the worker gets to know
            _refuse(control, module)
    hazard = fork_hazard(before)
    trouble = jail.trouble(setting) if setting.confine == order.NESTED and not hazard else ""
    wire.send(control, wire.READY, f"{trouble}\0{hazard}".encode(errors="replace"))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or every copy would print it again
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a copy would touch, and so copy, every page
    try:
        _Zygote(control, setting).serve()
    finally:
        os._exit(0)


def fork_hazard(before: dict[int, str]) -> str:
    """Say why copies of this process would not behave like fresh ones; empty when they would.

    Looks for threads, and for descriptors beyond `before` that copies would share: sockets, event loops, open files.
    """
    threads = _lasting_threads()
    if threads:
        return f"it started {threads} thread{'s' if threads > 1 else ''} on import"
    shared = [what for fd, what in sorted(_descriptors().items()) if fd not in before]
    return f"it left open on import: {', '.join(shared[:3])}" if shared else ""


def _lasting_threads() -> int:
    """Count the threads beside this one; those that just ended get a moment to leave the kernel's list."""
    if sys.platform != "linux":
        return 0
    deadline = time.monotonic() + _THREADS_END_S
    while (threads := len(os.listdir("/proc/self/task")) - 1) and time.monotonic() < deadline:
        time.sleep(_THREADS_PAUSE_S)
    return threads


def _depend_on(setting: order.Setting) -> None:
    from assay.worlds.isolation import linux

    if setting.confine == order.TREE:
        linux.become_subreaper()
    if setting.parent:
        linux.die_with(setting.parent)


def _descriptors() -> dict[int, str]:
    """Return the open descriptors and what they are, devices left out."""
    found: dict[int, str] = {}
    if sys.platform != "linux":
        return found
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if not stat.S_ISCHR(os.fstat(fd).st_mode):
                found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue  # the descriptor of the listing itself, closed by now
    return found


def _refuse(control: socket.socket, module: str) -> NoReturn:
    import traceback

    wire.send(control, wire.FAILED, f"{module}\0{traceback.format_exc()}".encode(errors="replace"))
    os._exit(1)


class _Zygote:
    def __init__(self, control: socket.socket, setting: order.Setting) -> None:
        self._control = control
        self._setting = setting
        self._wake = wake_on_signals()
        self._supervisors: set[int] = set()
        self._sweeping = False

    def serve(self) -> None:
        """Fork a supervisor for every request; return when the worker is gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll(_SWEEP_PAUSE_MS if self._sweeping else None):
                if fd == self._wake.fileno():
                    self._wake.recv(4096)
                elif not self._take_request():
                    return
            self._bury()

    def _take_request(self) -> bool:
        request, fds, _, _ = socket.recv_fds(self._control, 1, 2)
        if not request:
            return False
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # no process to be had now: the closed sockets tell the worker
        if pid == 0:
            self._control.close()
            self._wake.close()
            os.close(signal.set_wakeup_fd(-1))
            status, frames = (socket.socket(fileno=fd) for fd in fds)
            for sock in (status, frames):
                sock.set_inheritable(False)
            supervise(self._setting, zygote, status, frames)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._supervisors.add(pid)
        return True

    def _bury(self) -> None:
        """Reap; when a supervisor was killed, also end what it can no longer end itself."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._supervisors:
                self._supervisors.remove(pid)
                self._sweeping |= status != 0
        if self._sweeping:
            self._sweeping = process.kill_descendants(frozenset(self._supervisors)) > 0
