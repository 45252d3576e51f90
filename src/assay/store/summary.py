"""What of a trace becomes columns: the values that people filter and count by. Everything else stays in the chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from assay.core.codec import digest_bytes
from assay.core.trace import ModelCall, Span, Trace
from assay.store.text import bounded, count, finite, plain

_NAMES_KEPT = 64
_NAME_CHARS = 200
_NONE = "[]"

# The two attributes of an OpenTelemetry resource that say whose trace it is.
_SERVICE = "service.name"
_VERSION = "service.version"


def summarize(trace: Trace) -> tuple[Any, ...]:
    """Return the columns of `traces`, in the order of the table."""
    spans, root, resource = trace.spans, trace.root, trace.resource
    calls = [span.model for span in spans if span.model is not None]
    usages = [call.usage for call in calls]
    costs = [usage.cost_usd for usage in usages if usage.cost_usd is not None]
    return (
        plain(trace.trace_id),
        bounded(spans[0].start_ns) if spans else 0,
        bounded(max(span.end_ns for span in spans)) if spans else 0,
        plain(root.name) if root else "",
        _text(resource.get(_SERVICE)),
        _text(resource.get(_VERSION)),
        plain(root.status) if root else "unset",
        len(spans),
        sum([span.status == "error" for span in spans]),
        count(trace.dropped_spans),
        _names(call.model for call in calls) if calls else _NONE,
        _names(_tools(spans, calls)),
        _names(_prompts(calls)) if calls else _NONE,
        count(sum([usage.input_tokens for usage in usages])),
        count(sum([usage.output_tokens for usage in usages])),
        finite(sum(costs)) if costs else None,
    )


def read_names(text: str) -> list[str]:
    """Read a column of names back."""
    return [] if text == _NONE else msgspec.json.decode(text, type=list[str])


def _tools(spans: tuple[Span, ...], calls: list[ModelCall]) -> Iterable[str]:
    """Tools that were executed; where none was traced, those that a model asked for."""
    executed = [span.tool.name for span in spans if span.tool is not None]
    if executed or not calls:
        return executed
    return [tool.name for call in calls for message in call.output for tool in message.tool_calls]


def _prompts(calls: list[ModelCall]) -> Iterable[str]:
    return [digest_bytes(text.encode("utf-8", "surrogatepass")) for text in {_system(call) for call in calls} if text]


def _system(call: ModelCall) -> str:
    return call.system or next((message.text for message in call.input if message.role == "system"), "")


def _names(names: Iterable[str]) -> str:
    kept = sorted({plain(name[:_NAME_CHARS]) for name in names if name})[:_NAMES_KEPT]
    return msgspec.json.encode(kept).decode() if kept else _NONE


def _text(value: Any) -> str:
    return plain(str(value)[:_NAME_CHARS]) if value is not None else ""
