"""Bounded capture of what a program prints: the beginning, the end, and how much is missing between."""

from __future__ import annotations

import os

_CHUNK = 65536


class Capture:
    """Drains one pipe; holds at most `limit` bytes, however much is printed."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped = 0
        """Bytes printed and not kept."""

    def read_once(self) -> bool:
        """Take what one read gives; False when all writers are gone or (for a non-blocking pipe) nothing waits."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return False
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        excess = len(self._tail) - self._tail_limit
        if excess > 0:
            del self._tail[:excess]
            self.dropped += excess
        return bool(chunk)

    @property
    def kept(self) -> bytes:
        """What was kept; a line marks the gap when bytes are missing."""
        gap = f"\n... {self.dropped} bytes dropped ...\n".encode() if self.dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)
