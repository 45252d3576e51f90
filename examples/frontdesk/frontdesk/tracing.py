"""OpenTelemetry spans with the GenAI semantic conventions. Without an SDK in the process all of this does nothing."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from opentelemetry.trace import Span


@contextmanager
def agent_span(name: str, messages: Sequence[dict[str, Any]]) -> Generator[Span]:
    """Record one turn of an agent; `messages` is the conversation up to the guest's new message."""
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": name,
        "gen_ai.input.messages": json.dumps([text_message(**message) for message in messages]),
    }
    with _start(f"invoke_agent {name}", attributes) as span:
        yield span


@contextmanager
def tool_span(name: str, call_id: str, arguments: dict[str, Any]) -> Generator[Span]:
    """Record one execution of a tool."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": json.dumps(arguments),
    }
    with _start(f"execute_tool {name}", attributes) as span:
        yield span


@contextmanager
def chat_span(model: str, attributes: dict[str, Any]) -> Generator[Span]:
    """Record one call of a model; values that are not plain become JSON strings."""
    plain = {
        key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in attributes.items()
    }
    plain |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model}
    with _start(f"chat {model}", plain, trace.SpanKind.CLIENT) as span:
        yield span


def answer(span: Span, text: str) -> None:
    """Record what the agent said at the end of its turn."""
    span.set_attribute("gen_ai.output.messages", json.dumps([text_message(role="assistant", content=text)]))


def fail(span: Span, kind: str, message: str) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR, message)


def text_message(role: str, content: str) -> dict[str, Any]:
    """Return one message of plain text in the conventions' shape."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


@contextmanager
def _start(name: str, attributes: dict[str, Any], kind: trace.SpanKind = trace.SpanKind.INTERNAL) -> Generator[Span]:
    # Asked for at every span, so that a tracer provider installed after the import is used.
    with trace.get_tracer("frontdesk").start_as_current_span(name, kind=kind, attributes=attributes) as span:
        yield span
