"""Answers of agents: whatever they return becomes bounded JSON values."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from assay.otel.bounds import Bounds, bounded

_PLAIN = frozenset({str, int, float, bool, type(None)})
_CHARS_PER_NODE = 4


def answer_bounds(output_kb: int) -> Bounds:
    """Return the bounds of one answer: `output_kb` KiB of text, containers in proportion, 32 levels."""
    chars = max(output_kb, 1) << 10
    return Bounds(text=chars, total=chars, nodes=max(chars // _CHARS_PER_NODE, 1), keys=chars)


def as_answer(value: Any, bounds: Bounds) -> Any:
    """Return any value as JSON can hold it: dataclasses, models and dates in their usual form, the rest as text.

    What is beyond the bounds is cut with a visible mark. Never raises.
    """
    if type(value) not in _PLAIN:
        # where this fails, the bounds below cope with every value in a plainer way
        with contextlib.suppress(msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            value = msgspec.to_builtins(value, str_keys=True, enc_hook=_as_text)
    return bounded(value, bounds)


def decode_answer(data: bytes, bounds: Bounds) -> Any:
    """Return JSON from an agent's process, bounded again; text when it is no JSON."""
    try:
        return bounded(msgspec.json.decode(data), bounds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bounded(data.decode("utf-8", "replace"), bounds)


def _as_text(value: Any) -> Any:
    """Say how a foreign value is written: models by their own `model_dump`, everything else by `str`."""
    dump = getattr(type(value), "model_dump", None)
    try:
        return value.model_dump(mode="json") if callable(dump) else str(value)
    except Exception:  # noqa: BLE001 - the agent's own code ran; what it cannot say about its value is not worth an error
        return f"<{type(value).__name__}>"
