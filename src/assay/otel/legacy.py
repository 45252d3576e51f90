"""Older generations: the message events of GenAI conventions up to v1.36, and OpenLLMetry's numbered attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.core.trace import Message
from assay.otel.content import numbered, parsed, structured
from assay.otel.draft import Draft
from assay.otel.genai import read_usage, reasons
from assay.otel.messages import read_messages
from assay.otel.raw import RawEvent

_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"
_EVENT_CONTENT = "gen_ai.event.content"
_PROMPT_EVENT = "gen_ai.content.prompt"
_COMPLETION_EVENT = "gen_ai.content.completion"
_PROMPT = "gen_ai.prompt"
_COMPLETION = "gen_ai.completion"

PREFIXES = ("gen_ai.prompt", "gen_ai.completion", "traceloop.", "llm.")
"""What the names of OpenLLMetry begin with."""

_SPAN_KIND = "traceloop.span.kind"
_ENTITY_INPUT = "traceloop.entity.input"
_ENTITY_OUTPUT = "traceloop.entity.output"
_ENTITY_NAME = "traceloop.entity.name"
_REQUEST_TYPE = "llm.request.type"
_FUNCTIONS = "llm.request.functions."
_CALLBACK = frozenset({"input_str", "inputs", "kwargs", "metadata", "tags"})
_KINDS = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"}
_REQUESTS = {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "retrieval"}
_USAGE = (
    ("input_tokens", "llm.usage.prompt_tokens"),
    ("output_tokens", "llm.usage.completion_tokens"),
    ("reasoning_tokens", "llm.usage.reasoning_tokens"),
)


def read_events(draft: Draft) -> None:
    """Read one event per message, and the two events that hold a whole prompt or completion."""
    sent = [event for event in draft.events if event.name in _ROLES]
    chosen = [event for event in draft.events if event.name == _CHOICE]
    if sent and draft.take("input", tuple(m for event in sent for m in _event_messages(event, _ROLES[event.name]))):
        draft.give_up(sent)
    if chosen:
        _read_choices(draft, chosen)
    for name, key, field, role in (
        (_PROMPT_EVENT, _PROMPT, "input", "user"),
        (_COMPLETION_EVENT, _COMPLETION, "output", "assistant"),
    ):
        whole = [event for event in draft.events if event.name == name and key in event.attributes]
        if whole:
            messages = tuple(m for event in whole for m in draft.reader.read(event.attributes[key], role))
            if draft.take(field, messages):
                draft.give_up(whole)


def read_openllmetry(draft: Draft) -> None:
    """Read `gen_ai.prompt.<i>.*`, `gen_ai.completion.<i>.*` and `traceloop.*`."""
    held = draft.attributes
    _offer_kind(draft, _SPAN_KIND, _KINDS, frozenset({"workflow", "agent", "tool"}))
    _offer_kind(draft, _REQUEST_TYPE, _REQUESTS, frozenset({"chat"}))
    prompts, keys = numbered(held, f"{_PROMPT}.")
    draft.offer("input", tuple(m for item in prompts for m in read_messages(item, "user")), *keys)
    completions, keys = numbered(held, f"{_COMPLETION}.")
    found = (item.get("finish_reason") for item in completions if isinstance(item, dict))
    draft.take("finish_reasons", tuple(reason for reason in found if isinstance(reason, str)))
    draft.offer("output", tuple(m for item in completions for m in read_messages(item, "assistant")), *keys)
    for key, field, role in ((_PROMPT, "input", "user"), (_COMPLETION, "output", "assistant")):
        if key in held:
            draft.offer(field, draft.reader.read(held[key], role), key)
    functions, keys = numbered(held, _FUNCTIONS)
    tools = tuple(_function(item) for item in functions if isinstance(item, dict))
    draft.offer("tools", tools, *keys)
    read_usage(draft, _USAGE)
    _read_entity(draft)


def _read_choices(draft: Draft, chosen: list[RawEvent]) -> None:
    messages: list[Message] = []
    found: list[str] = []
    for event in chosen:
        body = _body(event)
        message = structured(body.get("message"))
        found += reasons(body.get("finish_reason"))
        messages += read_messages(message if message is not None else body, "assistant")
        # Strands sends what the tools answered beside the message that called them
        messages += read_messages(body.get("tool.result"), "tool")
    draft.take("finish_reasons", tuple(found))
    if draft.take("output", tuple(messages)):
        draft.give_up(chosen)


def _event_messages(event: RawEvent, role: str) -> tuple[Message, ...]:
    body = _body(event)
    content = body.get("content")
    # without a role a list of parts and a list of whole messages look alike: read_messages tells them apart
    if set(body) <= {"content", "gen_ai.system", "gen_ai.provider.name"}:
        return read_messages(content, role)
    return read_messages({"role": role} | body, role)


def _body(event: RawEvent) -> dict[str, Any]:
    body = structured(event.attributes.get(_EVENT_CONTENT))
    if isinstance(body, dict):
        return body
    return event.attributes if body is None else {"content": body}


def _offer_kind(draft: Draft, key: str, kinds: Mapping[str, str], exact: frozenset[str]) -> None:
    value = draft.attributes.get(key)
    if isinstance(value, str) and value in kinds:
        draft.offer("kind", kinds[value], *((key,) if value in exact else ()))


def _function(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function"} | {key: structured(value) for key, value in item.items()}


def _read_entity(draft: Draft) -> None:
    held = draft.attributes
    if draft.kind == "tool":
        draft.offer_text("tool_name", _ENTITY_NAME)
        draft.offer("arguments", _tool_inputs(held.get(_ENTITY_INPUT)), _ENTITY_INPUT)
    for key, field in ((_ENTITY_INPUT, "entered"), (_ENTITY_OUTPUT, "left")):
        if key in held:
            draft.offer(field, _entity(held[key]), key)


def _entity(value: Any) -> Any:
    """Unwrap what the decorators and callbacks of OpenLLMetry put around a value, where nothing else is said."""
    value = parsed(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        return value
    if set(value) == {"args", "kwargs"} and not (value["args"] and value["kwargs"]):
        return value["kwargs"] or value["args"]
    said = {key for key, held in value.items() if held not in (None, [], {}, "")}
    for key in ("inputs", "outputs"):
        if said == {key}:
            return value[key]
    return value


def _tool_inputs(value: Any) -> Any:
    """Return the arguments that a LangChain tool callback recorded among its plumbing, None for anything else."""
    value = structured(value)
    inputs = value.get("inputs") if isinstance(value, dict) and value.keys() <= _CALLBACK else None
    return inputs if isinstance(inputs, dict) else None
