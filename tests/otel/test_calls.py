"""What counts: every call, token and cent once, in whatever order spans arrive and however often they were reported."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.trace import ToolCall
from assay.core.usage import NO_USAGE, Usage
from assay.otel.calls import CallTree, Report, Role, is_same_execution
from assay.otel.normalize import TraceBuilder, normalize
from assay.otel.raw import UNFINISHED, RawSpan
from tests.otel.made import agent, by_name, chat, raw, span_id, tool

SCENES: dict[str, tuple[list[RawSpan], dict[str, Any]]] = {
    "two calls": (
        [chat(1, tokens=(3, 1)), chat(2, tokens=(5, 2))],
        {"model_calls": 2, "input_tokens": 8, "output_tokens": 3},
    ),
    "an agent repeats the sum of its calls": (
        [agent(1, tokens=(8, 3)), chat(2, 1, tokens=(3, 1)), chat(3, 1, tokens=(5, 2))],
        {"model_calls": 2, "input_tokens": 8, "output_tokens": 3},
    ),
    "agents and chains in between repeat it again": (
        [agent(1, tokens=(8, 3)), raw(2, 1), agent(3, 2, tokens=(8, 3)), chat(4, 3, tokens=(8, 3))],
        {"model_calls": 1, "input_tokens": 8, "output_tokens": 3},
    ),
    "two instrumentations see one call": (
        [chat(1, tokens=(8, 3)), raw(2, 1), chat(3, 2, tokens=(8, 3))],
        {"model_calls": 1, "input_tokens": 8, "output_tokens": 3},
    ),
    "the inner one saw no usage": (
        [chat(1, tokens=(8, 3), cost=0.5), chat(2, 1)],
        {"model_calls": 1, "input_tokens": 8, "output_tokens": 3, "cost_usd": 0.5},
    ),
    "only the outer one knows the price": (
        [chat(1, tokens=(8, 3), cost=0.5), chat(2, 1, tokens=(8, 3))],
        {"model_calls": 1, "input_tokens": 8, "output_tokens": 3, "cost_usd": 0.5},
    ),
    "an agent that reports usage without tracing its calls": (
        [agent(1, tokens=(8, 3)), tool(2, 1)],
        {"model_calls": 1, "tool_calls": 1, "input_tokens": 8, "output_tokens": 3},
    ),
    "a call inside a tool is not the call around it": (
        [chat(1, tokens=(8, 3)), tool(2, 1), chat(3, 2, tokens=(4, 1))],
        {"model_calls": 2, "tool_calls": 1, "input_tokens": 12, "output_tokens": 4},
    ),
    "an agent whose calls all run inside tools": (
        [agent(1, tokens=(4, 1)), tool(2, 1), chat(3, 2, tokens=(4, 1))],
        {"model_calls": 1, "tool_calls": 1, "input_tokens": 4, "output_tokens": 1},
    ),
    "agents as tools, no calls traced": (
        [agent(1, tokens=(8, 3)), tool(2, 1), agent(3, 2, tokens=(4, 1))],
        {"model_calls": 2, "tool_calls": 1, "input_tokens": 12, "output_tokens": 4},
    ),
    "embeddings count too": (
        [raw(1, 0, {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 6})],
        {"model_calls": 1, "input_tokens": 6},
    ),
    "one execution reported by two spans": (
        [tool(1, name="f", arguments={"a": 1}), tool(2, 1, name="f")],
        {"tool_calls": 1},
    ),
    "three spans of one execution": (
        [tool(1, name="f"), tool(2, 1, name="f"), tool(3, 2, name="f")],
        {"tool_calls": 1},
    ),
    "a tool that calls itself with other arguments": (
        [tool(1, name="f", arguments={"a": 1}), tool(2, 1, name="f", arguments={"a": 2})],
        {"tool_calls": 2},
    ),
    "a tool that calls another": ([tool(1, name="f"), tool(2, 1, name="g")], {"tool_calls": 2}),
    "the cost of nothing is known": (
        [chat(1, tokens=(1, 1), cost=0.0)],
        {"model_calls": 1, "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.0},
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_scenes_count_the_same_in_every_order(scene: str) -> None:
    spans, expected = SCENES[scene]
    for order in itertools.permutations(spans):
        builder = TraceBuilder()
        for span in order:
            builder.add(span)
        assert builder.usage == Usage(**expected)
        assert builder.build().usage == Usage(**expected)


def test_usage_that_only_the_wrapper_knows_goes_to_the_last_call_inside() -> None:
    trace = normalize([chat(1, tokens=(8, 3)), chat(2, 1), chat(3, 1)])
    assert [call.usage.input_tokens for call in trace.model_calls] == [0, 8]


def test_a_wrapper_is_a_chain_and_keeps_its_numbers_as_sent() -> None:
    wrapper = by_name(normalize([chat(1, tokens=(8, 3)), chat(2, 1, tokens=(8, 3))]))["span 1"]
    assert (wrapper.kind, wrapper.model) == ("chain", None)
    assert wrapper.attributes["gen_ai.usage.input_tokens"] == 8
    assert wrapper.attributes["gen_ai.operation.name"] == "chat"


def test_content_that_only_the_wrapper_has_moves_to_the_call() -> None:
    content = {"gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'}
    trace = normalize([chat(1, attributes=content), chat(2, 1, tokens=(8, 3))])
    wrapper, call = trace.spans
    assert call.model is not None
    assert call.model.input[0].text == "hi"
    assert (wrapper.input, wrapper.output) == (None, None)
    assert "gen_ai.input.messages" not in wrapper.attributes


def test_two_spans_of_one_execution_complete_each_other() -> None:
    outer = tool(1, name="f", attributes={"gen_ai.tool.call.id": "c"})
    inner = tool(2, 1, name="f", arguments={"a": 1}, attributes={"gen_ai.tool.call.result": "done"})
    trace = normalize([inner, outer])
    assert trace.tool_calls == (ToolCall(name="f", id="c", arguments={"a": 1}, result="done", span_id=span_id(1)),)
    assert trace.spans[1].kind == "internal"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ToolCall(name="f"), ToolCall(name="f"), True),
        (ToolCall(name="f"), ToolCall(name="g"), False),
        (ToolCall(name="f", id="a"), ToolCall(name="f"), True),
        (ToolCall(name="f", id="a"), ToolCall(name="f", id="b"), False),
        (ToolCall(name="f", arguments={}), ToolCall(name="f", arguments={"a": 1}), False),
    ],
)
def test_same_execution(one: ToolCall, other: ToolCall, *, same: bool) -> None:
    assert is_same_execution(one, other) is same


def test_requested_calls_count_where_no_execution_was_traced() -> None:
    calls = '[{"role": "assistant", "parts": [{"type": "tool_call", "id": "a", "name": "f"}, {"type": "tool_call", "id": "b", "name": "g"}]}]'
    builder = TraceBuilder()
    builder.add(chat(1, attributes={"gen_ai.output.messages": calls}))
    assert builder.usage.tool_calls == builder.build().usage.tool_calls == 2
    builder.add(tool(2))
    assert builder.usage.tool_calls == builder.build().usage.tool_calls == 1


def test_the_finished_version_of_a_span_replaces_the_unfinished_one() -> None:
    builder = TraceBuilder()
    builder.add(chat(1, attributes={UNFINISHED: True}, end_ns=1000))
    builder.add(chat(1, tokens=(3, 1)))
    builder.add(chat(1, attributes={UNFINISHED: True}, end_ns=1000))
    assert builder.usage == builder.build().usage == Usage(input_tokens=3, output_tokens=1, model_calls=1)


def test_a_replaced_tool_is_counted_once() -> None:
    tree = CallTree()
    report = Report(role=Role.tool, usage=NO_USAGE, tool=ToolCall(name="f"))
    for _ in range(3):
        tree.add(("t", "a"), ("t", ""), report)
    assert tree.usage.tool_calls == 1


def test_circles_of_parents_end() -> None:
    tree = CallTree()
    report = Report(role=Role.model, usage=Usage(input_tokens=1))
    tree.add(("t", "a"), ("t", "b"), report)
    tree.add(("t", "b"), ("t", "a"), report)
    tree.add(("t", "c"), ("t", "c"), report)
    assert tree.usage.input_tokens <= 3


@st.composite
def forests(draw: st.DrawFn) -> list[RawSpan]:
    """Random trees of agents, calls, tools and plain spans with random usage."""
    spans: list[RawSpan] = []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        parent = draw(st.integers(0, number - 1))
        tokens = draw(st.sampled_from([None, None, (3, 1), (number, 2)]))
        make = draw(st.sampled_from(["chat", "agent", "tool", "raw"]))
        if make == "chat":
            spans.append(chat(number, parent, tokens=tokens, cost=draw(st.sampled_from([None, 0.5]))))
        elif make == "agent":
            spans.append(agent(number, parent, tokens=tokens))
        elif make == "tool":
            spans.append(tool(number, parent, name=draw(st.sampled_from("fg"))))
        else:
            spans.append(raw(number, parent))
    return spans


@settings(max_examples=200)
@given(forests(), st.randoms(use_true_random=False))
def test_the_running_count_is_the_count_of_the_trace(spans: list[RawSpan], shuffler: random.Random) -> None:
    in_order = normalize(spans)
    shuffler.shuffle(spans)
    builder = TraceBuilder()
    for span in spans:
        builder.add(span)
    assert builder.build() == in_order
    assert builder.usage == in_order.usage


@given(forests())
def test_no_token_counts_twice_and_none_is_invented(spans: list[RawSpan]) -> None:
    trace = normalize(spans)
    reported = [
        span.attributes["gen_ai.usage.input_tokens"] for span in spans if "gen_ai.usage.input_tokens" in span.attributes
    ]
    assert trace.usage.input_tokens <= sum(reported)
    assert (trace.usage.input_tokens > 0) == bool(reported)
    assert len(trace.spans) == len(spans)


def test_a_long_chain_is_counted_in_linear_time() -> None:
    builder = TraceBuilder()
    for number in range(10_000, 0, -1):
        builder.add(chat(number, number - 1, tokens=(1, 1)))
        assert builder.usage.model_calls == 1
    assert builder.build().usage == Usage(input_tokens=1, output_tokens=1, model_calls=1)
