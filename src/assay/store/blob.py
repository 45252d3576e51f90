"""Values as compact bytes: MessagePack, in a zstd frame where that pays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import zstandard

from assay.core.errors import StoreError
from assay.store.text import BIG_INTEGER, tamed

RAW = "msgpack"
ZSTD = "msgpack+zstd"

_WORTH_BYTES = 1024  # below this zstd costs more time than its bytes are worth: 7 us to save 50 of 200
_LEVEL = 3

T = TypeVar("T")


class _Compressors(threading.local):
    """One pair per thread: they are reused, and must not be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_compressors = _Compressors()


def encode(value: Any) -> bytes:
    """Encode a core value. What MessagePack cannot hold is replaced visibly; raises nothing for any agent's output."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError):
        return _encode(tamed(value))


def compress(payload: bytes) -> tuple[str, bytes]:
    """Return codec and bytes."""
    if len(payload) >= _WORTH_BYTES:
        small = _compressors.compress(payload)
        if len(small) < len(payload):
            return ZSTD, small
    return RAW, payload


def reader(kind: type[T], what: str) -> Callable[[str, bytes], T]:
    """Return a function (codec, bytes) -> value; it raises `StoreError` where the bytes are no such value."""
    decode = msgspec.msgpack.Decoder(kind, ext_hook=_extension).decode

    def read(codec: str, data: bytes) -> T:
        try:
            payload = _compressors.decompress(data) if codec == ZSTD else data
            return _with_room(decode, payload)
        except (msgspec.DecodeError, zstandard.ZstdError, UnicodeDecodeError) as error:
            raise StoreError(f"{what} in the store cannot be read ({error}): the store is damaged") from error

    return read


def _with_room(decode: Callable[[bytes], T], payload: bytes) -> T:
    """Decode; what was encoded near the recursion limit is decoded on a thread, where the whole stack is free."""
    try:
        return decode(payload)
    except RecursionError:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(decode, payload).result()


def _foreign(value: Any) -> str:
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__} object: not JSON, not stored>"


def _extension(code: int, data: memoryview) -> Any:
    if code == BIG_INTEGER:
        return int(bytes(data))
    return msgspec.msgpack.Ext(code, bytes(data))


_encode = msgspec.msgpack.Encoder(enc_hook=_foreign).encode
