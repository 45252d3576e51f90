"""Which isolation this machine gives, tried out and not assumed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from assay.core.errors import IsolationUnavailableError, WorldError
from assay.core.sandbox import Call, Place
from assay.worlds.isolation import canary, stream
from assay.worlds.isolation.sandbox import GUARANTEES, ZygoteSandbox, open_sandbox
from assay.worlds.isolation.spec import IsolationSpec

if TYPE_CHECKING:
    from collections.abc import Generator

CHANNELS: dict[str, str] = {
    "home": "env", "cwd": "env", "env": "env",
    "tmp": "fs", "var_tmp": "fs", "dev_shm": "fs", "source": "fs", "host_file": "fs",
    "sysv_shm": "ipc", "keyring": "ipc",
    "abstract_socket": "net", "loopback": "net", "host_loopback": "net",
    "survivor": "pids", "host_environ": "pids", "signal_host": "pids",
}  # fmt: skip
"""Every channel that is tried, and the guarantee that closes it."""

_OF_THE_HOST = ("env", "source", "host_file", "host_loopback", "host_environ", "signal_host")
_CANARY = "assay.worlds.isolation.canary"
_STEP_S = 20.0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What isolation can be had here."""

    kind: str
    """`jail`, `process` or `task`."""
    guarantees: tuple[str, ...]
    """What holds: `fs`, `pids`, `net`, `ipc`, `env`."""
    version: str = ""
    """Program that confines, with its version."""
    reason: str = ""
    """Why it is not a better kind, or why episodes start cold; empty when there is nothing to say."""
    tried: int = 0
    """Channels through which a leak was tried."""
    leaks: tuple[str, ...] = ()
    """Channels that leaked: of guarantees that this kind does not give."""

    @property
    def line(self) -> str:
        """Say it in one line."""
        promises = " ".join(self.guarantees)
        inner = f"{self.version}: {promises}" if self.version else promises
        parts = [f"isolation: {self.kind}" + (f" ({inner})" if inner else " (not hermetic)")]
        if self.reason:
            parts.append(self.reason)
        if self.tried:
            parts.append(f"verified {self.tried - len(self.leaks)}/{self.tried}")
        return " - ".join(parts)


async def probe(
    kind: Literal["auto", "jail", "process", "task"] = "auto",
    *,
    network: Literal["none", "host"] = "none",
    thorough: bool = False,
) -> Probe:
    """Try an isolation: one episode that tries to reach the host; `thorough` also plants canaries for a second one.

    `auto` takes `jail` where it works, else `process` with the reason. Raises `IsolationUnavailableError` when the kind
    that was asked for cannot be had or leaks through a channel that it promises to close.
    """
    if kind == "task":
        return Probe(kind="task", guarantees=GUARANTEES["task"])
    if kind == "process":
        return await _try("process", network, thorough=thorough)
    try:
        return await _try("jail", network, thorough=thorough)
    except IsolationUnavailableError as error:
        if kind == "jail":
            raise
        fallback = await _try("process", network, thorough=thorough)
        return msgspec.structs.replace(fallback, reason=str(error).removeprefix("isolation jail: "))


async def _try(kind: Literal["jail", "process"], network: Literal["none", "host"], *, thorough: bool) -> Probe:
    with _rooms() as (scratch, source, host_file), stream.listen() as listener, _marked_environment():
        spec = IsolationSpec(
            kind=kind,
            scratch=scratch,
            preload=(_CANARY,),
            project_root=source,
            network=network,
            open_timeout_s=_STEP_S,
        )
        nest = canary.Nest(
            token=secrets.token_hex(8),
            source=source,
            host_file=host_file,
            host_pid=os.getpid(),
            host_birth=canary.birth(os.getpid()),
            host_port=listener.getsockname()[1],
            port=_free_port(),
        )
        try:
            sandbox = await open_sandbox(spec)
            try:
                leaks = await _leaks(sandbox, scratch, nest, thorough=thorough)
            finally:
                await sandbox.close()
        except WorldError as error:
            raise IsolationUnavailableError(f"isolation {kind}: {error}") from error
        broken = [name for name in leaks if CHANNELS[name] in sandbox.guarantees]
        if broken:
            raise IsolationUnavailableError(f"isolation {kind}: leaks through {', '.join(broken)}")
        return Probe(
            kind=kind,
            guarantees=sandbox.guarantees,
            version=_version(sandbox.bwrap),
            reason=sandbox.cold,
            tried=len(CHANNELS if thorough else _OF_THE_HOST),
            leaks=tuple(leaks),
        )


async def _leaks(sandbox: ZygoteSandbox, scratch: str, nest: canary.Nest, *, thorough: bool) -> list[str]:
    if not thorough:
        found = await _play(sandbox, "look", _place(scratch), nest)
        return [name for name in found if name in _OF_THE_HOST]
    await _play(sandbox, "plant", _place(scratch), nest)
    alive = canary.survivors(nest.token) if sys.platform == "linux" else []
    second = _place(scratch)
    found = await _play(sandbox, "look", second, nest)
    await _play(sandbox, "clean", second, nest)
    return sorted({*found, *(["survivor"] if alive else [])})


async def _play(sandbox: ZygoteSandbox, function: str, place: Place, nest: canary.Nest) -> list[str]:
    program = Call(entry=f"{_CANARY}:{function}", payload=canary.pack(nest))
    running = await sandbox.start(program, place, wall_s=_STEP_S, memory_mb=None, listen=False)
    found = [json.loads(frame.data) async for frame in running.frames() if frame.kind == canary.FOUND]
    ended = await running.exit()
    if ended.status != "exited" or ended.code != 0:
        words = ended.stderr.decode(errors="replace").strip() or ended.detail
        raise WorldError(f"a trial episode ended badly ({ended.status}): {words}")
    return found[0] if found else []


@contextlib.contextmanager
def _rooms() -> Generator[tuple[str, str, str]]:
    """Make a scratch directory, a source directory and a secret file, apart from each other."""
    top = Path(tempfile.mkdtemp(prefix="assay-probe-")).resolve()
    try:
        scratch, source, secret = (top / name for name in ("scratch", "source", "secret"))
        scratch.mkdir()
        source.mkdir()
        secret.write_text("secret", encoding="utf-8")
        yield str(scratch), str(source), str(secret)
    finally:
        shutil.rmtree(top, ignore_errors=True)


@contextlib.contextmanager
def _marked_environment() -> Generator[None]:
    os.environ[canary.HARNESS_VARIABLE] = "secret"
    try:
        yield
    finally:
        del os.environ[canary.HARNESS_VARIABLE]


def _place(scratch: str) -> Place:
    work, home, tmp = (tempfile.mkdtemp(dir=scratch) for _ in range(3))
    return Place(work=work, home=home, tmp=tmp, env={})


def _free_port() -> int:
    with stream.listen() as listener:
        return listener.getsockname()[1]


def _version(bwrap: str) -> str:
    if not bwrap:
        return ""
    done = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=_STEP_S, check=False)
    return done.stdout.strip()
