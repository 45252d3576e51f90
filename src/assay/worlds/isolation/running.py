"""A started program, seen from the worker."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from assay.core.sandbox import Exit, Frame
from assay.worlds.isolation import stream, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_GRACE_S = 30.0
_STATUSES = {wire.EXITED: "exited", wire.SIGNALED: "signaled", wire.TIMEOUT: "timeout", wire.KILLED: "killed"}


class RunningProgram:
    """Streams the frames of one program and tells how it ended.

    `frames` has one reader; frames that nobody reads are thrown away once `exit` is awaited or reading was given up.
    """

    def __init__(self, status: socket.socket, frames: socket.socket, listener: socket.socket | None) -> None:
        self.listener = listener
        """A listening loopback socket that the program can reach; the caller closes it."""
        self.listen_port: int = listener.getsockname()[1] if listener is not None else 0
        """Port of the listener as the program sees it."""
        self._status = status
        self._frames = frames
        self._claimed = False
        self._malformed = ""
        self._drain: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[Exit]

    def watch(self, wall_s: float, afterwards: Callable[[], Awaitable[None]]) -> None:
        """Begin to wait for the end; `afterwards` runs before anybody hears of it."""
        self._ending = asyncio.create_task(self._end(wall_s, afterwards))

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield frames until the program ended. A malformed frame ends the program."""
        if self._claimed:
            raise RuntimeError("the frames of a program can be read once")
        self._claimed = True
        try:
            while True:
                kind, data = await stream.receive(self._frames)
                yield Frame(kind=kind, data=data)
        except (EOFError, OSError):
            pass  # the program has closed its end, by ending or by turning into another one
        except ValueError as error:
            self._malformed = str(error)
        finally:
            self._discard()
        if self._malformed:
            await self.kill()
        await self.exit()

    async def exit(self) -> Exit:
        """Wait until the whole process tree is gone and say how it ended."""
        if not self._claimed:
            self._claimed = True
            self._discard()
        ended = await asyncio.shield(self._ending)
        if self._drain is not None:
            await asyncio.shield(self._drain)
        return ended

    async def kill(self) -> None:
        """End the whole process tree now and wait until it is gone."""
        if not self._ending.done():
            with contextlib.suppress(OSError):  # it may end by itself meanwhile
                await asyncio.get_running_loop().sock_sendall(self._status, b"k")
        await self.exit()

    def _discard(self) -> None:
        """Throw away what is still to come; a program that nobody reads from must not block."""
        if self._ending.done():
            self._frames.close()
        else:
            self._drain = asyncio.create_task(self._read_to_the_end())

    async def _read_to_the_end(self) -> None:
        loop = asyncio.get_running_loop()
        with self._frames, contextlib.suppress(OSError):  # a reset connection has nothing more to say either
            while await loop.sock_recv(self._frames, 1 << 18):
                pass

    async def _end(self, wall_s: float, afterwards: Callable[[], Awaitable[None]]) -> Exit:
        ended = await self._last_word(wall_s)
        self._status.close()
        if ended.status == "lost":
            with contextlib.suppress(OSError):
                self._frames.shutdown(socket.SHUT_RDWR)  # somebody may still hold the other end open
        await afterwards()
        return ended

    async def _last_word(self, wall_s: float) -> Exit:
        patience = wall_s + _GRACE_S
        try:
            async with asyncio.timeout(patience):
                kind, data = await stream.receive(self._status)
        except TimeoutError:
            return Exit(status="lost", detail=f"the supervisor did not end the episode within {patience:g} s")
        except (EOFError, OSError):
            return Exit(status="lost", detail="the supervisor or the zygote died")
        except ValueError as error:
            return Exit(status="lost", detail=str(error))
        if kind != wire.ENDED:
            return Exit(status="lost", detail=data.decode(errors="replace"))
        return _read_exit(data, self._malformed)


def _read_exit(data: bytes, detail: str) -> Exit:
    head = wire.ENDED_HEAD
    reason, code, number, dropped, out, err = head.unpack_from(data)
    return Exit(
        status=_STATUSES[reason],
        code=code if reason == wire.EXITED else None,
        signal=number if reason == wire.SIGNALED else None,
        stdout=data[head.size : head.size + out],
        stderr=data[head.size + out : head.size + out + err],
        dropped=dropped,
        detail=detail,
    )
