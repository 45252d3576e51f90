"""Text and values from hostile sources, made storable: what no database or codec can hold is replaced, visibly."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

import msgspec

LARGEST = 2**63 - 1
"""Largest integer that a column holds."""

LARGEST_COUNT = 10**12
"""Largest count of one episode that is believed: more would be a hostile trace, and overflow the sums of a run."""

MAX_DEPTH = 100
"""Levels of nesting that are kept of a value that is nested too deeply to be encoded as it is."""

BIG_INTEGER = 1
"""MessagePack extension type of integers beyond 64 bits, written in decimal."""

_TOO_DEEP = "<nested too deeply to be stored>"


def plain(text: str) -> str:
    """Return text that every database can hold: NUL becomes U+2400, a lone surrogate its escape: a backslash and `ud800`."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    return text if text.isascii() else _without_surrogates(text)


def bounded(number: int, largest: int = LARGEST) -> int:
    """Return the nearest integer that a column can hold, or of a smaller range."""
    return number if -largest <= number <= largest else (largest if number > 0 else -largest)


def count(number: int) -> int:
    """Return a count that can be summed over a run."""
    return bounded(number, LARGEST_COUNT)


def finite(number: float | None) -> float | None:
    """Return None for NaN and the infinities: a database sums and compares them as no one means it."""
    return number if number is not None and -1e308 <= number <= 1e308 else None


def tamed(value: Any, depth: int = 0) -> Any:
    """Rebuild a core value from plain parts that MessagePack can encode.

    Lone surrogates become escapes, integers beyond 64 bits an extension (in typed fields: the nearest one of 64 bits), and
    what lies deeper than `MAX_DEPTH` a remark.
    """
    if depth > MAX_DEPTH:
        return _TOO_DEEP
    match value:
        case str():
            value = _without_surrogates(str(value.value) if isinstance(value, Enum) else value)
        case int() if not -LARGEST <= value <= LARGEST:
            value = msgspec.msgpack.Ext(BIG_INTEGER, str(value).encode())
        case dict():
            value = {_key(key): tamed(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            value = [tamed(item, depth + 1) for item in value]
        case msgspec.Struct():
            value = _tamed_struct(value, depth)
        case _:
            pass
    return value


def _tamed_struct(value: msgspec.Struct, depth: int) -> Any:
    fields: dict[str, Any] = {}
    for name, is_integer in _fields(type(value)):
        item = getattr(value, name)
        fields[name] = bounded(item) if is_integer else tamed(item, depth + 1)
    return list(fields.values()) if value.__struct_config__.array_like else fields


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.type is int) for field in msgspec.structs.fields(kind))


def _key(key: Any) -> Any:
    return tamed(key) if isinstance(key, str | int | float | bytes | None) else _without_surrogates(str(key))


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
