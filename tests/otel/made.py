"""Raw spans for the tests: short to write, valid in everything that is not said."""

from __future__ import annotations

import json
from typing import Any

from assay.core.trace import Span, Trace
from assay.otel.normalize import normalize
from assay.otel.raw import RawEvent, RawSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span_id(number: int) -> str:
    return f"{number:016x}" if number else ""


def raw(number: int = 1, parent: int = 0, attributes: dict[str, Any] | None = None, **given: Any) -> RawSpan:
    """A span with id `number` below `parent` (0: a root) that starts at `number` microseconds."""
    fields: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": span_id(number),
        "parent_id": span_id(parent),
        "name": f"span {number}",
        "kind": 1,
        "start_ns": number * 1000,
        "end_ns": number * 1000 + 500,
        "attributes": attributes or {},
    }
    return RawSpan(**(fields | given))


def event(name: str, time_ns: int = 0, **attributes: Any) -> RawEvent:
    return RawEvent(name=name, time_ns=time_ns, attributes=attributes)


def chat(number: int, parent: int = 0, **more: Any) -> RawSpan:
    """A model call in current names; `tokens=(in, out)` and `cost` are short for their attributes."""
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    tokens, cost = more.pop("tokens", None), more.pop("cost", None)
    if tokens is not None:
        attributes |= {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    if cost is not None:
        attributes["gen_ai.usage.cost"] = cost
    return raw(number, parent, attributes | more.pop("attributes", {}), **more)


def tool(number: int, parent: int = 0, name: str = "search", arguments: Any = None, **more: Any) -> RawSpan:
    attributes: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    if arguments is not None:
        attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
    return raw(number, parent, attributes | more.pop("attributes", {}), **more)


def agent(number: int, parent: int = 0, tokens: tuple[int, int] | None = None, **more: Any) -> RawSpan:
    attributes: dict[str, Any] = {"gen_ai.operation.name": "invoke_agent"}
    if tokens is not None:
        attributes |= {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    return raw(number, parent, attributes | more.pop("attributes", {}), **more)


def only(attributes: dict[str, Any], **given: Any) -> Span:
    """Normalize one span alone."""
    return normalize([raw(attributes=attributes, **given)]).spans[0]


def by_name(trace: Trace) -> dict[str, Span]:
    return {span.name: span for span in trace.spans}
