"""Traces: what the agent did, as OpenTelemetry spans with their content normalized.

Attribute names of conventions never appear here; `assay.otel` reads them into these values.
"""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.usage import NO_USAGE, Usage


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a tool, as requested by a model or as executed."""

    name: str
    """Name of the tool."""
    arguments: Any = None
    """Arguments, decoded from JSON where they parse."""
    result: Any = None
    """What the tool returned; None while unknown."""
    error: str = ""
    """Why the tool failed; empty if it did not."""
    id: str = ""
    """The call id that ties request and result together."""
    span_id: str = ""
    """Span of the execution; evidence for verdicts."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a conversation."""

    role: str
    """`system`, `user`, `assistant`, `tool`, or any other string that was seen."""
    text: str = ""
    """The text parts, joined."""
    reasoning: str = ""
    """Reasoning parts, joined."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that an assistant message requests."""
    tool_call_id: str = ""
    """For `tool` messages: the call that this answers."""
    name: str = ""
    """Name of the author or tool, where given."""
    attachments: tuple[dict[str, Any], ...] = ()
    """Parts that are neither text, reasoning nor tool calls (images, files), without their bytes."""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call to a model."""

    model: str = ""
    """The model that answered, else the one requested."""
    provider: str = ""
    """Provider name, such as `openai`."""
    parameters: dict[str, Any] = {}
    """Sampling parameters of the request."""
    system: str = ""
    """System instructions."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tool definitions offered to the model."""
    input: tuple[Message, ...] = ()
    """Messages sent."""
    output: tuple[Message, ...] = ()
    """Messages received."""
    usage: Usage = NO_USAGE
    """Tokens and money of this call."""
    finish_reasons: tuple[str, ...] = ()
    """Why generation ended."""


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened at a moment inside a span."""

    name: str
    """Event name."""
    time_ns: int
    """Unix time in nanoseconds."""
    attributes: dict[str, Any] = {}
    """Attributes as sent."""


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One span. Content that was understood is in `model`, `tool`, `input`, `output`; the rest stays in `attributes`."""

    span_id: str
    """16 hex digits."""
    name: str
    """Span name."""
    start_ns: int
    """Unix time in nanoseconds."""
    end_ns: int
    """Unix time in nanoseconds; equal to `start_ns` when the span never ended."""
    parent_id: str = ""
    """Span id of the parent; empty for a root."""
    kind: str = "internal"
    """`agent`, `llm`, `tool`, `retrieval`, `embedding`, `chain`, `client`, `server` or `internal`."""
    status: str = "unset"
    """`unset`, `ok` or `error`."""
    status_message: str = ""
    """Description that came with the status."""
    input: Any = None
    """What went in, for spans that say so and are no model or tool call."""
    output: Any = None
    """What came out."""
    model: ModelCall | None = None
    """Present on model calls."""
    tool: ToolCall | None = None
    """Present on tool executions."""
    attributes: dict[str, Any] = {}
    """Everything not normalized."""
    events: tuple[SpanEvent, ...] = ()
    """Events, in time order."""


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All spans of one episode, in order of their start."""

    trace_id: str
    """32 hex digits."""
    spans: tuple[Span, ...] = ()
    """Spans sorted by start; of those that start together, parents come before children."""
    resource: dict[str, Any] = {}
    """Resource attributes: service name, version, SDK."""
    dropped_spans: int = 0
    """Spans beyond the limit that were counted and not kept."""

    @property
    def root(self) -> Span | None:
        """The earliest span whose parent is not in the trace."""
        ids = {span.span_id for span in self.spans}
        return next((span for span in self.spans if span.parent_id not in ids), None)

    @property
    def model_calls(self) -> tuple[ModelCall, ...]:
        """Model calls in order."""
        return tuple(span.model for span in self.spans if span.model is not None)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Executed tool calls in order; those that only a model requested where no execution was traced."""
        executed = tuple(span.tool for span in self.spans if span.tool is not None)
        return executed or _requested_calls(self.messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation: the longest that a model or agent span holds, else input and output of the root."""
        candidates = [call.input + call.output for call in self.model_calls]
        longest = max(candidates, key=len, default=())
        if longest:
            return longest
        root = self.root
        if root is None:
            return ()
        pairs = (("user", root.input), ("assistant", root.output))
        return tuple(Message(role=role, text=_as_text(value)) for role, value in pairs if value is not None)

    @property
    def usage(self) -> Usage:
        """Sum over model calls, with tool calls counted."""
        total = NO_USAGE
        for call in self.model_calls:
            total = total + call.usage
        return msgspec.structs.replace(total, model_calls=len(self.model_calls), tool_calls=len(self.tool_calls))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _requested_calls(messages: tuple[Message, ...]) -> tuple[ToolCall, ...]:
    results = {message.tool_call_id: message.text for message in messages if message.tool_call_id}
    return tuple(
        msgspec.structs.replace(call, result=results.get(call.id, call.result))
        for message in messages
        for call in message.tool_calls
    )
