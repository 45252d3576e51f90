"""Bounds on what a span may carry: hostile values become small, valid and plain, with a visible mark at every cut."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_SHORT = 64
_MARK_ROOM = 40
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_ELLIPSIS = "…"


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one span is kept."""

    text: int = 1_048_576
    """Characters of one string."""
    total: int = 4_194_304
    """Characters of all strings together."""
    nodes: int = 50_000
    """List items and dict entries together."""
    depth: int = 32
    """Levels of nesting."""
    keys: int = 2_048
    """Attributes of a span, event or resource."""
    key: int = 256
    """Characters of a name or key."""
    events: int = 512
    """Events of a span."""


DEFAULT_BOUNDS = Bounds()


class Bounder:
    """Copies values within one budget, so that the parts of a span share it.

    Every result is JSON: None, bool, int of 64 bits, finite float, str of valid Unicode without NUL, list and dict with
    str keys. Bounding a result again under the same bounds changes nothing.
    """

    __slots__ = ("_bounds", "_chars", "_nodes")

    def __init__(self, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._bounds = bounds
        self._chars = bounds.total
        self._nodes = bounds.nodes

    def text(self, value: str) -> str:
        """Return valid Unicode, cut to what is left; strings of up to 64 characters are never cut."""
        clean = clean_text(value)
        size = len(clean)
        if size > _SHORT:
            room = min(self._bounds.text, max(self._chars, _SHORT))
            if size > room:
                clean = cut_text(clean, room)
                size = len(clean)
        self._chars -= size
        return clean

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a bounded copy of any value; `depth` is the nesting it stands at."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if _INT_MIN <= value <= _INT_MAX else _big_int(value)
        if kind is float:
            return value if math.isfinite(value) else _odd_float(value)
        if (kind is dict or kind is list or kind is tuple) and depth < self._bounds.depth:
            return (
                self._entries(value, self._bounds.nodes, depth + 1) if kind is dict else self._items(value, depth + 1)
            )
        return self._odd(value, depth)

    def attributes(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the attributes of a span, event or resource."""
        return self._entries(value, self._bounds.keys, 1)

    def name(self, value: str) -> str:
        """Return a name or key, cut to the length of one."""
        return cut_text(clean_text(value), self._bounds.key)

    def _odd(self, value: Any, depth: int) -> Any:
        """Return what rarer types stand for; subclasses, enum members among them, count as what they are made of."""
        if isinstance(value, (str, int, float)):
            return self.value(_plain_scalar(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value))
        if not isinstance(value, (Mapping, Sequence)):
            return f"<{type(value).__name__}>"
        if depth >= self._bounds.depth:
            return f"{_ELLIPSIS} [cut: nested deeper than {self._bounds.depth} levels]"
        if isinstance(value, Mapping):
            return self._entries(value, self._bounds.nodes, depth + 1)
        return self._items(value, depth + 1)

    def _bytes(self, value: bytes) -> str:
        whole = len(value)
        room = min(self._bounds.text, max(self._chars, _SHORT)) * 3 // 4
        if whole <= room:
            return self.text(base64.b64encode(value).decode())
        kept = base64.b64encode(value[: max(room - _MARK_ROOM, 0)]).decode()
        return self.text(f"{kept}{_ELLIPSIS} [cut {whole - max(room - _MARK_ROOM, 0)} bytes]")

    def _items(self, value: Sequence[Any], depth: int) -> list[Any]:
        size = len(value)
        keep = self._take(size, self._bounds.nodes)
        result = [self.value(item, depth) for item in value[:keep]]
        if keep < size:
            result.append(f"{_ELLIPSIS} [cut {size - keep} items]")
        return result

    def _entries(self, value: Mapping[Any, Any], limit: int, depth: int) -> dict[str, Any]:
        size = len(value)
        keep = self._take(size, limit)
        result: dict[str, Any] = {}
        key_limit = self._bounds.key
        bound = self.value
        for key, item in value.items():
            if keep < size and len(result) >= keep:
                break
            name = key if type(key) is str else _key(key)
            if len(name) > key_limit or not name.isascii() or "\x00" in name:
                name = cut_text(clean_text(name), key_limit)
            self._chars -= len(name)
            result[name] = bound(item, depth)
        if keep < size:
            result[_ELLIPSIS] = f"[cut {size - keep} entries]"
        return result

    def _take(self, size: int, limit: int) -> int:
        """Charge a container of `size` entries; return how many to keep (one slot goes to the mark)."""
        room = min(limit, max(self._nodes, 1))
        self._nodes -= min(size, room)
        return size if size <= room else room - 1


def clean_text(value: str) -> str:
    """Return valid Unicode without NUL (shown as ␀); lone surrogates are shown as escapes."""
    if "\x00" in value:
        value = value.replace("\x00", "␀")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def cut_text(value: str, limit: int) -> str:
    """Return at most `limit` characters (at least 64), with a mark that says how many were cut."""
    limit = max(limit, _SHORT)
    if len(value) <= limit:
        return value
    kept = limit - _MARK_ROOM
    return f"{value[:kept]}{_ELLIPSIS} [cut {len(value) - kept} characters]"


def bounded(value: Any, bounds: Bounds = DEFAULT_BOUNDS) -> Any:
    """Return a bounded, plain copy of any value."""
    return Bounder(bounds).value(value)


def _plain_scalar(value: str | float) -> str | float:
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _big_int(value: int) -> str:
    return str(value) if value.bit_length() <= 512 else f"{_ELLIPSIS} [integer of {value.bit_length()} bits]"


def _odd_float(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _key(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return _big_int(value)
    return f"<{type(value).__name__}>"
