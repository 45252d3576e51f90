"""Current GenAI conventions: a model call, a tool, an agent as instrumentations of 2026 send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assay.core.trace import Message, ModelCall, ToolCall
from assay.core.usage import Usage
from assay.otel.normalize import normalize
from tests.otel.made import event, only, raw

INPUT = [
    {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": {"location": "Paris"}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rainy, 57F"}]},
]
OUTPUT = [{"role": "assistant", "parts": [{"type": "text", "content": "It rains."}], "finish_reason": "stop"}]
SYSTEM = [{"type": "text", "content": "You know the weather."}]
TOOLS = [{"type": "function", "name": "get_weather", "description": "…", "parameters": {"type": "object"}}]
SCALARS: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-2026-01-01",
    "gen_ai.response.id": "resp_1",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.stop_sequences": ["END"],
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 100,
    "gen_ai.usage.cache_write.input_tokens": 10,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "server.address": "api.openai.com",
}
CONTENT = {
    "gen_ai.system_instructions": SYSTEM,
    "gen_ai.input.messages": INPUT,
    "gen_ai.output.messages": OUTPUT,
    "gen_ai.tool.definitions": TOOLS,
}
CALL = ModelCall(
    model="gpt-x-2026-01-01",
    provider="openai",
    parameters={"temperature": 0.2, "stop_sequences": ["END"], "model": "gpt-x"},
    system="You know the weather.",
    tools=tuple(TOOLS),
    input=(
        Message(role="user", text="Weather in Paris?"),
        Message(
            role="assistant",
            tool_calls=(ToolCall(name="get_weather", arguments={"location": "Paris"}, id="call_1"),),
        ),
        Message(role="tool", text="rainy, 57F", tool_call_id="call_1"),
    ),
    output=(Message(role="assistant", text="It rains."),),
    usage=Usage(input_tokens=120, output_tokens=30, cache_read_tokens=100, cache_write_tokens=10, reasoning_tokens=20),
    finish_reasons=("stop",),
)


def as_text(content: dict[str, Any]) -> dict[str, Any]:
    return {key: json.dumps(value) for key, value in content.items()}


@pytest.mark.parametrize("content", [CONTENT, as_text(CONTENT)], ids=["structured", "JSON text"])
def test_a_model_call_is_understood_and_stored_once(content: dict[str, Any]) -> None:
    span = only(SCALARS | content, name="chat gpt-x", kind=3, scope="opentelemetry.instrumentation.openai")
    assert span.kind == "llm"
    assert span.model == CALL
    assert span.attributes == {
        "gen_ai.response.id": "resp_1",
        "server.address": "api.openai.com",
        "otel.scope.name": "opentelemetry.instrumentation.openai",
    }
    assert span.input is None
    assert span.output is None


def test_the_details_event_stands_in_for_missing_attributes() -> None:
    details = event("gen_ai.client.inference.operation.details", 5, **SCALARS, **CONTENT)
    span = only(SCALARS, events=(details,))
    assert span.model == CALL
    assert span.events == ()


def test_details_may_come_in_pieces_and_what_else_they_say_stays() -> None:
    name = "gen_ai.client.inference.operation.details"
    pieces = [{key: json.dumps(value)} for key, value in CONTENT.items()]
    events = tuple(event(name, place, **piece) for place, piece in enumerate(pieces))
    span = only(SCALARS, events=(*events, event(name, 9, **{"x.extra": 1, "gen_ai.operation.name": "chat"})))
    assert span.model == CALL
    assert [each.attributes for each in span.events] == [{"x.extra": 1, "gen_ai.operation.name": "chat"}]


def test_attributes_win_over_the_details_event() -> None:
    other = [{"role": "user", "parts": [{"type": "text", "content": "another"}]}]
    details = event("gen_ai.client.inference.operation.details", 5, **{"gen_ai.input.messages": other})
    span = only(SCALARS | CONTENT, events=(details,))
    assert span.model == CALL
    assert span.events[0].attributes == {"gen_ai.input.messages": other}


def test_finish_reasons_inside_messages_count_when_there_are_no_others() -> None:
    span = only({"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(OUTPUT)})
    assert span.model is not None
    assert span.model.finish_reasons == ("stop",)


@pytest.mark.parametrize(
    ("names", "usage"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3}, Usage(input_tokens=5, output_tokens=3)),
        ({"input_tokens": "5", "output_tokens": 3.0}, Usage(input_tokens=5, output_tokens=3)),
        (
            {"input_tokens": 9, "cache_read.input_tokens": 4, "cache_creation.input_tokens": 2},
            Usage(input_tokens=9, cache_read_tokens=4, cache_write_tokens=2),
        ),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2},
            Usage(input_tokens=9, cache_read_tokens=4, cache_write_tokens=2),
        ),
        # counted beside the whole: a part cannot be larger
        ({"input_tokens": 3, "cache_read.input_tokens": 40}, Usage(input_tokens=43, cache_read_tokens=40)),
        ({"output_tokens": 3, "reasoning.output_tokens": 40}, Usage(output_tokens=43, reasoning_tokens=40)),
        ({"input_tokens": 7, "cost": 0.25}, Usage(input_tokens=7, cost_usd=0.25)),
        ({"input_tokens": 7, "prompt_tokens": 7}, Usage(input_tokens=7)),
    ],
)
def test_usage_under_every_name(names: dict[str, Any], usage: Usage) -> None:
    held = {f"gen_ai.usage.{name}": value for name, value in names.items()}
    span = only({"gen_ai.operation.name": "chat"} | held)
    assert span.model is not None
    assert span.model.usage == usage
    assert span.attributes == {}


@pytest.mark.parametrize("bad", [-5, "many", True, None, [1], 1.5, 2**62])
def test_what_is_no_count_stays_an_attribute(bad: Any) -> None:
    span = only({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": bad})
    assert span.model is not None
    assert span.model.usage == Usage()
    assert span.attributes == {"gen_ai.usage.input_tokens": bad}


def test_two_names_that_disagree_keep_the_second_visible() -> None:
    span = only({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7, "gen_ai.usage.prompt_tokens": 8})
    assert span.model is not None
    assert span.model.usage.input_tokens == 7
    assert span.attributes == {"gen_ai.usage.prompt_tokens": 8}


def test_a_tool_execution() -> None:
    span = only(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": '{"location": "Paris"}',
            "gen_ai.tool.call.result": {"sky": "rainy"},
        },
        name="execute_tool get_weather",
    )
    assert span.kind == "tool"
    assert span.tool == ToolCall(
        name="get_weather",
        arguments={"location": "Paris"},
        result={"sky": "rainy"},
        id="call_1",
        span_id=span.span_id,
    )
    assert span.attributes == {"gen_ai.tool.type": "function"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"status": 2, "status_message": "boom"}, "boom"),
        ({"status": 2, "events": (event("exception", 1, **{"exception.message": "no room"}),)}, "no room"),
        ({"status": 2, "attributes": {"error.type": "ValueError"}}, "ValueError"),
        ({"status": 2}, "failed"),
        ({"attributes": {"error.type": "timeout"}}, "timeout"),
        ({}, ""),
    ],
)
def test_a_failed_tool_says_why(given: dict[str, Any], error: str) -> None:
    attributes = {"gen_ai.operation.name": "execute_tool"} | given.pop("attributes", {})
    span = only(attributes, name="execute_tool search", **given)
    assert span.tool is not None
    assert (span.tool.name, span.tool.error) == ("search", error)
    assert span.status == ("error" if given.get("status") == 2 else "unset")


def test_arguments_without_anything_in_them_are_arguments() -> None:
    span = only(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "now", "gen_ai.tool.call.arguments": "{}"}
    )
    assert span.tool is not None
    assert span.tool.arguments == {}


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", "llm"),
        ("generate_content", "llm"),
        ("text_completion", "llm"),
        ("embeddings", "embedding"),
        ("retrieval", "retrieval"),
        ("search_memory", "retrieval"),
        ("create_agent", "agent"),
        ("invoke_agent", "agent"),
        ("invoke_workflow", "chain"),
        ("plan", "chain"),
        ("execute_tool", "tool"),
        ("update_memory", "client"),
        ("something_new", "client"),
    ],
)
def test_operations_give_the_kind_and_unknown_ones_are_accepted(operation: str, kind: str) -> None:
    span = only({"gen_ai.operation.name": operation}, kind=3)
    assert span.kind == kind
    canonical = {"chat", "embeddings", "retrieval", "invoke_agent", "invoke_workflow", "execute_tool"}
    assert ("gen_ai.operation.name" in span.attributes) == (operation not in canonical)


def test_an_unknown_operation_with_a_model_is_a_model_call() -> None:
    span = only({"gen_ai.operation.name": "summarize", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 4})
    assert span.kind == "llm"
    assert span.model is not None
    assert (span.model.model, span.model.usage.input_tokens) == ("m", 4)


@pytest.mark.parametrize(
    ("otlp", "kind"), [(0, "internal"), (1, "internal"), (2, "server"), (3, "client"), (5, "server")]
)
def test_spans_of_no_convention_keep_their_otlp_kind(otlp: int, kind: str) -> None:
    span = only({"http.request.method": "GET"}, kind=otlp)
    assert (span.kind, span.attributes) == (kind, {"http.request.method": "GET"})


def test_an_agent_span_keeps_what_it_says_and_shows_its_messages() -> None:
    said = {"gen_ai.agent.name": "concierge", "gen_ai.agent.version": "2", "gen_ai.conversation.id": "c"}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 120}
    trace = normalize(
        [
            raw(1, 0, agent | said | CONTENT),
            raw(2, 1, SCALARS | CONTENT, name="chat"),
        ]
    )
    outer, inner = trace.spans
    assert outer.kind == "agent"
    assert outer.model is None
    assert outer.output == "It rains."
    assert [message["role"] for message in outer.input] == ["user", "assistant", "tool"]
    assert outer.attributes.items() >= (said | {"gen_ai.usage.input_tokens": 120, "gen_ai.request.model": "m"}).items()
    assert inner.model == CALL


@pytest.mark.parametrize("broken", ["[{", '{"role": "user"', "[1, 2", "not json", '["\\ud800"'])
def test_malformed_content_stays_visible_as_text(broken: str) -> None:
    span = only(SCALARS | dict.fromkeys(CONTENT, broken))
    assert span.model is not None
    assert span.model.input == (Message(role="user", text=broken),)
    assert span.model.output == (Message(role="assistant", text=broken),)
    assert span.model.system == broken
    assert span.model.tools == ({"definition": broken},)


def test_names_of_prompts_are_not_prompts() -> None:
    held = {"gen_ai.operation.name": "chat", "gen_ai.prompt.name": "p", "gen_ai.prompt.version": "3"}
    assert only(held).attributes == {"gen_ai.prompt.name": "p", "gen_ai.prompt.version": "3"}
