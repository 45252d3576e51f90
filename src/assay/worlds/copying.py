"""Copies and digests of single files, safe on files that an agent left behind."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager

_CHUNK = 1 << 20
_NO_COPY_RANGE = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY})


def copy_file(source: str, target: str, mode: int = 0o600) -> int:
    """Copy a regular file's bytes to a new file; returns their number. The kernel shares blocks where it can.

    Raises `OSError`: also for anything that is not a regular file (links are not followed) and for a `target` that
    exists.
    """
    with open_regular(source) as reader:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            return _copy(reader, writer)
        finally:
            os.close(writer)


def read_digest(path: str) -> tuple[int, str]:
    """Return size and BLAKE2b-128 (hex) of a regular file; raises `OSError` like `copy_file`."""
    hasher = hashlib.blake2b(digest_size=16)
    size = 0
    with open_regular(path) as reader:
        while data := os.read(reader, _CHUNK):
            hasher.update(data)
            size += len(data)
    return size, hasher.hexdigest()


def same_bytes(one: str, other: str) -> bool:
    """Tell whether two regular files hold the same bytes; raises `OSError` like `copy_file`."""
    with open_regular(one) as first, open_regular(other) as second:
        if os.fstat(first).st_size != os.fstat(second).st_size:
            return False
        while data := os.read(first, _CHUNK):
            if data != os.read(second, _CHUNK):
                return False
        return not os.read(second, 1)


@contextmanager
def open_regular(path: str) -> Generator[int]:
    """Open a regular file for reading: never follows a link, never waits on a FIFO, lifts a mode that forbids it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    try:
        descriptor = os.open(path, flags)
    except PermissionError:
        os.chmod(path, 0o600)  # noqa: PTH101 - a bytes-exact path, just seen to be a regular file
        descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(reader: int, writer: int) -> int:
    total = 0
    try:
        while copied := os.copy_file_range(reader, writer, 1 << 30):
            total += copied
    except OSError as error:
        if error.errno not in _NO_COPY_RANGE or total:
            raise
    else:
        return total
    with open(reader, "rb", closefd=False) as source, open(writer, "wb", closefd=False) as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
        return sink.tell()
