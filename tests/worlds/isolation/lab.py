from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assay.core.sandbox import Call, Command, Exit, Frame, Place
from assay.worlds.isolation.sandbox import ZygoteSandbox, open_sandbox
from assay.worlds.isolation.spec import IsolationSpec

CLONE_NEWUSER = 0x10000000


def user_namespaces_are_forbidden() -> bool:
    if sys.platform != "linux":
        return True
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else 1)
    return os.waitpid(pid, 0)[1] != 0


needs_jail = pytest.mark.skipif(
    user_namespaces_are_forbidden(), reason="user namespaces are forbidden here, so bubblewrap cannot make a jail"
)
kinds = pytest.mark.parametrize("kind", ["process", pytest.param("jail", marks=needs_jail)])


class Lab:
    """A project, a scratch directory and ways to run entry functions in a sandbox."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.scratch = folder / "scratch"
        self.project.mkdir()
        self.scratch.mkdir()
        shutil.copy(Path(__file__).with_name("agents.py"), self.project / "agents.py")
        self._places = 0

    def spec(self, kind: str, **changes: object) -> IsolationSpec:
        settings: dict[str, object] = {
            "kind": kind,
            "scratch": str(self.scratch),
            "project_root": str(self.project),
            "python_path": (str(self.project),),
            "preload": ("agents",),
        }
        return IsolationSpec(**{**settings, **changes})

    @asynccontextmanager
    async def sandbox(self, kind: str, **changes: object) -> AsyncIterator[ZygoteSandbox]:
        sandbox = await open_sandbox(self.spec(kind, **changes))
        try:
            yield sandbox
        finally:
            await sandbox.close()

    def place(self, **env: str) -> Place:
        self._places += 1
        folders = [self.scratch / f"episode-{self._places}" / name for name in ("work", "home", "tmp")]
        for folder in folders:
            folder.mkdir(parents=True)
        work, home, tmp = map(str, folders)
        return Place(work=work, home=home, tmp=tmp, env=env)

    async def play(
        self,
        sandbox: ZygoteSandbox,
        program: Call | Command,
        *,
        place: Place | None = None,
        wall_s: float = 60.0,
        memory_mb: int | None = None,
    ) -> tuple[list[Frame], Exit]:
        running = await sandbox.start(program, place or self.place(), wall_s=wall_s, memory_mb=memory_mb, listen=False)
        frames = [frame async for frame in running.frames()]
        return frames, await running.exit()

    async def ask(
        self, sandbox: ZygoteSandbox, function: str, payload: bytes = b"", place: Place | None = None
    ) -> bytes:
        """Run an entry function that must end well and return its only frame."""
        frames, ended = await self.play(sandbox, call(function, payload), place=place)
        assert (ended.status, ended.code) == ("exited", 0), ended
        (frame,) = frames
        return frame.data


def call(function: str, payload: bytes = b"") -> Call:
    return Call(entry=f"agents:{function}", payload=payload)


def living_with(token: str) -> list[int]:
    """Processes of the whole machine that carry a token in their command line."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if token.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process cannot set an event
            await asyncio.sleep(0.01)
