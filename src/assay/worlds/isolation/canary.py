"""Canaries: what one episode plants in every channel it can think of, and what the next must not find.

Runs inside episodes. The payload is a `Nest` as JSON; `look` answers with the names of the channels that leaked.
"""

# Pathlib would take milliseconds of every start; nothing below the worker imports it.
# ruff: noqa: PTH103, PTH108, PTH109, PTH110, PTH111, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from assay.worlds.isolation.program import Channel

HARNESS_VARIABLE = "ASSAY_CANARY"
"""Set in the environment of the harness only."""
FOUND = 1
"""Kind of the frame that `look` sends."""

_DAEMON_S = 30.0
_CONNECT_S = 1.0
_IPC_CREAT = 0o1000
_IPC_RMID = 0
_USER_KEYRING = -4
_KEYCTL_SEARCH = 10
_KEYCTL_INVALIDATE = 21
_PR_SET_NAME = 15
_SYSCALLS = {"x86_64": (248, 250), "aarch64": (217, 219)}


class Nest(NamedTuple):
    """Where to plant and what to look for."""

    token: str
    """Unique text, 16 hex digits."""
    source: str
    """Directory of the agent's code."""
    host_file: str
    """File of the host that no episode may read."""
    host_pid: int
    """Process id of the harness."""
    host_birth: str
    """Start time of the harness as /proc tells it, so that another process with its number is not taken for it."""
    host_port: int
    """Loopback port that the harness listens on."""
    port: int
    """Loopback port that the planted daemon tries to listen on."""


def pack(nest: Nest) -> bytes:
    """Write the payload of a call."""
    return json.dumps(nest).encode()


def birth(pid: int) -> str:
    """Return the start time of a process in ticks since boot; empty when it cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""


def survivors(token: str) -> list[int]:
    """Return the planted daemons that are still alive, as far as this process can see."""
    found: list[int] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as comm:
            if comm.read().strip() == token[:15]:
                found.append(int(name))
    return found


def plant(payload: bytes, channel: Channel) -> None:
    """Leave a token in every channel; what the isolation forbids is simply not planted."""
    nest = Nest(*json.loads(payload))
    for path in _files(nest).values():
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(nest.token)
    libc = ctypes.CDLL(None)
    libc.shmget(_shm_key(nest), 64, _IPC_CREAT | 0o666)
    if numbers := _SYSCALLS.get(os.uname().machine):
        token = nest.token.encode()
        libc.syscall(numbers[0], b"user", token, token, len(token), _USER_KEYRING)
    _plant_daemon(nest)


def look(payload: bytes, channel: Channel) -> None:
    """Send the names of the channels through which the token or the host can be reached, as JSON."""
    nest = Nest(*json.loads(payload))
    found = [name for name, path in _files(nest).items() if os.path.exists(path)]
    checks: dict[str, Callable[[Nest], bool]] = {
        "env": lambda _: HARNESS_VARIABLE in os.environ,
        "source": _writes_source,
        "sysv_shm": lambda nest: ctypes.CDLL(None).shmget(_shm_key(nest), 64, 0) >= 0,
        "keyring": lambda nest: _key(nest) > 0,
        "abstract_socket": lambda nest: _reaches(socket.AF_UNIX, f"\0{nest.token}"),
        "loopback": lambda nest: _reaches(socket.AF_INET, ("127.0.0.1", nest.port)),
        "survivor": lambda nest: bool(survivors(nest.token)),
        "host_loopback": lambda nest: _reaches(socket.AF_INET, ("127.0.0.1", nest.host_port)),
        "host_environ": _reads_environment,
        "host_file": _reads_host_file,
        "signal_host": _may_signal,
    }
    found += [name for name, check in checks.items() if name not in found and check(nest)]
    channel.send(FOUND, json.dumps(sorted(found)).encode())


def clean(payload: bytes, channel: Channel) -> None:
    """Remove what `plant` left where it was not confined."""
    nest = Nest(*json.loads(payload))
    for path in _files(nest).values():
        with contextlib.suppress(OSError):
            os.unlink(path)
    libc = ctypes.CDLL(None)
    segment = libc.shmget(_shm_key(nest), 64, 0)
    if segment >= 0:
        libc.shmctl(segment, _IPC_RMID, None)
    key = _key(nest)
    if key > 0:
        libc.syscall(_SYSCALLS[os.uname().machine][1], _KEYCTL_INVALIDATE, key)


def _files(nest: Nest) -> dict[str, str]:
    name = f"assay-canary-{nest.token}"
    return {
        "home": os.path.expanduser(f"~/.cache/{name}"),
        "cwd": os.path.join(os.getcwd(), name),
        "tmp": f"/tmp/{name}",  # noqa: S108 - the shared directories are what is tested
        "var_tmp": f"/var/tmp/{name}",  # noqa: S108
        "dev_shm": f"/dev/shm/{name}",  # noqa: S108
        "source": os.path.join(nest.source, name),
    }


def _plant_daemon(nest: Nest) -> None:
    """Fork twice and leave a process that listens on an abstract and on a loopback socket."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(_PR_SET_NAME, nest.token[:15].encode(), 0, 0, 0)
            listeners = [
                _listen(socket.AF_UNIX, f"\0{nest.token}"),
                _listen(socket.AF_INET, ("127.0.0.1", nest.port)),
            ]
            os.write(writer, b"+" if all(listeners) else b"-")
            time.sleep(_DAEMON_S)
        os._exit(0)
    os.wait()
    os.read(reader, 1)


def _listen(family: int, address: str | tuple[str, int]) -> socket.socket | None:
    listener = socket.socket(family)
    try:
        listener.bind(address)
        listener.listen()
    except OSError:
        return None
    return listener


def _reaches(family: int, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as sock:
        sock.settimeout(_CONNECT_S)
        return sock.connect_ex(address) == 0


def _shm_key(nest: Nest) -> int:
    return int(nest.token[:7], 16) | 1  # 0 would mean a private segment


def _key(nest: Nest) -> int:
    numbers = _SYSCALLS.get(os.uname().machine)
    if numbers is None:
        return 0
    return ctypes.CDLL(None).syscall(numbers[1], _KEYCTL_SEARCH, _USER_KEYRING, b"user", nest.token.encode(), 0)


def _writes_source(nest: Nest) -> bool:
    path = os.path.join(nest.source, f"assay-probe-{nest.token}")
    try:
        with open(path, "w", encoding="utf-8"):
            pass
        os.unlink(path)
    except OSError:
        return False
    return True


def _reads_environment(nest: Nest) -> bool:
    if not nest.host_birth or birth(nest.host_pid) != nest.host_birth:
        return False
    try:
        with open(f"/proc/{nest.host_pid}/environ", "rb") as environ:
            return bool(environ.read())
    except OSError:
        return False


def _reads_host_file(nest: Nest) -> bool:
    return os.access(nest.host_file, os.R_OK)


def _may_signal(nest: Nest) -> bool:
    if birth(nest.host_pid) != nest.host_birth:
        return False
    try:
        os.kill(nest.host_pid, 0)
    except OSError:
        return False
    return True
