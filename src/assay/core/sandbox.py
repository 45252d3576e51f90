"""Where an episode's processes run: the programs that can be started and what comes back."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Call a Python function in the episode's process."""

    entry: str
    """`package.module:function`, called as `entry(payload, channel)`; `channel.send(kind, data)` streams frames back."""
    payload: bytes
    """Passed on unread."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Run a program in the episode's process."""

    argv: tuple[str, ...]
    """Program and arguments; no shell."""
    stdin: bytes = b""
    """Everything the program reads from standard input."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The host directories and environment of one episode, made and removed by the world."""

    work: str
    """The workspace: the program's working directory."""
    home: str
    """HOME."""
    tmp: str
    """TMPDIR."""
    env: dict[str, str]
    """The whole environment beyond HOME, TMPDIR, PATH and locale."""


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How an episode's process ended."""

    status: str
    """`exited`, `signaled`, `timeout`, `killed` (asked for) or `lost` (the sandbox itself failed: infrastructure)."""
    code: int | None = None
    """Exit code where it exited."""
    signal: int | None = None
    """Signal number where one ended it."""
    stdout: bytes = b""
    """Standard output, bounded."""
    stderr: bytes = b""
    """Standard error, bounded."""
    dropped: int = 0
    """Bytes of stdout and stderr beyond the bound."""
    detail: str = ""
    """For `lost`: what is known."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One message streamed by a `Call` while it runs. Hostile input: the agent shares the process that writes it."""

    kind: int
    """Chosen by the entry function."""
    data: bytes
    """Bounded payload."""


class Running(Protocol):
    """A started program."""

    listener: socket.socket | None
    """A listening loopback socket that the program can reach, where one was asked for."""
    listen_port: int
    """Port of the listener as the program sees it."""

    def frames(self) -> AsyncIterator[Frame]:
        """Yield frames until the program ended."""
        ...

    async def exit(self) -> Exit:
        """Wait until the whole process tree is gone and say how it ended."""
        ...

    async def kill(self) -> None:
        """End the whole process tree now."""
        ...


class Sandbox(Protocol):
    """Starts programs in fresh isolation; one per worker and harness."""

    kind: str
    """`jail` or `process`."""
    guarantees: tuple[str, ...]
    """What holds: `fs`, `pids`, `net`, `ipc`, `env`."""

    def inside(self, place: Place) -> Place:
        """Return the place with the paths that the program sees."""
        ...

    async def start(
        self, program: Call | Command, place: Place, *, wall_s: float, memory_mb: int | None, listen: bool
    ) -> Running:
        """Start a program; raises `WorldError` when the sandbox cannot."""
        ...

    async def close(self) -> None:
        """End everything that is still running and release the zygote."""
        ...
