"""OpenInference: flattened `llm.*`, `input.value`, `retrieval.documents.*` and their kin."""

from __future__ import annotations

from typing import Any

from assay.core.trace import Message
from assay.otel.content import as_money, numbered, structured
from assay.otel.draft import Draft
from assay.otel.genai import read_usage, read_value, reasons
from assay.otel.messages import read_messages, read_tools

PREFIXES = ("openinference.", "llm.", "input.", "output.", "tool.", "retrieval.", "embedding.", "reranker.")
"""What the names read here begin with."""

_KIND = "openinference.span.kind"
_KINDS = {
    "LLM": "llm",
    "AGENT": "agent",
    "TOOL": "tool",
    "CHAIN": "chain",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
    "EMBEDDING": "embedding",
    "GUARDRAIL": "chain",
    "EVALUATOR": "chain",
    "PROMPT": "chain",
}
_EXACT = frozenset({"LLM", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EMBEDDING"})
_USAGE = (
    ("input_tokens", "llm.token_count.prompt"),
    ("output_tokens", "llm.token_count.completion"),
    ("cache_read_tokens", "llm.token_count.prompt_details.cache_read"),
    ("cache_read_tokens", "llm.token_count.prompt_details.cache_input"),
    ("cache_write_tokens", "llm.token_count.prompt_details.cache_write"),
    ("reasoning_tokens", "llm.token_count.completion_details.reasoning"),
)
_TOTAL_COST = "llm.cost.total"
_PART_COSTS = ("llm.cost.prompt", "llm.cost.completion")
_PARAMETERS = ("llm.invocation_parameters", "embedding.invocation_parameters")
_FINISH = "llm.finish_reason"
_TOOLS = "llm.tools."
_DOCUMENTS = "retrieval.documents."


def read(draft: Draft) -> None:
    """Read the attributes of OpenInference."""
    held = draft.attributes
    kind = held.get(_KIND)
    if isinstance(kind, str) and kind.upper() in _KINDS:
        draft.offer("kind", _KINDS[kind.upper()], *((_KIND,) if kind in _EXACT else ()))
    draft.offer_text("model", "llm.response.model_name")
    for key in ("llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name"):
        draft.offer_text("requested", key)
    draft.offer_text("provider", "llm.provider")
    draft.offer_text("provider", "llm.system")
    read_usage(draft, _USAGE)
    _read_cost(draft)
    for key in _PARAMETERS:
        value = structured(held.get(key))
        if isinstance(value, dict):
            draft.offer("parameters", value, key)
    if _FINISH in held:
        draft.offer("finish_reasons", reasons(held[_FINISH]), _FINISH)
    _read_messages(draft)
    _read_values(draft)


def _read_cost(draft: Draft) -> None:
    held = draft.attributes
    draft.offer("cost_usd", as_money(held.get(_TOTAL_COST)), _TOTAL_COST)
    parts = [as_money(held[key]) for key in _PART_COSTS if key in held]
    if parts and None not in parts:
        draft.offer("cost_usd", sum(part for part in parts if part is not None), *_PART_COSTS)


def _read_messages(draft: Draft) -> None:
    held = draft.attributes
    for prefix, name, role in (("llm.input_messages", "input", "user"), ("llm.output_messages", "output", "assistant")):
        items, keys = numbered(held, f"{prefix}.")
        messages = tuple(message for item in items for message in _flattened(item, role))
        draft.offer(name, messages, *keys)
        if prefix in held:
            draft.offer(name, draft.reader.read(held[prefix], role), prefix)
    tools, keys = numbered(held, _TOOLS)
    definitions = tuple(tool for item in tools for tool in read_tools(_schema(item)))
    draft.offer("tools", definitions, *keys)


def _flattened(item: Any, role: str) -> tuple[Message, ...]:
    message = item.get("message") if isinstance(item, dict) else None
    if not isinstance(message, dict):
        return read_messages(item, role)
    parts = [_part(content) for content in _list(message.get("contents"))]
    calls = [_unwrapped(call, "tool_call") for call in _list(message.get("tool_calls"))]
    called = message.get("function_call_name")
    if called is not None:
        calls.append({"name": called, "arguments": message.get("function_call_arguments_json")})
    return read_messages(
        {
            "role": message.get("role") or role,
            "name": message.get("name"),
            "tool_call_id": message.get("tool_call_id"),
            "content": message.get("content"),
            "parts": parts,
            "tool_calls": calls,
        },
        role,
    )


def _part(content: Any) -> Any:
    part = _unwrapped(content, "message_content")
    if not isinstance(part, dict) or "type" in part:
        return part
    return {"type": "text" if "text" in part else "content", **part}


def _schema(item: Any) -> Any:
    tool = _unwrapped(item, "tool")
    return tool.get("json_schema", tool) if isinstance(tool, dict) else tool


def _read_values(draft: Draft) -> None:
    held = draft.attributes
    for side, name in (("input", "entered"), ("output", "left")):
        key, mime_key = f"{side}.value", f"{side}.mime_type"
        if key in held:
            draft.offer(name, read_value(held[key], held.get(mime_key)), key, mime_key)
    documents, keys = numbered(held, _DOCUMENTS)
    if documents:
        draft.offer("left", [_document(item) for item in documents], *keys)
    if draft.kind == "tool":
        draft.offer_text("tool_name", "tool.name")
        draft.offer_text("tool_call_id", "tool.id")


def _document(item: Any) -> Any:
    document = _unwrapped(item, "document")
    if isinstance(document, dict) and "metadata" in document:
        return document | {"metadata": structured(document["metadata"])}
    return document


def _unwrapped(item: Any, key: str) -> Any:
    inner = item.get(key) if isinstance(item, dict) else None
    return item if inner is None else inner


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
