"""Conversations of every shape: message parts of the GenAI conventions and what providers' own formats look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from assay.core.trace import Message, ToolCall
from assay.otel.content import as_text, parsed, structured

_ROLES = {"human": "user", "ai": "assistant", "model": "assistant"}
_TEXT = frozenset({"text", "input_text", "output_text", "summary_text", "refusal"})
_REASONING = frozenset({"reasoning", "thinking", "reasoning_content"})
_CALL = frozenset(
    {"function", "functionCall", "function_call", "server_tool_call", "tool-call", "toolUse", "tool_call", "tool_use"}
)
_RESPONSE = frozenset(
    {
        "functionResponse",
        "function_call_output",
        "function_response",
        "server_tool_call_response",
        "tool-result",
        "toolResult",
        "tool_call_response",
        "tool_result",
    }
)
_WRAPPED = ("toolUse", "toolResult", "functionCall", "function_call", "functionResponse", "function_response")
"""Keys that name the type of a part which has no `type`."""
_SPEC_KEYS = frozenset({"role", "parts", "name", "finish_reason"})
"""All that a message of the conventions holds."""
_BARE = frozenset({"content", "text", "finish_reason", "index"})
"""All that a text part without a `type` holds."""
_CALL_IDS = ("call_id", "toolCallId", "tool_call_id", "tool_use_id", "toolUseId", "id")
_BYTES = frozenset({"data", "bytes", "b64_json", "base64"})
_SMALL = 64
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])


def read_messages(value: Any, role: str) -> tuple[Message, ...]:
    """Read a conversation from JSON text or structured content; never raises, unknown shapes stay visible as text.

    `role` is given to content that names none. A message with several tool results becomes one message per result.
    """
    value = structured(value)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if value in (None, "", [], {}):
        return ()
    if isinstance(value, dict):
        return tuple(_message(value, role)) if _is_message(value) else tuple(_parts_message([value], role))
    if not isinstance(value, list):
        return (Message(role=role, text=as_text(value)),)
    if any(isinstance(item, dict) and _is_message(item) for item in value):
        return tuple(message for item in value for message in _any_message(item, role))
    return tuple(_parts_message(value, role))


class MessageReader:
    """Reads the conversations of one trace; a message that every call sends again is read once and shared."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], tuple[Message, ...]] = {}

    def read(self, value: Any, role: str) -> tuple[Message, ...]:
        """Do as `read_messages`."""
        if isinstance(value, str) and value.startswith("[{"):
            try:
                raws = _raw_items.decode(value)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return read_messages(value, role)
            groups = [self._message(bytes(raw), role) for raw in raws]
            if None not in groups:
                return tuple(message for group in groups if group for message in group)
        return read_messages(value, role)

    def _message(self, raw: bytes, role: str) -> tuple[Message, ...] | None:
        known = self._known.get((raw, role))
        if known is not None:
            return known
        item = parsed(raw.decode())
        if not isinstance(item, dict) or not _is_message(item):
            return None
        found = tuple(_message(item, role))
        self._known[raw, role] = found
        return found


def read_text(value: Any) -> str:
    """Read text from content: text, a list of text parts, or anything else as JSON."""
    value = structured(value)
    blocks = value if isinstance(value, list) else [value]
    texts = [_block_text(block) for block in blocks]
    if blocks and all(text is not None for text in texts):
        return "\n".join(text for text in texts if text)
    return as_text(value)


def read_tools(value: Any) -> tuple[dict[str, Any], ...]:
    """Read tool definitions: a list of objects or of JSON texts; what is no object is kept under `definition`."""
    value = structured(value)
    items = value if isinstance(value, list) else [value]
    read = (structured(item) for item in items if item not in (None, ""))
    return tuple(item if isinstance(item, dict) else {"definition": item} for item in read)


def read_call(value: Mapping[str, Any]) -> ToolCall:
    """Read one requested tool call, whichever way it is spelled."""
    inner = next(
        (value[key] for key in ("function", "toolUse", "functionCall", "function_call") if key in value), value
    )
    if not isinstance(inner, dict):
        inner = value
    name = _first(inner, ("name", "toolName")) or _first(value, ("name", "toolName"))
    arguments = _first(inner, ("arguments", "args", "input", "parameters", "server_tool_call"))
    return ToolCall(
        name=as_text(name),
        arguments=structured(arguments),
        result=structured(value.get("result")),
        id=as_text(_first(value, _CALL_IDS) or _first(inner, _CALL_IDS)),
    )


def plain(messages: Sequence[Message]) -> Any:
    """Return messages as one value: the text where that is all there is, else a list of objects."""
    if not messages:
        return None
    only = messages[0]
    if len(messages) == 1 and only == Message(role=only.role, text=only.text):
        return only.text
    # through JSON, so that the value is what will be read from the store: lists, no tuples
    return msgspec.json.decode(msgspec.json.encode(messages))


@dataclass(slots=True)
class _Parts:
    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    responses: list[tuple[str, Any, str]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)

    def add(self, part: Any) -> None:
        if not isinstance(part, dict):
            self.texts.append(as_text(part))
            return
        kind = _kind(part)
        text = _block_text(part)
        if kind in _TEXT and text is not None:
            self.texts.append(text)
        elif kind in _REASONING:
            self.reasoning.append(read_text(_first(part, ("content", "text", "thinking", "reasoning", "summary"))))
        elif kind in _CALL:
            self.calls.append(read_call(part))
        elif kind in _RESPONSE:
            self.responses.append(_response(part))
        elif kind:
            self.attachments.append(_without_bytes(part))
        else:
            self.texts.append(as_text(part))

    def messages(self, role: str, name: str, call_id: str) -> list[Message]:
        """Split off one tool message per result; results of calls in the same message join their call."""
        own = {call.id for call in self.calls if call.id}
        results = {key: value for key, value, _ in self.responses if key in own}
        calls = tuple(
            msgspec.structs.replace(call, result=results[call.id]) if call.id in results else call
            for call in self.calls
        )
        found = [
            Message(role="tool", text=read_text(value), tool_call_id=key, name=tool)
            for key, value, tool in self.responses
            if key not in own
        ]
        rest = Message(
            role=role,
            text="\n".join(text for text in self.texts if text),
            reasoning="\n".join(text for text in self.reasoning if text),
            tool_calls=calls,
            tool_call_id=call_id,
            name=name,
            attachments=tuple(self.attachments),
        )
        if found and rest == Message(role=role, name=name):
            return [msgspec.structs.replace(message, name=message.name or name) for message in found]
        return [*found, rest]


def _any_message(value: Any, role: str) -> list[Message]:
    if isinstance(value, dict) and _is_message(value):
        return _message(value, role)
    return _parts_message(value if isinstance(value, list) else [value], role)


def _parts_message(value: Sequence[Any], role: str) -> list[Message]:
    parts = _Parts()
    for part in value:
        parts.add(part)
    return parts.messages(role, "", "")


def _message(value: Mapping[str, Any], default_role: str) -> list[Message]:
    role = value.get("role") or value.get("type") or default_role
    role = _ROLES.get(role, role) if isinstance(role, str) else default_role
    parts = _Parts()
    if value.keys() <= _SPEC_KEYS and isinstance(value.get("parts"), list):
        for part in value["parts"]:
            parts.add(part)
        return parts.messages(role, as_text(value.get("name")), "")
    _add_foreign(parts, value)
    answers = as_text(_first(value, ("tool_call_id", "toolCallId", "tool_use_id")))
    if role == "tool" and not answers:
        answers = as_text(value.get("id"))
    return parts.messages(role, as_text(value.get("name")), answers)


def _add_foreign(parts: _Parts, value: Mapping[str, Any]) -> None:
    """Add what a message holds outside of the conventions' parts, in a provider's words or in those of `plain`."""
    for key in ("reasoning", "reasoning_content"):
        if value.get(key):
            parts.reasoning.append(as_text(value[key]))
    for key in ("parts", "content", "text", "refusal"):
        content = _maybe_parts(value.get(key))
        if content not in (None, "", []):
            for part in content if isinstance(content, list) else [content]:
                parts.add(part)
    for call in _list(value.get("tool_calls")) + _list(value.get("function_call")):
        if isinstance(call, dict):
            parts.calls.append(read_call(call))
    parts.attachments += [each for each in _list(value.get("attachments")) if isinstance(each, dict)]


def _maybe_parts(content: Any) -> Any:
    """Return parts that were written as JSON text; a text that only looks like JSON stays the text it is."""
    if not isinstance(content, str) or not content.startswith("[{"):
        return content
    found = structured(content)
    if isinstance(found, list) and all(isinstance(item, dict) and _is_part(item) for item in found):
        return found
    return content


def _is_part(value: Mapping[str, Any]) -> bool:
    kind = _kind(value)
    return kind in _TEXT or kind in _REASONING or kind in _CALL or kind in _RESPONSE


def _kind(part: Mapping[str, Any]) -> str:
    """Return the type of a part; empty for an object that is no part of any known kind."""
    kind = part.get("type")
    if isinstance(kind, str):
        return kind
    wrapped = next((key for key in _WRAPPED if key in part), "")
    return wrapped or ("text" if part.keys() <= _BARE and _block_text(part) is not None else "")


def _is_message(value: Mapping[str, Any]) -> bool:
    return "role" in value or "parts" in value or "tool_calls" in value


def _response(part: Mapping[str, Any]) -> tuple[str, Any, str]:
    wrapped = _first(part, ("toolResult", "functionResponse", "function_response"))
    inner = wrapped if isinstance(wrapped, dict) else part
    value = _first(inner, ("response", "result", "output", "content", "server_tool_call_response"))
    if isinstance(value, dict) and set(value) == {"type", "value"}:
        value = value["value"]
    return as_text(_first(inner, _CALL_IDS)), structured(value), as_text(_first(inner, ("name", "toolName")))


def _block_text(block: Any) -> str | None:
    """Return the text of a text part, None for anything else."""
    if isinstance(block, str):
        return block
    if not isinstance(block, dict):
        return None
    kind = block.get("type", "text")
    if not isinstance(kind, str) or kind not in _TEXT:
        return None
    text = _first(block, ("content", "text", "refusal"))
    return text if isinstance(text, str) else None


def _without_bytes(value: Any) -> Any:
    """Copy an attachment; encoded bytes become a mark that says how many characters they had."""
    if isinstance(value, list):
        return [_without_bytes(item) for item in value]
    if not isinstance(value, dict):
        if isinstance(value, str) and value.startswith("data:") and len(value) > _SMALL:
            head, _, body = value.partition(",")
            return f"{head[:_SMALL]},… [cut {len(body)} characters]"
        return value
    is_blob = value.get("type") == "blob"
    return {
        key: f"… [cut {len(item)} characters]"
        if isinstance(item, str) and len(item) > _SMALL and (key in _BYTES or (is_blob and key == "content"))
        else _without_bytes(item)
        for key, item in value.items()
    }


def _first(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        found = value.get(key)
        if found is not None:
            return found
    return None


def _list(value: Any) -> list[Any]:
    value = structured(value)
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
