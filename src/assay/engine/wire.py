"""Frames between coordinator and workers: a length, then msgpack."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import msgspec

_LENGTH = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def frame(message: Any) -> bytes:
    """Encode one message with its length in front."""
    data = _encoder.encode(message)
    return _LENGTH.pack(len(data)) + data


class Wire(asyncio.Protocol):
    """One end of a worker's socket: hands over whole messages, reports the end once."""

    def __init__(self, on_message: Callable[[Any], None], on_lost: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Split the stream into messages."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            stop = start + _LENGTH.size + length
            if stop > end:
                break
            message = _decoder.decode(memoryview(buffer)[start + _LENGTH.size : stop])
            start = stop
            self._on_message(message)
        if start:
            del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the other side."""
        self._transport = None
        self._on_lost()

    def send(self, message: Any) -> None:
        """Write a message; nothing happens once the connection is gone."""
        if self._transport is not None:
            self._transport.write(frame(message))

    def close(self) -> None:
        """Close this end."""
        if self._transport is not None:
            self._transport.abort()
