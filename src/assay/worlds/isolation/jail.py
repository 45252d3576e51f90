"""Kind `jail`: namespaces of its own for every episode, made inside the zygote's bubblewrap view.

The zygote already sees nothing but a read-only root, so one episode needs only what must not be shared with the next:
user, PID, mount, IPC, UTS, cgroup and network namespaces, private temporary file systems and its own three
directories. The kernel takes all of it down when the supervisor, PID 1 in there, ends.
"""

# Pathlib would take milliseconds of every start; nothing below the worker imports it.
# ruff: noqa: PTH103, PTH110, PTH112, PTH120, PTH123, PTH208

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from assay.worlds.isolation import linux

if TYPE_CHECKING:
    from assay.worlds.isolation.order import Setting

UID = 1000
"""User and group of every program in a jail, whoever runs assay."""
PRIVATE = ("/run", "/var/tmp", "/dev/shm")  # noqa: S108 - these are the paths that get hidden
"""Where every episode gets an empty file system of its own."""
HOSTNAME = "assay"

_PROC_GUARDED = ("bus", "irq", "sys", "sysrq-trigger", "scsi", "acpi")
_NAMESPACES = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)
_THREADS_END_S = 1.0
_THREADS_PAUSE_S = 0.0002
_QUIET = linux.MS_NOSUID | linux.MS_NODEV


def enter(setting: Setting, binds: list[tuple[str, str]]) -> None:
    """Return in a forked child that is PID 1 of the episode's namespaces; the calling process ends here.

    `binds` says which host directory appears at which path.

    Raises `OSError` where the kernel or a security module forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    _wait_until_single_threaded()
    linux.unshare(_NAMESPACES | (linux.CLONE_NEWNET if setting.own_network else 0))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{UID} {uid} 1")
    _write("/proc/self/gid_map", f"{UID} {gid} 1")
    if os.fork():
        os._exit(0)
    _mount_view(setting, binds)
    socket.sethostname(HOSTNAME)
    if setting.own_network:
        linux.raise_loopback()
    linux.set_dumpable(dumpable=False)


def _wait_until_single_threaded() -> None:
    """Let threads end that what the agent imported started after the fork (the OpenTelemetry SDK asks for its resource).

    The kernel gives no user namespace to a process with threads; one that keeps them is refused by `unshare`.
    """
    deadline = time.monotonic() + _THREADS_END_S
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
        time.sleep(_THREADS_PAUSE_S)


def trouble(setting: Setting) -> str:
    """Try once, in a throw-away child; returns why jails cannot be made here, empty when they can."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        answer = ""
        try:
            enter(setting, [])
        except OSError as error:
            answer = str(error) or "refused"
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answers:
        text = answers.read().decode(errors="replace")
    os.wait()
    return text


def seal() -> None:
    """Give up, in the program's process, what only the supervisor needs."""
    linux.drop_privileges()
    linux.set_dumpable(dumpable=True)


def _mount_view(setting: Setting, binds: list[tuple[str, str]]) -> None:
    kept = [(path, os.open(path, os.O_PATH)) for path in setting.keep]
    places = [(target, os.open(source, os.O_PATH)) for source, target in binds]
    for path in PRIVATE:
        linux.mount("tmpfs", path, "tmpfs", _QUIET, "mode=1777")
    linux.mount("devpts", "/dev/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    for target, fd in places:
        linux.mount(f"/proc/self/fd/{fd}", target, None, linux.MS_BIND)
    for path, fd in kept:
        _make_mount_point(path, is_directory=os.path.isdir(f"/proc/self/fd/{fd}"))
        linux.mount(f"/proc/self/fd/{fd}", path, None, linux.MS_BIND | linux.MS_REC)
    for path in setting.conceal:
        if os.path.isdir(path):
            linux.mount("tmpfs", path, "tmpfs", _QUIET | linux.MS_RDONLY, "mode=0555")
    for _, fd in (*kept, *places):
        os.close(fd)
    linux.mount("proc", "/proc", "proc", _QUIET | linux.MS_NOEXEC)
    for name in _PROC_GUARDED:
        if os.path.exists(f"/proc/{name}"):
            linux.bind_read_only(f"/proc/{name}")


def _make_mount_point(path: str, *, is_directory: bool) -> None:
    os.makedirs(path if is_directory else os.path.dirname(path), exist_ok=True)
    if not is_directory and not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
