"""What of a trace becomes columns."""

from __future__ import annotations

from typing import Any

from assay.core.trace import Message, ModelCall, ToolCall, Trace
from assay.store.schema import traces
from assay.store.summary import read_names, summarize
from tests.store.made import model_span, span


def summary(*spans: Any, **fields: Any) -> dict[str, Any]:
    row = summarize(Trace(trace_id="t" * 32, spans=spans, **fields))
    return dict(zip(traces.c.keys(), row, strict=True))


def test_times_names_and_counts():
    found = summary(
        span("a" * 16, name="root", start_ns=5, end_ns=50, status="ok"),
        span("b" * 16, parent_id="a" * 16, start_ns=6, end_ns=70, status="error"),
        resource={"service.name": "desk", "service.version": 3},
        dropped_spans=4,
    )
    assert (found["trace_id"], found["root_name"], found["status"]) == ("t" * 32, "root", "ok")
    assert (found["started_ns"], found["ended_ns"]) == (5, 70)
    assert (found["spans"], found["errors"], found["dropped_spans"]) == (2, 1, 4)
    assert (found["service"], found["service_version"]) == ("desk", "3")


def test_models_tools_prompts_and_usage():
    found = summary(
        model_span("large", system="be nice", tool="search", input_tokens=3, cost_usd=0.5),
        model_span("small", span_id="c" * 16, system="be nice", input_tokens=4, output_tokens=5),
    )
    assert (read_names(found["models"]), read_names(found["tools"])) == (["large", "small"], ["search"])
    assert len(read_names(found["prompts"])) == 1
    assert (found["input_tokens"], found["output_tokens"], found["cost_usd"]) == (7, 5, 0.5)


def test_a_system_message_is_a_system_prompt_too():
    call = ModelCall(model="m", input=(Message(role="system", text="be nice"), Message(role="user", text="hi")))
    assert summary(span(model=call))["prompts"] == summary(model_span("m", system="be nice"))["prompts"]
    assert read_names(summary(model_span("m"))["prompts"]) == []


def test_tools_are_those_executed_else_those_asked_for():
    asked = ModelCall(model="m", output=(Message(role="assistant", tool_calls=(ToolCall(name="book"),)),))
    assert read_names(summary(span(model=asked))["tools"]) == ["book"]
    executed = span("b" * 16, tool=ToolCall(name="search"))
    assert read_names(summary(span(model=asked), executed)["tools"]) == ["search"]


def test_an_agent_that_used_nothing_has_no_names_and_no_known_cost():
    found = summary(span())
    assert [read_names(found[name]) for name in ("models", "tools", "prompts")] == [[], [], []]
    assert (found["input_tokens"], found["cost_usd"]) == (0, None)
    assert summary()["spans"] == 0


def test_names_are_bounded():
    many = [span(f"{number:016x}", tool=ToolCall(name=f"{number:03}" + "x" * 10_000)) for number in range(200)]
    names = read_names(summary(*many)["tools"])
    assert (len(names), {len(name) for name in names}) == (64, {200})
