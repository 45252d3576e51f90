"""From one raw span to one span of the trace."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.trace import Message, ModelCall, Span, SpanEvent, ToolCall
from assay.core.usage import NO_USAGE, Usage
from assay.otel import genai, legacy, openinference, vercel
from assay.otel.calls import Report, Role
from assay.otel.content import as_text
from assay.otel.draft import Draft
from assay.otel.messages import MessageReader, plain, read_text
from assay.otel.raw import RawSpan

SCOPE = "otel.scope.name"
"""Attribute that keeps the instrumentation scope, as OpenTelemetry names it for formats without one."""

_STATUS = ("unset", "ok", "error")
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "client", 5: "server"}
_SYSTEM_ROLES = frozenset({"system", "developer"})
_CALL_FIELDS = frozenset(
    {
        "cache_read_tokens",
        "cache_write_tokens",
        "cost_usd",
        "entered",
        "finish_reasons",
        "input",
        "input_tokens",
        "kind",
        "left",
        "model",
        "output",
        "output_tokens",
        "parameters",
        "provider",
        "reasoning_tokens",
        "requested",
        "system",
        "tools",
    }
)
_TOOL_FIELDS = frozenset({"arguments", "kind", "result", "tool_call_id", "tool_error", "tool_name"})
_VALUES = frozenset({"entered", "left"})
_DONATED = frozenset({"entered", "input", "left", "output", "system", "tools"})


def understand(raw: RawSpan, reader: MessageReader) -> Draft:
    """Read a span in every dialect, in the order of precedence."""
    draft = Draft.of(raw, reader)
    # all names in one text: a search in it costs less than a look at each of them
    names = "\n" + "\n".join(raw.attributes)
    if draft.events or _holds(names, genai.PREFIXES):
        genai.read(draft)
        if draft.events:
            legacy.read_events(draft)
    if _holds(names, legacy.PREFIXES):
        legacy.read_openllmetry(draft)
    if _holds(names, vercel.PREFIXES):
        vercel.read(draft)
    if _holds(names, openinference.PREFIXES):
        openinference.read(draft)
    _settle(draft)
    return draft


def _holds(names: str, prefixes: tuple[str, ...]) -> bool:
    return any(f"\n{prefix}" in names for prefix in prefixes)


def report(draft: Draft) -> Report:
    """Say what the span reports to the count."""
    usage = draft.usage
    if draft.kind == "tool":
        return Report(role=Role.tool, usage=usage, tool=tool_call(draft))
    is_model = draft.is_model
    conversation = draft.input + draft.output if is_model or usage != NO_USAGE else ()
    return Report(
        role=Role.model if is_model else Role.other,
        usage=usage,
        messages=len(conversation),
        requested=sum(len(message.tool_calls) for message in conversation),
    )


def model_span(draft: Draft, usage: Usage, donor: Draft | None = None) -> Span:
    """Return a span that is a model call; what it does not say itself is taken from the `donor` that wraps it."""
    source = donor or draft
    has_messages = bool(source.input or source.output)
    parameters = dict(draft.parameters or source.parameters)
    said = as_text(parameters.pop("model", ""))
    requested = draft.requested or said
    if draft.model and requested and requested != draft.model:
        parameters["model"] = requested
    call = ModelCall(
        model=draft.model or requested or source.model or source.requested,
        provider=draft.provider or source.provider,
        parameters=parameters,
        system=draft.system or source.system,
        tools=draft.tools or source.tools,
        input=source.input,
        output=source.output,
        usage=usage,
        finish_reasons=draft.finish_reasons or source.finish_reasons,
    )
    # where there are messages, a bare input value is the same request once more
    entered, left = (None, None) if has_messages else (draft.entered, draft.left)
    return _span(draft, draft.kind, _CALL_FIELDS, model=call, input=entered, output=left)


def tool_span(draft: Draft, tool: ToolCall) -> Span:
    """Return a span that is a tool execution."""
    used = _TOOL_FIELDS
    if draft.arguments in (None, draft.entered):
        used |= {"entered"}
    if draft.result in (None, draft.left):
        used |= {"left"}
    return _span(draft, "tool", used, tool=tool)


def repeated_tool_span(draft: Draft, tool: ToolCall) -> Span:
    """Return a span that reports the execution of its parent once more."""
    used = frozenset({"arguments", "result"}) | _VALUES
    return _span(draft, "internal", used, input=tool.arguments, output=tool.result)


def plain_span(draft: Draft, *, has_donated: bool = False) -> Span:
    """Return any other span; a model span here only wraps the calls inside it, and may have donated its content."""
    if has_donated:
        return _span(draft, "chain", _DONATED)
    used: set[str] = set() if draft.is_model else {"kind"}
    values: list[Any] = []
    for messages, value, names in (
        (draft.input, draft.entered, ("input", "entered")),
        (draft.output, draft.left, ("output", "left")),
    ):
        whole = plain(messages)
        values.append(value if whole is None else whole)
        used.add(names[1] if whole is None else names[0])
        if whole == value:
            used |= set(names)
    kind = "chain" if draft.is_model else draft.kind
    return _span(draft, kind, frozenset(used), input=values[0], output=values[1])


def tool_call(draft: Draft) -> ToolCall:
    """Return the execution that a tool span records."""
    raw = draft.raw
    error = draft.tool_error
    if not error and (raw.status == 2 or genai.ERROR_TYPE in raw.attributes):
        error = raw.status_message or _exception(raw) or as_text(raw.attributes.get(genai.ERROR_TYPE)) or "failed"
    return ToolCall(
        name=draft.tool_name or raw.name.removeprefix("execute_tool "),
        arguments=draft.entered if draft.arguments is None else draft.arguments,
        result=draft.left if draft.result is None else draft.result,
        error=error,
        id=draft.tool_call_id,
        span_id=raw.span_id,
    )


def _settle(draft: Draft) -> None:
    """Decide the kind where no convention said it, and give the system prompt and bare values their place."""
    if not draft.kind:
        if draft.tool_name and not draft.model and not draft.requested:
            draft.kind = "tool"
        elif draft.model or draft.requested or draft.usage.tokens:
            draft.kind = "llm"
        else:
            draft.kind = _KINDS.get(draft.raw.kind, "internal")
    if draft.kind != "llm":
        return
    if not draft.input and not draft.output:
        draft.input = draft.reader.read(draft.entered, "user")
        draft.output = draft.reader.read(draft.left, "assistant")
    if not draft.system and draft.input:
        _lift_system(draft)


def _lift_system(draft: Draft) -> None:
    """Move leading system messages into `system`: older generations have no other place for them."""
    count = 0
    for message in draft.input:
        if message.role not in _SYSTEM_ROLES or message != Message(role=message.role, text=message.text):
            break
        count += 1
    if count:
        draft.system = "\n".join(message.text for message in draft.input[:count])
        draft.input = draft.input[count:]


def _exception(raw: RawSpan) -> str:
    found = (event.attributes.get("exception.message") for event in raw.events if event.name == "exception")
    return next((read_text(message) for message in found if message), "")


def _span(draft: Draft, kind: str, used: frozenset[str], **content: Any) -> Span:
    raw = draft.raw
    attributes = draft.restored(used)
    if raw.scope:
        attributes = attributes | {SCOPE: raw.scope}
    events = [SpanEvent(name=event.name, time_ns=event.time_ns, attributes=event.attributes) for event in draft.events]
    events.sort(key=lambda event: event.time_ns)
    return Span(
        span_id=raw.span_id,
        parent_id=raw.parent_id,
        name=raw.name,
        start_ns=raw.start_ns,
        end_ns=raw.end_ns,
        kind=kind,
        status=_STATUS[raw.status],
        status_message=raw.status_message,
        attributes=attributes,
        events=tuple(events),
        **content,
    )


def adopted(span: Span, span_id: str, parent_id: str) -> Span:
    """Return the span under other ids."""
    tool = span.tool
    if tool is not None and tool.span_id != span_id:
        tool = msgspec.structs.replace(tool, span_id=span_id)
    return msgspec.structs.replace(span, span_id=span_id, parent_id=parent_id, tool=tool)
