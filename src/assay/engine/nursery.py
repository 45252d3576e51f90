"""The nursery: a single-threaded process that forks workers.

It is itself forked from the coordinator before any thread or event loop exists there, so that workers can be forked
at any later time: agents and judges that cannot be pickled (closures, notebook functions) still run in workers, and
a worker that died is replaced in milliseconds. Where a fork is not safe the nursery is a fresh interpreter that
gets the pickled job.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from assay.core.errors import AssayError, ConfigError
from assay.engine.job import Job
from assay.engine.worker import serve

DIED = struct.Struct(">iii")
"""What the nursery reports: what (0 born, 1 died), pid, status (exit code or minus the signal)."""

_PR_SET_PDEATHSIG = 1
_SIZE = struct.Struct(">Q")
_GRACE_S = 5.0


def fork_hazard() -> str:
    """Say why forking this process would not be safe; empty when it is."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if threads:
        return f"the process runs {len(threads)} other thread(s): {', '.join(threads[:3])}"
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public call raises instead of answering  # pyright: ignore[reportPrivateUsage]
        return "an event loop is running"
    return ""


class Nursery:
    """The coordinator's side: asks for workers over `control`, on which births and deaths come back."""

    def __init__(self, job: Job, slots: int) -> None:
        """Start the process. Raises `ConfigError` when a fork is not safe and the job cannot be pickled."""
        self.hazard = fork_hazard()
        pickled = _pickle(job, slots, self.hazard) if self.hazard else b""
        self.control, theirs = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        with theirs:
            if self.hazard:
                self._spawn(theirs, pickled)
            else:
                self._fork(theirs, job, slots)

    def request(self, data: socket.socket, log: socket.socket) -> None:
        """Ask for a worker that serves `data` and prints to `log`. Raises `AssayError` when the nursery is gone."""
        try:
            socket.send_fds(self.control, [b"w"], [data.fileno(), log.fileno()])
        except OSError as error:
            raise AssayError(f"the process that starts workers is gone: {error}") from error

    def close(self) -> None:
        """Let it go and wait until it and all workers are gone."""
        self.control.close()
        if self._process is not None:
            self._process.wait()
        else:
            os.waitpid(self._pid, 0)

    def _fork(self, theirs: socket.socket, job: Job, slots: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self.control.close()
            die_with_parent(parent)
            _Nursery(theirs, job, slots).run()

    def _spawn(self, theirs: socket.socket, pickled: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "assay.engine.nursery", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        path = pickle.dumps(sys.path)
        self.control.sendall(_SIZE.pack(len(path)) + path + _SIZE.pack(len(pickled)) + pickled)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere the closed socket ends it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _pickle(job: Job, slots: int, hazard: str) -> bytes:
    try:
        return pickle.dumps((job, slots))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"workers cannot be forked because {hazard}, and the eval cannot be sent to a fresh process: {error}. "
            "Move agent and judges to an importable module, or call run() where no other thread runs."
        ) from error


class _Nursery:
    def __init__(self, control: socket.socket, job: Job, slots: int) -> None:
        self._control = control
        self._job = job
        self._slots = slots

    def run(self) -> None:
        """Fork a worker for every request, report every death, leave when the coordinator is gone."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            while True:
                readable, _, _ = select.select([self._control, wake], [], [])
                if wake in readable:
                    wake.recv(4096)
                    self._reap()
                if self._control in readable:
                    self._serve_request()
        except (EOFError, OSError):
            self._let_workers_end()
            os._exit(0)

    def _let_workers_end(self) -> None:
        """Workers saw the coordinator go, too: give them a moment to clean up; the kernel ends the rest with us."""
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.002)
            except ChildProcessError:
                return

    def _serve_request(self) -> None:
        request, fds, _, _ = socket.recv_fds(self._control, 1, 2)
        if not request:
            raise EOFError
        data, output = fds
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(data)
            os.close(output)
            self._control.sendall(DIED.pack(0, pid, 0))
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent(parent)
        self._control.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # Notebooks and test runners put their own objects here; a worker prints to its own descriptors.
        sys.stdout, sys.stderr = (os.fdopen(fd, "w", 1, errors="replace", closefd=False) for fd in (1, 2))
        serve(socket.socket(fileno=data), self._job, self._slots)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._control.sendall(DIED.pack(1, pid, os.waitstatus_to_exitcode(status)))


def _receive(control: socket.socket) -> bytes:
    def exactly(size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = control.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

    return exactly(_SIZE.unpack(exactly(_SIZE.size))[0])


def main() -> None:
    """Run a nursery in a fresh interpreter: the control socket's descriptor is the only argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    parent = os.getppid()
    die_with_parent(parent)
    sys.path[:] = pickle.loads(_receive(control))  # noqa: S301 - written by our own parent process
    job, slots = pickle.loads(_receive(control))  # noqa: S301 - the same
    _Nursery(control, job, slots).run()


if __name__ == "__main__":
    main()
