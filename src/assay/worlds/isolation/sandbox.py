"""The sandbox of one worker: keeps a zygote, starts programs through it, replaces it when it dies."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

from assay.core.errors import IsolationUnavailableError, WorldError
from assay.core.sandbox import Call, Command, Place
from assay.worlds.isolation import bubblewrap, order, spec, stream, wire
from assay.worlds.isolation.opening import Opener, environment
from assay.worlds.isolation.running import RunningProgram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from assay.worlds.isolation.launch import Zygote
    from assay.worlds.isolation.spec import IsolationSpec

GUARANTEES = {"jail": ("fs", "pids", "net", "ipc", "env"), "process": ("env",), "task": ()}
"""What each kind of isolation promises: `net` only without the host's network."""

_STARTS_AT_ONCE = 32
_START_S = 60.0
_DEATH_S = 1.0
_MIB = 1024 * 1024


async def open_sandbox(what: IsolationSpec) -> ZygoteSandbox:
    """Open a sandbox on the running loop.

    Raises `IsolationUnavailableError` when the kind cannot be had here (never another kind instead), `PreloadError`
    when the agent cannot be imported, `WorldError` when the zygote does not come up.
    """
    if what.kind == "process":
        return await _open_with(what, "")
    if sys.platform != "linux":
        raise IsolationUnavailableError("isolation jail: needs Linux namespaces")
    refusals: list[str] = []
    for bwrap in bubblewrap.candidates():
        try:
            return await _open_with(what, bwrap)
        except IsolationUnavailableError as error:
            refusals.append(str(error))
    raise IsolationUnavailableError(f"isolation jail: {'; '.join(refusals) or 'bubblewrap is not installed'}")


async def _open_with(what: IsolationSpec, bwrap: str) -> ZygoteSandbox:
    sandbox = ZygoteSandbox(what, bwrap)
    try:
        await sandbox.open()
    except BaseException:
        await sandbox.close()
        raise
    return sandbox


class ZygoteSandbox:
    """Starts programs in fresh isolation (see `assay.core.sandbox.Sandbox`). Made by `open_sandbox`.

    Belongs to the event loop and the thread that opened it, and must not outlive either.
    """

    def __init__(self, what: IsolationSpec, bwrap: str) -> None:
        self.kind: str = what.kind
        """`jail` or `process`."""
        self.guarantees = tuple(name for name in GUARANTEES[what.kind] if name != "net" or what.network == "none")
        """What holds: `fs`, `pids`, `net`, `ipc`, `env`."""
        self.cold = ""
        """Why episodes import the agent anew instead of copying a warm process; empty when they are warm."""
        self.bwrap = bwrap
        """Path of the bubblewrap that is used; empty for `process`."""
        self._spec = what
        self._work = bubblewrap.working_directory(what)
        self._opener = Opener(what, bwrap)
        self._preload = what.preload
        self._jail_each = False
        self._zygote: Zygote | None = None
        self._opening = asyncio.Lock()
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._running: set[RunningProgram] = set()

    async def open(self) -> None:
        """Start the zygote and settle how episodes are started."""
        zygote = await self._opener.open(self._preload, None)
        if zygote.fork_hazard:
            self.cold = f"the agent cannot be copied: {zygote.fork_hazard}"
            self._preload = ()
            await zygote.close()
            zygote = await self._opener.open((), None)
        if zygote.nesting_trouble:
            self.cold = f"no jail inside a jail: {zygote.nesting_trouble}"
            self._jail_each = True
            await zygote.close()
        else:
            self._zygote = zygote

    def inside(self, place: Place) -> Place:
        """Return the place with the paths that the program sees."""
        if self.kind == "process":
            return place
        return Place(work=self._work, home=spec.HOME, tmp=spec.TMP, env=place.env)

    async def start(
        self, program: Call | Command, place: Place, *, wall_s: float, memory_mb: int | None, listen: bool
    ) -> RunningProgram:
        """Start a program in fresh isolation.

        With `listen`, `{listen_port}` in values of the place's environment becomes the listener's port. Raises
        `WorldError` when the sandbox cannot.
        """
        own_network = self.kind == "jail" and self._spec.network == "none"
        listener = stream.listen() if listen and not own_network else None
        port = listener.getsockname()[1] if listener else spec.LISTEN_PORT if listen else 0
        what = self._order(program, place, port)._replace(
            listen_port=port if own_network else 0, wall_s=wall_s, memory_bytes=(memory_mb or 0) * _MIB
        )
        try:
            async with self._starts:
                running = await self._launch(what, place, listener)
        except BaseException:
            if listener is not None:
                listener.close()
            raise
        self._running.add(running)
        return running

    async def close(self) -> None:
        """End everything that is still running and release the zygote."""
        await asyncio.gather(*(running.kill() for running in list(self._running)))
        if self._zygote is not None:
            await self._zygote.close()
            self._zygote = None
        self._opener.close()

    def _order(self, program: Call | Command, place: Place, port: int) -> order.Order:
        inside = self.inside(place)
        env = {name: value.replace(spec.LISTEN_PORT_MARK, str(port)) for name, value in place.env.items()}
        whereabouts = {"HOME": inside.home, "TMPDIR": inside.tmp, "PWD": inside.work}
        return order.Order(
            entry=program.entry if isinstance(program, Call) else "",
            argv=list(program.argv) if isinstance(program, Command) else [],
            payload=program.payload if isinstance(program, Call) else program.stdin,
            env={**environment(self._spec), **env, **whereabouts},
            work=inside.work,
            binds=[(place.work, inside.work), (place.home, inside.home), (place.tmp, inside.tmp)],
            processes=self._spec.processes if self.kind == "jail" else 0,
            output_bytes=self._spec.output_bytes,
        )

    async def _launch(self, what: order.Order, place: Place, listener: socket.socket | None) -> RunningProgram:
        if self._jail_each:
            return await self._begin_alone(what, place, listener)
        zygote = await self._living_zygote()
        try:
            return await self._begin(zygote, what, listener)
        except (EOFError, OSError) as error:
            if not await zygote.dies_within(_DEATH_S):
                raise WorldError(f"the supervisor died while it started an episode: {error}") from error
        try:
            return await self._begin(await self._living_zygote(), what, listener)
        except (EOFError, OSError) as error:
            raise WorldError(f"the zygote died while it started an episode: {error}") from error

    async def _begin_alone(self, what: order.Order, place: Place, listener: socket.socket | None) -> RunningProgram:
        zygote = await self._opener.open((), place)
        try:
            return await self._begin(zygote, what, listener)
        except (EOFError, OSError) as error:
            await zygote.close()
            raise WorldError(f"the jail died while it started an episode: {error}") from error
        except BaseException:
            await zygote.close()
            raise

    async def _begin(self, zygote: Zygote, what: order.Order, listener: socket.socket | None) -> RunningProgram:
        (status, their_status), (frames, their_frames) = socket.socketpair(), socket.socketpair()
        for sock in (status, frames):
            sock.setblocking(False)
        try:
            with their_status, their_frames:
                await zygote.request(their_status, their_frames)
            await stream.send(status, wire.REQUEST, order.pack(what))
            async with asyncio.timeout(_START_S):
                fd = await _started(status)
        except BaseException:
            status.close()
            frames.close()
            raise
        if fd is not None:
            listener = stream.adopt(fd)
        running = RunningProgram(status, frames, listener)
        running.watch(what.wall_s, self._after(running, zygote))
        return running

    def _after(self, running: RunningProgram, zygote: Zygote) -> Callable[[], Awaitable[None]]:
        async def forget() -> None:
            self._running.discard(running)
            if self._jail_each:
                await zygote.close()

        return forget

    async def _living_zygote(self) -> Zygote:
        async with self._opening:
            if self._zygote is None or not self._zygote.alive:
                if self._zygote is not None:
                    await self._zygote.close()
                    self._zygote = None
                self._zygote = await self._opener.open(self._preload, None)
            return self._zygote


async def _started(status: socket.socket) -> int | None:
    """Wait for the supervisor's word that the program runs; returns the descriptor of its listener."""
    kind, data, fd = await stream.receive_with_descriptor(status)
    if kind != wire.STARTED:
        raise WorldError(f"the sandbox cannot start the episode: {data.decode(errors='replace')}")
    return fd
