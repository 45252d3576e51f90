"""The GenAI conventions of OpenTelemetry, current generation: names, reading and writing.

Names follow the GenAI semantic conventions as instrumentations emit them in 2026; older spellings of the same fact
(`gen_ai.system`, `prompt_tokens`, `cache_creation`) are read too and never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from assay.core.trace import Message, Span, ToolCall
from assay.otel.content import as_count, as_money, parsed, structured
from assay.otel.draft import Draft
from assay.otel.messages import read_text, read_tools
from assay.otel.raw import RawEvent

PREFIXES = ("gen_ai.", "tool_arguments", "operation.cost")
"""What the names read here begin with."""

OPERATION = "gen_ai.operation.name"
REQUEST = "gen_ai.request."
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
PROVIDER = "gen_ai.provider.name"
SYSTEM = "gen_ai.system_instructions"
INPUT = "gen_ai.input.messages"
OUTPUT = "gen_ai.output.messages"
TOOLS = "gen_ai.tool.definitions"
FINISH = "gen_ai.response.finish_reasons"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
COST = "gen_ai.usage.cost"
ERROR_TYPE = "error.type"
TOOL_ERROR = "assay.tool.error"
DETAILS_EVENT = "gen_ai.client.inference.operation.details"

OPERATIONS = {
    "chat": "llm",
    "generate_content": "llm",
    "text_completion": "llm",
    "embeddings": "embedding",
    "retrieval": "retrieval",
    "search_memory": "retrieval",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "chain",
    "plan": "chain",
    "execute_tool": "tool",
}
"""Operation -> kind of span; an operation that is not here is accepted and says nothing about the kind."""

CANONICAL = {
    "llm": "chat",
    "embedding": "embeddings",
    "retrieval": "retrieval",
    "agent": "invoke_agent",
    "chain": "invoke_workflow",
    "tool": "execute_tool",
}
"""Kind of span -> the operation that says just that."""

_USAGE: tuple[tuple[str, str], ...] = (
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("input_tokens", "gen_ai.usage.prompt_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("output_tokens", "gen_ai.usage.completion_tokens"),
    ("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_read_tokens", "gen_ai.usage.cache_read_input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_write.input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_write_input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning_tokens"),
)
_WRITTEN_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_COSTS = (COST, "gen_ai.usage.cost_usd", "gen_ai.usage.total_cost", "operation.cost")
_CONTENT = frozenset({SYSTEM, INPUT, OUTPUT, TOOLS})
_ARGUMENTS = (TOOL_ARGUMENTS, "tool_arguments")
_RESULTS = (TOOL_RESULT, "tool_response")


def read(draft: Draft) -> None:
    """Read span attributes and the operation details event of the current generation."""
    held = draft.attributes
    operation = held.get(OPERATION)
    if isinstance(operation, str):
        kind = OPERATIONS.get(operation, "")
        # an operation that says more than the kind stays among the attributes
        draft.offer("kind", kind, *((OPERATION,) if CANONICAL.get(kind) == operation else ()))
    draft.offer_text("model", RESPONSE_MODEL)
    draft.offer_text("requested", REQUEST_MODEL)
    draft.offer_text("provider", PROVIDER)
    draft.offer_text("provider", "gen_ai.system")
    _read_request(draft)
    read_usage(draft, _USAGE)
    for key in _COSTS:
        if key in held:
            draft.offer("cost_usd", as_money(held[key]), key)
    _read_content(draft)
    _read_tool(draft)


def read_usage(draft: Draft, names: Sequence[tuple[str, str]]) -> None:
    """Read token counts: pairs of the draft's field and the attribute, the preferred attribute first."""
    held = draft.attributes
    for name, key in names:
        if key in held:
            draft.offer(name, as_count(held[key]), key)


def reasons(value: Any) -> tuple[str, ...]:
    """Read finish reasons: a list, a JSON list or one text."""
    value = structured(value)
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str) and item)


def message_reasons(value: Any) -> tuple[str, ...]:
    """Read finish reasons that stand inside messages."""
    value = structured(value)
    found = (item.get("finish_reason") for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
    return tuple(item for item in found if isinstance(item, str) and item)


def _read_request(draft: Draft) -> None:
    keys = [key for key in draft.attributes if key.startswith(REQUEST) and key != REQUEST_MODEL]
    if keys:
        draft.offer("parameters", {key[len(REQUEST) :]: draft.attributes[key] for key in keys}, *keys)


def _read_content(draft: Draft) -> None:
    held = draft.attributes
    if SYSTEM in held:
        draft.offer("system", read_text(held[SYSTEM]), SYSTEM)
    for key, name, role in ((INPUT, "input", "user"), (OUTPUT, "output", "assistant")):
        if key in held:
            if key == OUTPUT and FINISH not in held:
                draft.take("finish_reasons", message_reasons(held[key]))
            draft.offer(name, draft.reader.read(held[key], role), key)
    if FINISH in held:
        draft.offer("finish_reasons", reasons(held[FINISH]), FINISH)
    if TOOLS in held:
        draft.offer("tools", read_tools(held[TOOLS]), TOOLS)
    details = [event for event in draft.events if event.name == DETAILS_EVENT]
    if details:
        _read_details(draft, details)


def _read_details(draft: Draft, details: list[RawEvent]) -> None:
    """Read what the events hold together: some instrumentations send one event per piece."""

    def pieces(key: str) -> list[Any]:
        return [event.attributes[key] for event in details if key in event.attributes]

    received = pieces(OUTPUT)
    found = {
        "system": "\n".join(read_text(piece) for piece in pieces(SYSTEM)),
        "tools": tuple(tool for piece in pieces(TOOLS) for tool in read_tools(piece)),
        "input": tuple(message for piece in pieces(INPUT) for message in draft.reader.read(piece, "user")),
        "output": tuple(message for piece in received for message in draft.reader.read(piece, "assistant")),
    }
    draft.take("finish_reasons", tuple(reason for piece in received for reason in message_reasons(piece)))
    taken = [draft.take(name, value) for name, value in found.items() if value]
    if taken and all(taken):
        draft.give_up(details, _CONTENT)


def _read_tool(draft: Draft) -> None:
    held = draft.attributes
    if TOOL_NAME not in held and TOOL_CALL_ID not in held:
        return
    draft.offer_text("tool_name", TOOL_NAME)
    draft.offer_text("tool_call_id", TOOL_CALL_ID)
    draft.offer_text("tool_error", TOOL_ERROR)
    for name, keys in (("arguments", _ARGUMENTS), ("result", _RESULTS)):
        for key in keys:
            if key in held:
                draft.offer(name, structured(held[key]), key)


def write(span: Span) -> dict[str, Any]:
    """Return the attributes of a span in current names: what was left over, and everything that was understood.

    Content is written as JSON text, which every reader accepts.
    """
    attributes = dict(span.attributes)
    operation = CANONICAL.get(span.kind)
    if operation is not None:
        attributes.setdefault(OPERATION, operation)
    if span.model is not None:
        _write_model(span, attributes)
    if span.tool is not None:
        _write_tool(span.tool, span, attributes)
    for key, value in (("input", span.input), ("output", span.output)):
        if value is not None:
            attributes[f"{key}.value"] = value if isinstance(value, str) else _json(value)
            attributes[f"{key}.mime_type"] = "text/plain" if isinstance(value, str) else "application/json"
    return attributes


def _write_model(span: Span, attributes: dict[str, Any]) -> None:
    call = span.model
    assert call is not None
    requested = call.parameters.get("model")
    texts = {
        REQUEST_MODEL: requested or call.model,
        RESPONSE_MODEL: call.model if requested else "",
        PROVIDER: call.provider,
    }
    attributes |= {key: value for key, value in texts.items() if value}
    attributes |= {f"{REQUEST}{key}": value for key, value in call.parameters.items() if key != "model"}
    usage = {key: getattr(call.usage, name) for name, key in _WRITTEN_USAGE.items()}
    attributes |= {key: count for key, count in usage.items() if count}
    if call.usage.cost_usd is not None:
        attributes[COST] = call.usage.cost_usd
    if call.finish_reasons:
        attributes[FINISH] = list(call.finish_reasons)
    if call.system:
        attributes[SYSTEM] = _json([{"type": "text", "content": call.system}])
    if call.tools:
        attributes[TOOLS] = _json(call.tools)
    for key, messages in ((INPUT, call.input), (OUTPUT, call.output)):
        if messages:
            attributes[key] = _json([_written_message(message) for message in messages])


def _write_tool(tool: ToolCall, span: Span, attributes: dict[str, Any]) -> None:
    texts = {TOOL_NAME: tool.name, TOOL_CALL_ID: tool.id}
    if tool.error != span.status_message:
        texts[TOOL_ERROR] = tool.error
    attributes |= {key: value for key, value in texts.items() if value}
    for key, value in ((TOOL_ARGUMENTS, tool.arguments), (TOOL_RESULT, tool.result)):
        if value is not None:
            attributes[key] = _json(value) if isinstance(value, (dict, list)) else value


def _written_message(message: Message) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if message.reasoning:
        parts.append({"type": "reasoning", "content": message.reasoning})
    if message.tool_call_id:
        parts.append({"type": "tool_call_response", "id": message.tool_call_id, "response": message.text})
    elif message.text:
        parts.append({"type": "text", "content": message.text})
    for call in message.tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
        if call.result is not None:
            parts.append({"type": "tool_call_response", "id": call.id, "response": call.result})
    parts += message.attachments
    written: dict[str, Any] = {"role": message.role, "parts": parts}
    if message.name:
        written["name"] = message.name
    return written


def read_value(value: Any, mime_type: Any) -> Any:
    """Read a generic input or output value: JSON where its type says so or where it looks like an object or list."""
    if not isinstance(value, str) or mime_type == "text/plain":
        return value
    return parsed(value) if mime_type == "application/json" else structured(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
