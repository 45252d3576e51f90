"""Scratch directories: where worlds live, in memory where the machine allows it, removed even after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from assay.core.errors import WorldError

_PREFIX = "assay-world-"
_LOCK = ".lock"
_ROOM_BYTES = 256 << 20
_LONG_PATH = 1024


class Scratch:
    """A private directory that lives as long as its owner: a lock tells the living from the abandoned."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make the directory under `parent` (by default memory, else the temporary folder); sweep abandoned ones."""
        home = parent if parent is not None else default_parent()
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        self.path = home
        self._maker = os.getpid()
        self._lock = -1
        while self._lock < 0:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
            self._lock = _take(self.path)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path only: the copy in another process does not own the directory."""
        return {"path": self.path, "_maker": 0, "_lock": -1}

    def close(self) -> None:
        """Remove the directory, in the process that made it."""
        if self._lock < 0 or self._maker != os.getpid():
            return
        try:
            remove_tree(self.path)
        finally:
            os.close(self._lock)
            self._lock = -1


def default_parent() -> Path:
    """Return shared memory where it is roomy and allows execution, else the temporary folder."""
    memory = Path("/dev/shm")  # noqa: S108 - the private directory below it is made by mkdtemp
    with contextlib.suppress(OSError):
        status = os.statvfs(memory)
        runs = not status.f_flag & os.ST_NOEXEC
        if runs and status.f_bavail * status.f_frsize >= _ROOM_BYTES and os.access(memory, os.W_OK | os.X_OK):
            return memory
    return Path(tempfile.gettempdir())


def remove_tree(path: Path) -> None:
    """Remove a directory whatever an agent did to it: modes, depth, links. Raises `WorldError` when something stays."""
    try:
        _remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorldError(f"cannot remove {path}: {error}") from error


def _remove(top: Path) -> None:
    """Remove level by level; directories with a long path are first moved to the top, so that none gets too long."""
    if not stat.S_ISDIR(top.lstat().st_mode):
        top.unlink()
        return
    pending = [top]
    while pending:
        inner = _empty(pending[-1], top)
        if inner:
            pending += inner
        else:
            pending.pop().rmdir()


def _empty(path: Path, top: Path) -> list[Path]:
    """Unlink the files of a directory; return the subdirectories that are still in it."""
    entries = _entries(path)
    if entries and not os.access(path, os.W_OK | os.X_OK):
        path.chmod(stat.S_IRWXU)
    directories: list[Path] = []
    for entry in entries:
        inner = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            inner.unlink()
        elif len(entry.path) > _LONG_PATH and path != top:
            inner.chmod(stat.S_IRWXU)
            inner.rename(top / f"moved-{os.urandom(8).hex()}")
        else:
            directories.append(inner)
    return directories


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except PermissionError:
        path.chmod(stat.S_IRWXU)
        with os.scandir(path) as entries:
            return list(entries)


def _take(path: Path) -> int:
    """Lock a fresh directory; -1 when a sweeper was faster."""
    lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (path / _LOCK).stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return -1


def _sweep(home: Path) -> None:
    """Remove what killed processes left: directories of ours whose lock nobody holds."""
    with os.scandir(home) as entries:
        ours = [Path(entry.path) for entry in entries if entry.name.startswith(_PREFIX) and _is_own_directory(entry)]
    for path in ours:
        with contextlib.suppress(OSError):
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(lock)


def _is_own_directory(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        status = entry.stat(follow_symlinks=False)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return False
