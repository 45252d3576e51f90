"""Kind `process`: no confinement, but no descendant survives its episode.

The supervisor is a subreaper: whatever the agent daemonizes becomes the supervisor's child and is found. Where there
is no subreaper (macOS) the process group is killed, which a program that calls `setsid` can escape.
"""

# Pathlib would take milliseconds of every start; nothing below the worker imports it.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import signal
import sys
import time

_PAUSE_S = 0.001
_PATIENCE_S = 10.0


def own_tree(parent: int) -> None:
    """Adopt all orphans from now on, and be told by SIGTERM when `parent` dies."""
    if sys.platform == "linux":
        from assay.worlds.isolation import linux

        linux.become_subreaper()
        linux.signal_on_parent_death(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)


def kill_tree(group: int) -> None:
    """Kill and reap all descendants of this process; `group` is the program's process group.

    Raises `OSError` when something survives, such as a program that changed its user.
    """
    give_up = time.monotonic() + _PATIENCE_S
    while reap():
        if sys.platform != "linux":
            kill(-group)
        elif not kill_descendants():
            time.sleep(_PAUSE_S)
        if time.monotonic() > give_up:
            raise OSError(f"{len(_descendants(frozenset()))} processes of the episode cannot be killed")


def reap() -> bool:
    """Collect the dead children; True while living ones are left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def kill_descendants(spare: frozenset[int] = frozenset()) -> int:
    """Kill once what descends from this process, except `spare` and what is below them; returns how many were found."""
    victims = _descendants(spare)
    for pid in victims:
        kill(pid)
    return len(victims)


def kill(pid: int) -> None:
    """Send SIGKILL; a process that is gone or not ours is left alone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _descendants(spare: frozenset[int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = _living_parent(name)
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    frontier = [os.getpid()]
    while frontier:
        below = [pid for pid in children.get(frontier.pop(), []) if pid not in spare]
        found += below
        frontier += below
    return found


def _living_parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            state, parent = stat.read().rpartition(b")")[2].split()[:2]
    except OSError:
        return -1  # ended while we looked
    return -1 if state == b"Z" else int(parent)
