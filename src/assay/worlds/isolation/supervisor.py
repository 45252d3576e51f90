"""One episode's supervisor: builds the isolation, starts the program, and sees to it that nothing outlives it."""

# Pathlib would take milliseconds of every start; nothing below the worker imports it.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from assay.worlds.isolation import jail, order, process, program, wire
from assay.worlds.isolation.capture import Capture

_FAILED = 1
_BACKLOG = 128
_PAUSE_S = 0.0005


def supervise(setting: order.Setting, zygote: int, status: socket.socket, frames: socket.socket) -> NoReturn:
    """Serve one episode on its two sockets and end this process. Failures of the isolation go to the worker as text."""
    code = _FAILED
    try:
        _Supervisor(setting, status, frames).run(zygote)
        code = 0
    except (EOFError, BrokenPipeError, ConnectionResetError):
        code = 0  # the worker is gone or has lost interest, and the tree is dead
    except Exception as error:  # noqa: BLE001 - the boundary of the sandbox: every failure is told, none is raised
        wire.send(status, wire.FAILED, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


class _Supervisor:
    def __init__(self, setting: order.Setting, status: socket.socket, frames: socket.socket) -> None:
        self._setting = setting
        self._nested = setting.confine == order.NESTED
        self._status = status
        self._frames = frames
        self._wake = wake_on_signals()
        self._program = 0
        self._ended: int | None = None

    def run(self, zygote: int) -> None:
        """Play the episode from its order to the last word about it."""
        what = order.read_order(wire.receive(self._status)[1])
        if self._nested:
            jail.enter(self._setting, what.binds)
        else:
            process.own_tree(zygote)
        listener = _listen(what.listen_port)
        try:
            outputs = self._start(what, listener)
            reason = self._watch(time.monotonic() + what.wall_s, outputs)
        finally:
            self._kill_all()
        self._report(reason, outputs)

    def _start(self, what: order.Order, listener: socket.socket | None) -> list[Capture]:
        stdin = _input(b"" if what.entry else what.payload)
        (ready, settled), out, err = os.pipe(), os.pipe(), os.pipe()
        supervisor = os.getpid()
        self._program = os.fork()
        if self._program == 0:
            try:
                for fd in (ready, out[0], err[0], *([listener.detach()] if listener else [])):
                    os.close(fd)
                self._become_program(what, (stdin, out[1], err[1]), settled, supervisor)
            finally:
                os._exit(_FAILED)
        for fd in (stdin, settled, out[1], err[1]):
            os.close(fd)
        self._frames.close()
        with open(ready, "rb") as trouble:
            if text := trouble.read():
                raise OSError(text.decode(errors="replace"))
        wire.send(self._status, wire.STARTED, fds=(listener.fileno(),) if listener else ())
        if listener is not None:
            listener.close()
        for reader in (out[0], err[0]):
            os.set_blocking(reader, False)
        return [Capture(reader, what.output_bytes) for reader in (out[0], err[0])]

    def _become_program(
        self, what: order.Order, stdio: tuple[int, int, int], settled: int, supervisor: int
    ) -> NoReturn:
        self._status.close()
        self._wake.close()
        try:
            program.settle(what, stdio)
            if sys.platform == "linux":
                from assay.worlds.isolation import linux

                linux.new_session_keyring()
                if self._nested:
                    jail.seal()
                else:
                    linux.die_with(supervisor)
            program.prefer_for_oom()
        except (OSError, ValueError) as error:
            os.write(settled, str(error).encode())
            os._exit(_FAILED)
        os.close(settled)
        if what.entry:
            program.call(what, self._frames)
        program.execute(what)

    def _watch(self, deadline: float, outputs: list[Capture]) -> int:
        """Drain the outputs until the program ended, time is up or the worker wants it dead; returns the reason."""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        by_fd = {capture.fd: capture for capture in outputs}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return wire.TIMEOUT
            for fd, _ in poll.poll(min(left, 3600.0) * 1000):
                if fd in by_fd:
                    if not by_fd[fd].read_once():
                        poll.unregister(fd)
                elif fd == self._status.fileno():
                    if not self._status.recv(64):
                        raise EOFError
                    return wire.KILLED
                elif signal.SIGTERM in self._wake.recv(4096):
                    raise EOFError
            self._reap()
            if self._ended is not None:
                return wire.EXITED

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._program:
                self._ended = status

    def _kill_all(self) -> None:
        if self._nested:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # as PID 1 of its own namespace: everything else in there
            while process.reap():
                time.sleep(_PAUSE_S)
        else:
            process.kill_tree(self._program)

    def _report(self, reason: int, outputs: list[Capture]) -> None:
        code = number = 0
        if reason == wire.EXITED and self._ended is not None:
            code = os.waitstatus_to_exitcode(self._ended)
            if code < 0:
                reason, code, number = wire.SIGNALED, 0, -code
        for capture in outputs:
            while capture.read_once():
                pass
        stdout, stderr = (capture.kept for capture in outputs)
        dropped = sum(capture.dropped for capture in outputs)
        head = wire.ENDED_HEAD.pack(reason, code, number, dropped, len(stdout), len(stderr))
        wire.send(self._status, wire.ENDED, head + stdout + stderr)


def wake_on_signals() -> socket.socket:
    """Return a socket that becomes readable when a child ends or this process is asked to stop."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reader


def _listen(port: int) -> socket.socket | None:
    if not port:
        return None
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it a TLS request takes ten times longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_BACKLOG)
    return listener


def _input(data: bytes) -> int:
    """Return a readable descriptor that holds `data`."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if sys.platform == "linux":
        fd = os.memfd_create("stdin")
    else:
        import tempfile

        with tempfile.TemporaryFile() as nameless:
            fd = os.dup(nameless.fileno())
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
