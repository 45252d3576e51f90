"""Messages and descriptors on non-blocking sockets: the asyncio side of `wire`."""

from __future__ import annotations

import asyncio
import os
import socket

from assay.worlds.isolation import wire


def listen() -> socket.socket:
    """Listen on a free port of the host's loopback."""
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


def adopt(fd: int) -> socket.socket:
    """Take over a received socket."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


async def send(sock: socket.socket, kind: int, payload: bytes) -> None:
    """Write one message."""
    await asyncio.get_running_loop().sock_sendall(sock, wire.HEADER.pack(kind, len(payload)) + payload)


async def receive(sock: socket.socket) -> tuple[int, bytes]:
    """Read one message; raises `EOFError` when the other side is gone and `ValueError` when it is too large."""
    kind, size = wire.HEADER.unpack(await exactly(sock, wire.HEADER.size))
    if size > wire.FRAME_LIMIT:
        raise ValueError(f"message of {size} bytes is beyond the limit of {wire.FRAME_LIMIT}")
    return kind, await exactly(sock, size)


async def receive_with_descriptor(sock: socket.socket) -> tuple[int, bytes, int | None]:
    """Read one message and the descriptor that may come with its header."""
    while True:
        try:
            head, fds, _, _ = socket.recv_fds(sock, wire.HEADER.size, 1)
        except BlockingIOError:
            await readable(sock)
        else:
            break
    if not head:
        raise EOFError
    kind, size = wire.HEADER.unpack(head + await exactly(sock, wire.HEADER.size - len(head)))
    for fd in fds:
        os.set_inheritable(fd, False)
    return kind, await exactly(sock, size), fds[0] if fds else None


async def exactly(sock: socket.socket, size: int) -> bytes:
    """Read `size` bytes; raises `EOFError` when the stream ends before."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < size:
        chunk = await loop.sock_recv(sock, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


async def readable(sock: socket.socket) -> None:
    """Wait until a non-blocking socket has something to read."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


async def writable(sock: socket.socket) -> None:
    """Wait until a non-blocking socket has room."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sock, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
