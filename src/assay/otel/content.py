"""Attribute values as content: JSON text and structured values alike, tolerant of everything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from assay.otel.bounds import DEFAULT_BOUNDS, bounded

_COUNT_MAX = 2**53
_MAX_PATH = 12
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SAFE_SIZE = DEFAULT_BOUNDS.nodes
"""JSON text of so many characters has no more nodes than are allowed, and no longer strings."""


def structured(value: Any) -> Any:
    """Return text that holds a JSON object, array or string decoded and bounded; anything else unchanged.

    Malformed JSON stays text, and so do numbers: the text `42` may well be text.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "[", '"'}:
        return value
    return parsed(value)


def parsed(value: str) -> Any:
    """Return any JSON text decoded and bounded, malformed text unchanged."""
    try:
        found = msgspec.json.decode(value)
        if _is_safe(value, found):
            return found
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        # NaN and lone surrogates are no JSON, but Python writes them
        try:
            found = json.loads(value)
        except (UnicodeError, RecursionError, ValueError):
            return value
    return bounded(found)


def _is_safe(text: str, found: Any) -> bool:
    """Whether JSON text is surely within the bounds; saves the walk through what it holds."""
    if len(text) > _SAFE_SIZE or "\\u0000" in text:
        return False
    if not _is_shallow(text):
        return False
    try:
        # numbers that do not fit in 64 bits cannot be encoded
        msgspec.msgpack.encode(found)
    except OverflowError:
        return False
    return True


def _is_shallow(text: str) -> bool:
    """Whether JSON text is surely not nested too deep; brackets inside strings can only make it look deeper."""
    if text.count("[") + text.count("{") <= DEFAULT_BOUNDS.depth:
        return True
    brackets = text.encode().translate(None, _NO_BRACKETS)
    for _ in range(DEFAULT_BOUNDS.depth):
        # takes away the innermost level
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return True
    return False


def as_text(value: Any) -> str:
    """Return text as it is, None as nothing, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def as_count(value: Any) -> int | None:
    """Return a number of tokens, None when the value is no such number."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 16:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _COUNT_MAX else None


def as_money(value: Any) -> float | None:
    """Return an amount of money, None when the value is none."""
    if isinstance(value, str) and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    amount = float(value)
    return amount if math.isfinite(amount) and amount >= 0 else None


def numbered(attributes: Mapping[str, Any], prefix: str) -> tuple[list[Any], list[str]]:
    """Fold attributes `<prefix><i>.<path>` into a list of nested dicts, in order of `i`; also return their keys.

    Levels whose keys are all numbers become lists. Paths deeper than 12 levels stay joined by dots.
    """
    root: dict[str, Any] = {}
    keys: list[str] = []
    start = len(prefix)
    for key, value in attributes.items():
        if key.startswith(prefix) and key[start : start + 1].isdecimal():
            keys.append(key)
            _insert(root, key[start:].split(".", _MAX_PATH), value)
    folded = _fold(root)
    return (folded if isinstance(folded, list) else []), keys


def _insert(root: dict[str, Any], path: list[str], value: Any) -> None:
    node = root
    for step in path[:-1]:
        below = node.get(step)
        if not isinstance(below, dict):
            # a value where a level should be is kept beside it
            below = {} if below is None else {"": below}
            node[step] = below
        node = below
    last = path[-1]
    if isinstance(node.get(last), dict):
        node[last][""] = value
    else:
        node[last] = value


def _fold(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isascii() and key.isdecimal() and len(key) <= 9 for key in node):
        return [_fold(node[key]) for key in sorted(node, key=int)]
    return {key: _fold(item) for key, item in node.items()}
