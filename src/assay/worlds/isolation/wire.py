"""How worker, zygote and supervisor talk: small framed messages over socket pairs.

What flows down is written with `marshal` (both ends are the same interpreter and the sender is trusted). What flows
up comes from processes that ran the agent's code: it is fixed structs and bounded bytes, nothing that executes.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

HEADER: Final = struct.Struct(">II")
"""Kind and size of the payload that follows."""
ENDED_HEAD: Final = struct.Struct(">iiiQII")
"""Reason, exit code, signal, dropped bytes, size of stdout, size of stderr; the two outputs follow."""

CONFIG: Final = 1
READY: Final = 2
REQUEST: Final = 3
STARTED: Final = 4
FAILED: Final = 5
ENDED: Final = 6

EXITED: Final = 0
SIGNALED: Final = 1
TIMEOUT: Final = 2
KILLED: Final = 3

FRAME_LIMIT: Final = 64 * 1024 * 1024
"""Largest payload of one message, in bytes."""


def send(sock: socket.socket, kind: int, payload: bytes = b"", fds: tuple[int, ...] = ()) -> None:
    """Write one message on a blocking socket; descriptors travel with its header."""
    header = HEADER.pack(kind, len(payload))
    if fds:
        socket.send_fds(sock, [header], list(fds))
    else:
        payload = header + payload
    if payload:
        sock.sendall(payload)


def receive(sock: socket.socket) -> tuple[int, bytes]:
    """Read one message from a blocking socket; raises `EOFError` when the other side is gone."""
    kind, size = HEADER.unpack(_exactly(sock, HEADER.size))
    return kind, _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
