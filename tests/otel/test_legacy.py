"""Older generations: message events up to v1.36, content events, OpenLLMetry's numbered attributes, traceloop.*"""

from __future__ import annotations

import json
from typing import Any

import pytest

from assay.core.trace import Message, ToolCall
from assay.core.usage import Usage
from tests.otel.made import event, only

CALL = ToolCall(name="get_weather", arguments={"location": "Paris"}, id="call_1")
OPENAI_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"location": "Paris"}'},
}
HEAD = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-x"}
INPUT = (
    Message(role="user", text="Weather in Paris?"),
    Message(role="assistant", tool_calls=(CALL,)),
    Message(role="tool", text="rainy", tool_call_id="call_1"),
)


def events(style: str) -> list[Any]:
    """The same conversation as events: bodies as attributes, or as one JSON text (Azure's way)."""
    bodies = [
        ("gen_ai.system.message", {"content": "You know the weather."}),
        ("gen_ai.user.message", {"content": "Weather in Paris?"}),
        ("gen_ai.assistant.message", {"tool_calls": [OPENAI_CALL]}),
        ("gen_ai.tool.message", {"content": "rainy", "id": "call_1"}),
        (
            "gen_ai.choice",
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It rains."}},
        ),
    ]
    if style == "json":
        return [event(name, i, **{"gen_ai.event.content": json.dumps(body)}) for i, (name, body) in enumerate(bodies)]
    if style == "text":
        bodies = [
            (name, {key: value if isinstance(value, (str, int)) else json.dumps(value) for key, value in body.items()})
            for name, body in bodies
        ]
    return [event(name, i, **{"gen_ai.system": "openai"}, **body) for i, (name, body) in enumerate(bodies)]


@pytest.mark.parametrize("style", ["structured", "text", "json"])
def test_message_events_become_the_conversation(style: str) -> None:
    span = only(HEAD, events=(*events(style), event("exception", 9, **{"exception.message": "kept"})))
    assert span.model is not None
    assert span.model.system == "You know the weather."
    assert span.model.input == INPUT
    assert span.model.output == (Message(role="assistant", text="It rains."),)
    assert span.model.finish_reasons == ("stop",)
    assert span.model.provider == "openai"
    assert [each.name for each in span.events] == ["exception"]
    assert span.attributes == {}


def test_strands_sends_content_blocks_as_json_text() -> None:
    blocks = [{"toolUse": {"toolUseId": "call_1", "name": "get_weather", "input": {"location": "Paris"}}}]
    result = [{"toolResult": {"toolUseId": "call_1", "status": "success", "content": [{"text": "rainy"}]}}]
    span = only(
        HEAD,
        events=(
            event("gen_ai.user.message", 1, content=json.dumps([{"text": "Weather in Paris?"}])),
            event(
                "gen_ai.choice",
                2,
                finish_reason="tool_use",
                message=json.dumps(blocks),
                **{"tool.result": json.dumps(result)},
            ),
        ),
    )
    assert span.model is not None
    assert span.model.input == (Message(role="user", text="Weather in Paris?"),)
    assert span.model.output == (
        Message(role="assistant", tool_calls=(CALL,)),
        Message(role="tool", text="rainy", tool_call_id="call_1"),
    )
    assert span.model.finish_reasons == ("tool_use",)


def test_whole_prompt_and_completion_events() -> None:
    span = only(
        HEAD,
        events=(
            event("gen_ai.content.prompt", 1, **{"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
            event("gen_ai.content.completion", 2, **{"gen_ai.completion": '[{"role": "assistant", "content": "ho"}]'}),
        ),
    )
    assert span.model is not None
    assert (span.model.input, span.model.output) == (
        (Message(role="user", text="hi"),),
        (Message(role="assistant", text="ho"),),
    )
    assert span.events == ()


def test_attributes_win_over_events_which_then_stay() -> None:
    current = {"gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "current"}]}]'}
    span = only(HEAD | current, events=(event("gen_ai.user.message", 1, content="legacy"),))
    assert span.model is not None
    assert span.model.input == (Message(role="user", text="current"),)
    assert [each.attributes for each in span.events] == [{"content": "legacy"}]


OPENLLMETRY: dict[str, Any] = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x",
    "gen_ai.request.temperature": 0.1,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "You know the weather.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": '[{"type": "text", "text": "Weather in Paris?"}]',
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "call_1",
    "gen_ai.prompt.2.tool_calls.0.name": "get_weather",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"location": "Paris"}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.tool_call_id": "call_1",
    "gen_ai.prompt.3.content": "rainy",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "It rains.",
    "gen_ai.completion.0.finish_reason": "stop",
    "llm.request.functions.0.name": "get_weather",
    "llm.request.functions.0.description": "Tells the weather",
    "llm.request.functions.0.parameters": '{"type": "object"}',
    "gen_ai.usage.prompt_tokens": 20,
    "gen_ai.usage.completion_tokens": 4,
    "gen_ai.usage.cache_read_input_tokens": 8,
    "llm.usage.total_tokens": 24,
    "traceloop.workflow.name": "travel",
}


def test_openllmetry_model_call() -> None:
    span = only(OPENLLMETRY, name="openai.chat", kind=3)
    assert span.kind == "llm"
    call = span.model
    assert call is not None
    assert call.system == "You know the weather."
    assert call.input == INPUT
    assert call.output == (Message(role="assistant", text="It rains."),)
    assert call.finish_reasons == ("stop",)
    assert call.usage == Usage(input_tokens=20, output_tokens=4, cache_read_tokens=8)
    assert call.parameters == {"temperature": 0.1}
    assert call.tools[0]["parameters"] == {"type": "object"}
    assert span.attributes == {"traceloop.workflow.name": "travel", "llm.usage.total_tokens": 24}


def test_the_current_attributes_win_over_numbered_ones() -> None:
    current = {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "current"}]}]}
    span = only(OPENLLMETRY | current)
    assert span.model is not None
    assert span.model.input == (Message(role="user", text="current"),)
    assert span.attributes["gen_ai.prompt.3.content"] == "rainy"


@pytest.mark.parametrize(("said", "kind"), [("workflow", "chain"), ("task", "chain"), ("agent", "agent")])
def test_traceloop_entities(said: str, kind: str) -> None:
    span = only(
        {
            "traceloop.span.kind": said,
            "traceloop.entity.name": "plan_trip",
            "traceloop.entity.input": '{"args": [], "kwargs": {"city": "Paris"}}',
            "traceloop.entity.output": '"a fine trip"',
        }
    )
    assert (span.kind, span.input, span.output) == (kind, {"city": "Paris"}, "a fine trip")
    assert span.attributes["traceloop.entity.name"] == "plan_trip"
    assert "traceloop.entity.input" not in span.attributes


@pytest.mark.parametrize(
    "entered",
    [
        {"args": [], "kwargs": {"location": "Paris"}},
        {"input_str": "{'location': 'Paris'}", "tags": ["t"], "metadata": {"n": 1}, "inputs": {"location": "Paris"}},
        {"inputs": {"location": "Paris"}, "tags": [], "metadata": {}},
        {"location": "Paris"},
    ],
)
def test_traceloop_tools(entered: dict[str, Any]) -> None:
    span = only(
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "get_weather",
            "traceloop.entity.input": json.dumps(entered),
            "traceloop.entity.output": "rainy",
        },
        name="get_weather.tool",
    )
    assert span.tool == ToolCall(
        name="get_weather", arguments={"location": "Paris"}, result="rainy", span_id=span.span_id
    )
    assert span.attributes == {}
