"""Starting zygotes and talking to them: the worker's end of the control socket."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import msgspec

from assay.core.errors import IsolationUnavailableError, WorldError
from assay.worlds.isolation import bubblewrap, order, stream, wire
from assay.worlds.isolation.spec import PreloadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[2]); from assay.worlds.isolation.zygote import main; "
    "del sys.path[0]; sys.path += sys.argv[2:]; main()"
)
_LOG_TAIL = 4096
_CLOSE_S = 10.0
_LOOK_S = 0.002


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """The command in front of the interpreter: empty, or bubblewrap with a view."""

    argv: tuple[str, ...] = ()
    """Words before the interpreter."""
    fds: tuple[int, ...] = ()
    """Descriptors they name; closed once the zygote has them."""


class Zygote:
    """A started zygote. Belongs to one event loop.

    Start it from a thread that lives as long as the zygote shall: the kernel ends it with that thread.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, log: IO[bytes]) -> None:
        self._process = process
        self._control = control
        self._log = log
        self._requests = asyncio.Lock()
        self.nesting_trouble = ""
        """Why it cannot make nested jails; empty when it can or need not."""
        self.fork_hazard = ""
        """Why copies of it would not behave like fresh processes; empty when they would."""

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the zygote or of the bubblewrap around it."""
        return self._process.pid

    async def get_ready(self, setting: order.Setting, timeout_s: float) -> None:
        """Send the setting and wait until the agent is imported.

        Raises `PreloadError` when a module cannot be imported, `IsolationUnavailableError` when bubblewrap refuses,
        `WorldError` when the zygote does not answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await stream.send(self._control, wire.CONFIG, order.pack(setting))
                kind, data = await stream.receive(self._control)
        except TimeoutError:
            await self.kill()
            raise WorldError(f"the zygote was not ready after {timeout_s:g} s: {self._last_words()}") from None
        except (EOFError, OSError):
            if not await self.dies_within(_CLOSE_S):
                await self.kill()
            raise self._stillborn(setting) from None
        first, _, second = data.decode(errors="replace").partition("\0")
        if kind == wire.FAILED:
            raise PreloadError(first, second)
        self.nesting_trouble, self.fork_hazard = first, second

    async def request(self, status: socket.socket, frames: socket.socket) -> None:
        """Have a supervisor forked that serves these two sockets. Raises `OSError` when the zygote is gone."""
        async with self._requests:
            while True:
                try:
                    socket.send_fds(self._control, [b"e"], [status.fileno(), frames.fileno()])
                except BlockingIOError:
                    await stream.writable(self._control)
                else:
                    return

    async def close(self) -> None:
        """End the zygote and wait until it is gone; what still runs in it ends with it."""
        self._control.close()
        if not await self.dies_within(_CLOSE_S):
            await self.kill()
        self._log.close()

    async def kill(self) -> None:
        """End the zygote at once, whatever it is doing."""
        self._process.kill()
        await self.dies_within(_CLOSE_S)

    async def dies_within(self, seconds: float) -> bool:
        """Wait for the zygote's end; False when it still runs after `seconds`."""
        give_up = time.monotonic() + seconds
        while self.alive and time.monotonic() < give_up:  # noqa: ASYNC110 - only a thread could wait without looking
            await asyncio.sleep(_LOOK_S)
        return not self.alive

    def _stillborn(self, setting: order.Setting) -> Exception:
        words = self._last_words()
        for line in words.splitlines():
            if line.startswith("bwrap:"):
                return IsolationUnavailableError(line)
        if setting.preload:
            return PreloadError(setting.preload[-1], f"the interpreter died while importing: {words}")
        return WorldError(f"the zygote died at start (code {self._process.returncode}): {words}")

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL))
        return self._log.read().decode(errors="replace").strip()


def spawn(confinement: Confinement, env: Mapping[str, str], cwd: str) -> Zygote:
    """Start a fresh interpreter that becomes a zygote. Raises `IsolationUnavailableError` when there is no program."""
    ours, theirs = socket.socketpair()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the zygote
    python = [sys.executable, "-P", "-s", "-c", _BOOTSTRAP, str(theirs.fileno())]
    try:
        process = subprocess.Popen(
            [*confinement.argv, *python, *bubblewrap.import_roots()],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(theirs.fileno(), *confinement.fds),
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        raise IsolationUnavailableError(f"cannot start {[*confinement.argv, *python][0]}: {error}") from error
    finally:
        theirs.close()
        for fd in confinement.fds:
            os.close(fd)
    ours.setblocking(False)
    return Zygote(process, ours, log)
