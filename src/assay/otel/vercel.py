"""Spans of the Vercel AI SDK (`ai.*`): the steps are model calls, the outer span is the chain around them."""

from __future__ import annotations

from typing import Any

from assay.core.trace import Message
from assay.otel.content import structured
from assay.otel.draft import Draft
from assay.otel.genai import read_usage, reasons
from assay.otel.messages import read_messages, read_tools

PREFIXES = ("ai.",)
"""What the names read here begin with."""

_OPERATION = "ai.operationId"
_KINDS = {
    "doGenerate": "llm",
    "doStream": "llm",
    "doEmbed": "embedding",
    "doRerank": "retrieval",
    "toolCall": "tool",
}
_MESSAGES = "ai.prompt.messages"
_PROMPT = "ai.prompt"
_TEXT = "ai.response.text"
_OBJECT = "ai.response.object"
_REASONING = "ai.response.reasoning"
_CALLS = "ai.response.toolCalls"
_SETTINGS = "ai.settings."
_USAGE = (
    ("input_tokens", "ai.usage.inputTokens"),
    ("input_tokens", "ai.usage.promptTokens"),
    ("output_tokens", "ai.usage.outputTokens"),
    ("output_tokens", "ai.usage.completionTokens"),
    ("cache_read_tokens", "ai.usage.cachedInputTokens"),
    ("reasoning_tokens", "ai.usage.reasoningTokens"),
    ("input_tokens", "ai.usage.tokens"),
)


def read(draft: Draft) -> None:
    """Read the attributes of the AI SDK."""
    held = draft.attributes
    operation = held.get(_OPERATION)
    if isinstance(operation, str):
        draft.offer("kind", _KINDS.get(operation.rpartition(".")[2], "chain"))
    draft.offer_text("model", "ai.response.model")
    draft.offer_text("requested", "ai.model.id")
    draft.offer_text("provider", "ai.model.provider")
    read_usage(draft, _USAGE)
    if "ai.response.finishReason" in held:
        draft.offer("finish_reasons", reasons(held["ai.response.finishReason"]), "ai.response.finishReason")
    if "ai.prompt.tools" in held:
        draft.offer("tools", read_tools(held["ai.prompt.tools"]), "ai.prompt.tools")
    if _MESSAGES in held:
        draft.offer("input", draft.reader.read(held[_MESSAGES], "user"), _MESSAGES)
    if _PROMPT in held:
        draft.offer("entered", structured(held[_PROMPT]), _PROMPT)
    _read_response(draft)
    settings = [key for key in held if key.startswith(_SETTINGS)]
    if settings and draft.kind == "llm":
        draft.offer("parameters", {key[len(_SETTINGS) :]: held[key] for key in settings}, *settings)
    if draft.kind == "tool":
        _read_tool(draft)


def _read_response(draft: Draft) -> None:
    held = draft.attributes
    keys = [key for key in (_TEXT, _OBJECT, _REASONING, _CALLS) if key in held]
    if not keys:
        return
    answer: dict[str, Any] = {
        "role": "assistant",
        "parts": [{"type": "text", "content": held[key]} for key in (_TEXT, _OBJECT) if held.get(key)],
        "reasoning": held.get(_REASONING),
        "tool_calls": structured(held.get(_CALLS)),
    }
    messages = read_messages(answer, "assistant")
    draft.offer("output", messages if messages != (Message(role="assistant"),) else (), *keys)


def _read_tool(draft: Draft) -> None:
    draft.offer_text("tool_name", "ai.toolCall.name")
    draft.offer_text("tool_call_id", "ai.toolCall.id")
    for key, name in (("ai.toolCall.args", "arguments"), ("ai.toolCall.result", "result")):
        if key in draft.attributes:
            draft.offer(name, structured(draft.attributes[key]), key)
