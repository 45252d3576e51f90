"""Spans of the Vercel AI SDK: the outer span, a step and a tool."""

from __future__ import annotations

import json
from typing import Any

from assay.core.trace import Message, ToolCall
from assay.core.usage import Usage
from assay.otel.normalize import normalize
from tests.otel.made import by_name, raw

MESSAGES = [
    {"role": "system", "content": "You know the weather."},
    {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
]
OUTER: dict[str, Any] = {
    "ai.operationId": "ai.generateText",
    "operation.name": "ai.generateText weather",
    "ai.model.id": "gpt-x",
    "ai.model.provider": "openai.chat",
    "ai.prompt": json.dumps({"system": "You know the weather.", "prompt": "Weather in Paris?"}),
    "ai.response.text": "It rains.",
    "ai.response.finishReason": "stop",
    "ai.usage.promptTokens": 50,
    "ai.usage.completionTokens": 9,
    "ai.telemetry.functionId": "weather",
}
STEP: dict[str, Any] = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-x",
    "ai.model.provider": "openai.chat",
    "ai.prompt.messages": json.dumps(MESSAGES),
    "ai.prompt.tools": ['{"type": "function", "name": "get_weather"}'],
    "ai.response.toolCalls": json.dumps(
        [{"toolCallType": "function", "toolCallId": "c1", "toolName": "get_weather", "args": '{"location": "Paris"}'}]
    ),
    "ai.response.finishReason": "tool-calls",
    "ai.response.model": "gpt-x-1",
    "ai.settings.maxRetries": 2,
    "ai.usage.inputTokens": 50,
    "ai.usage.outputTokens": 9,
    "ai.usage.cachedInputTokens": 10,
    "gen_ai.system": "openai.chat",
    "gen_ai.request.model": "gpt-x",
    "gen_ai.response.model": "gpt-x-1",
    "gen_ai.response.finish_reasons": ["tool-calls"],
    "gen_ai.usage.input_tokens": 50,
    "gen_ai.usage.output_tokens": 9,
}
TOOL = {
    "ai.operationId": "ai.toolCall",
    "ai.toolCall.name": "get_weather",
    "ai.toolCall.id": "c1",
    "ai.toolCall.args": '{"location":"Paris"}',
    "ai.toolCall.result": '{"sky":"rainy"}',
}


def test_steps_count_and_the_outer_span_does_not() -> None:
    trace = normalize(
        [raw(1, 0, OUTER, name="outer"), raw(2, 1, STEP, name="step"), raw(3, 1, TOOL, name="ai.toolCall")]
    )
    assert trace.usage == Usage(input_tokens=50, output_tokens=9, cache_read_tokens=10, model_calls=1, tool_calls=1)
    spans = by_name(trace)
    outer = spans["outer"]
    assert (outer.kind, outer.model) == ("chain", None)
    assert outer.input == {"system": "You know the weather.", "prompt": "Weather in Paris?"}
    assert outer.output == "It rains."
    assert outer.attributes["ai.telemetry.functionId"] == "weather"
    call = spans["step"].model
    assert call is not None
    assert (call.model, call.provider, call.system) == ("gpt-x-1", "openai.chat", "You know the weather.")
    assert call.parameters == {"maxRetries": 2, "model": "gpt-x"}
    assert call.input == (Message(role="user", text="Weather in Paris?"),)
    requested = ToolCall(name="get_weather", arguments={"location": "Paris"}, id="c1")
    assert call.output == (Message(role="assistant", tool_calls=(requested,)),)
    assert call.finish_reasons == ("tool-calls",)
    assert call.tools == ({"type": "function", "name": "get_weather"},)
    assert spans["step"].attributes == {"ai.operationId": "ai.generateText.doGenerate"}
    tool = spans["ai.toolCall"].tool
    assert tool is not None
    assert (tool.name, tool.id, tool.arguments, tool.result) == (
        "get_weather",
        "c1",
        {"location": "Paris"},
        {"sky": "rainy"},
    )


def test_text_and_reasoning_of_an_answer() -> None:
    answer = {"ai.operationId": "ai.streamText.doStream", "ai.response.text": "Hi", "ai.response.reasoning": "hm"}
    span = normalize([raw(1, 0, answer)]).spans[0]
    assert span.model is not None
    assert span.model.output == (Message(role="assistant", text="Hi", reasoning="hm"),)


def test_embeddings() -> None:
    held = {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "e", "ai.usage.tokens": 6}
    trace = normalize([raw(1, 0, {"ai.operationId": "ai.embed", "ai.usage.tokens": 6}), raw(2, 1, held)])
    assert [span.kind for span in trace.spans] == ["chain", "embedding"]
    assert trace.usage == Usage(input_tokens=6, model_calls=1)
