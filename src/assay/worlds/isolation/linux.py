"""The Linux system calls that Python has no name for. Every function raises `OSError` when the kernel refuses."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_HIGHEST_CAPABILITY = 63
_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEYCTL_NUMBERS = {"x86_64": 250, "aarch64": 219}
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces; a new PID namespace begins with the next fork."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount, bind or remount; None stands for an argument that the call ignores."""
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    data = options.encode() if options is not None else None
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), data), f"mount {kind or 'bind'} on {target}")


def bind_read_only(path: str) -> None:
    """Make an existing path read-only for everybody who sees this mount."""
    mount(path, path, None, MS_BIND | MS_REC)
    mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _prctl(option: int, value: int, what: str) -> None:
    rest = (ctypes.c_ulong(0),) * 3
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *rest), what)


def become_subreaper() -> None:
    """Adopt every orphan below this process, so that no descendant can escape by forking twice."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "become subreaper")


def signal_on_parent_death(number: int) -> None:
    """Be signalled when the *thread* that forked this process ends; check `getppid` afterwards for a lost race."""
    _prctl(_PR_SET_PDEATHSIG, number, "set parent death signal")


def die_with(parent: int) -> None:
    """Die by SIGKILL as soon as the given parent is gone, or now if it already is."""
    signal_on_parent_death(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def set_dumpable(*, dumpable: bool) -> None:
    """Say whether processes of the same user may trace this one and read its memory and environment."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable), "set dumpable")


def drop_privileges() -> None:
    """Give up every capability, for good: effective, permitted, inheritable, ambient and bounding."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "set no_new_privs")
    for capability in range(_HIGHEST_CAPABILITY + 1):
        if _libc.prctl(ctypes.c_int(_PR_CAPBSET_DROP), ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break  # beyond the kernel's last capability
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, "clear ambient capabilities")
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def new_session_keyring() -> None:
    """Leave the inherited kernel session keyring, where this machine's system call number is known."""
    number = _KEYCTL_NUMBERS.get(os.uname().machine)
    if number is not None:
        _libc.syscall(ctypes.c_long(number), ctypes.c_long(_KEYCTL_JOIN_SESSION_KEYRING), None)


def raise_loopback() -> None:
    """Bring up `lo` in the current network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
