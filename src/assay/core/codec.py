"""Canonical JSON, digests and ids: the one way values become bytes."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, TypeVar

import msgspec

from assay.core.errors import ConfigError, Problem

_canonical = msgspec.json.Encoder(order="sorted")
T = TypeVar("T")
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def canonical_json(value: Any) -> bytes:
    """Encode any core value or JSON value with sorted keys and no white space.

    Two equal values give the same bytes on every machine. Raises `TypeError` for values that JSON cannot hold.
    """
    return _canonical.encode(value)


def digest(value: Any) -> str:
    """Name a value by its content: 32 hex digits (BLAKE2b, 128 bits) of its canonical JSON."""
    return digest_bytes(_canonical.encode(value))


def digest_bytes(data: bytes) -> str:
    """Name bytes by their content: 32 hex digits (BLAKE2b, 128 bits)."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def new_id() -> str:
    """Return a fresh id of 20 characters that sorts by creation time (48 bits of milliseconds, 52 random bits)."""
    number = (int(time.time() * 1000) << 52) | (int.from_bytes(os.urandom(7), "big") >> 4)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(95, -1, -5))


def to_jsonable(value: Any) -> Any:
    """Turn any core value into plain dicts, lists, strings and numbers."""
    return msgspec.to_builtins(value)


def decode_json(data: bytes | str, type_: type[T], *, path: str = "") -> T:
    """Decode JSON into a core value; raises `ConfigError` that says where the data does not fit."""
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(message=str(error), path=path)]) from error
