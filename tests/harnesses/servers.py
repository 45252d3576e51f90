"""A small real HTTP server on loopback, whose answers are scripted by a function."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    body: bytes | str | dict[str, Any] | list[Any] = b""
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    hang_up: bool = False

    def encode(self) -> bytes:
        body = (
            self.body
            if isinstance(self.body, bytes)
            else (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"HTTP/1.1 {self.status}\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body


@contextlib.asynccontextmanager
async def serve(answer: Callable[[Request], Reply]) -> AsyncIterator[tuple[str, list[Request]]]:
    """Yield the server's address and the requests that it received."""
    seen: list[Request] = []
    talking: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(method, path, headers, body)
                seen.append(request)
                reply = answer(request)
                if reply.hang:
                    await reader.read()
                if reply.hang or reply.hang_up:
                    break
                writer.write(reply.encode())
                await writer.drain()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await server.wait_closed()
