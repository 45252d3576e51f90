"""OpenInference: flattened messages, costs, retrieval, and aggregates on agent and chain spans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assay.core.trace import Message, ToolCall
from assay.core.usage import Usage
from assay.otel.normalize import normalize
from tests.otel.made import by_name, only, raw

LLM: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-x",
    "llm.provider": "openai",
    "llm.system": "openai",
    "llm.invocation_parameters": '{"model": "gpt-x", "temperature": 0}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "You know the weather.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Weather in Paris?",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "data:image/png;base64," + "A" * 900,
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "get_weather",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"location": "Paris"}',
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.tool_call_id": "c1",
    "llm.input_messages.3.message.content": "rainy",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "It rains.",
    "llm.tools.0.tool.json_schema": '{"type": "function", "function": {"name": "get_weather"}}',
    "llm.finish_reason": "stop",
    "llm.token_count.prompt": 40,
    "llm.token_count.completion": 6,
    "llm.token_count.total": 46,
    "llm.token_count.prompt_details.cache_read": 30,
    "llm.token_count.completion_details.reasoning": 2,
    "llm.cost.total": 0.002,
    "input.value": '{"messages": ["the raw request"]}',
    "input.mime_type": "application/json",
    "output.value": '{"choices": ["the raw answer"]}',
    "output.mime_type": "application/json",
    "session.id": "s1",
}


def test_a_model_call() -> None:
    span = only(LLM, name="ChatCompletion")
    call = span.model
    assert call is not None
    assert span.kind == "llm"
    assert (call.model, call.provider, call.system) == ("gpt-x", "openai", "You know the weather.")
    assert call.parameters == {"temperature": 0}
    assert call.usage == Usage(
        input_tokens=40, output_tokens=6, cache_read_tokens=30, reasoning_tokens=2, cost_usd=0.002
    )
    user, assistant, answer = call.input
    assert user.text == "Weather in Paris?"
    assert user.attachments[0]["image"] == {"image": {"url": "data:image/png;base64,… [cut 900 characters]"}}
    assert assistant.tool_calls == (ToolCall(name="get_weather", arguments={"location": "Paris"}, id="c1"),)
    assert answer == Message(role="tool", text="rainy", tool_call_id="c1")
    assert call.output == (Message(role="assistant", text="It rains."),)
    assert call.tools == ({"type": "function", "function": {"name": "get_weather"}},)
    assert call.finish_reasons == ("stop",)
    assert span.attributes == {"session.id": "s1", "llm.token_count.total": 46}


def test_bare_values_stand_in_for_messages() -> None:
    span = only(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-x",
            "input.value": '{"messages": [{"role": "user", "content": "hi"}]}',
            "input.mime_type": "application/json",
            "output.value": "ho",
        }
    )
    assert span.model is not None
    assert span.model.input == (Message(role="user", text="hi"),)
    assert span.model.output == (Message(role="assistant", text="ho"),)
    assert span.attributes == {}


def test_costs_may_come_in_parts() -> None:
    span = only({"openinference.span.kind": "LLM", "llm.cost.prompt": 0.5, "llm.cost.completion": 0.25})
    assert span.model is not None
    assert span.model.usage.cost_usd == 0.75


def test_a_chain_that_repeats_the_usage_of_its_calls_is_not_counted_twice() -> None:
    totals = {"llm.token_count.prompt": 40, "llm.token_count.completion": 6, "llm.cost.total": 0.002}
    trace = normalize(
        [
            raw(
                1, 0, {"openinference.span.kind": "AGENT", "input.value": "hi", "output.value": "ho"} | totals, name="a"
            ),
            raw(2, 1, {"openinference.span.kind": "CHAIN"} | totals, name="c"),
            raw(3, 2, LLM, name="l"),
        ]
    )
    assert trace.usage.input_tokens == 40
    assert trace.usage.cost_usd == 0.002
    assert trace.usage.model_calls == 1
    agent = by_name(trace)["a"]
    assert (agent.kind, agent.input, agent.output, agent.model) == ("agent", "hi", "ho", None)
    assert agent.attributes == totals


def test_a_tool() -> None:
    span = only(
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "get_weather",
            "tool.id": "c1",
            "tool.description": "…",
            "tool.parameters": '{"type": "object"}',
            "input.value": '{"location": "Paris"}',
            "input.mime_type": "application/json",
            "output.value": "rainy",
        },
        name="run",
    )
    assert span.tool == ToolCall(
        name="get_weather", arguments={"location": "Paris"}, result="rainy", id="c1", span_id=span.span_id
    )
    assert span.attributes == {"tool.description": "…", "tool.parameters": '{"type": "object"}'}


def test_retrieved_documents_are_the_output() -> None:
    span = only(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "hotels",
            "retrieval.documents.0.document.id": "d0",
            "retrieval.documents.0.document.score": 0.9,
            "retrieval.documents.0.document.content": "Ritz",
            "retrieval.documents.0.document.metadata": '{"page": 3}',
            "retrieval.documents.1.document.content": "Plaza",
        }
    )
    assert (span.kind, span.input) == ("retrieval", "hotels")
    assert span.output == [
        {"id": "d0", "score": 0.9, "content": "Ritz", "metadata": {"page": 3}},
        {"content": "Plaza"},
    ]


@pytest.mark.parametrize(
    ("said", "kind", "is_kept"),
    [
        ("CHAIN", "chain", False),
        ("AGENT", "agent", False),
        ("RERANKER", "retrieval", True),
        ("GUARDRAIL", "chain", True),
        ("EVALUATOR", "chain", True),
        ("UNKNOWN", "internal", True),
    ],
)
def test_kinds(said: str, kind: str, *, is_kept: bool) -> None:
    span = only({"openinference.span.kind": said})
    assert span.kind == kind
    assert ("openinference.span.kind" in span.attributes) == is_kept


@pytest.mark.parametrize(
    ("value", "mime", "expected"),
    [
        ('{"a": 1}', None, {"a": 1}),
        ('{"a": 1}', "text/plain", '{"a": 1}'),
        ("42", "application/json", 42),
        ("42", None, "42"),
        ("{broken", "application/json", "{broken"),
    ],
)
def test_mime_types_say_what_a_value_is(value: str, mime: str | None, expected: Any) -> None:
    held = {"openinference.span.kind": "CHAIN", "input.value": value}
    span = only(held | ({"input.mime_type": mime} if mime else {}))
    assert span.input == expected
    assert span.attributes == {}


def test_genai_names_win_and_equal_ones_are_not_stored_twice() -> None:
    span = only(
        LLM | {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x", "gen_ai.provider.name": "azure"}
    )
    assert span.model is not None
    assert span.model.provider == "azure"
    assert span.attributes["llm.provider"] == "openai"
    assert "llm.model_name" not in span.attributes
    assert json.dumps(span.attributes).count("Paris") == 0
