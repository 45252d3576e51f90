"""Traces: the same spans give the same trace, whoever they claim to be."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.trace import Span, Trace
from assay.otel.normalize import TraceBuilder, normalize, normalize_all
from assay.otel.raw import RawSpan, accept
from tests.otel.made import OTHER_TRACE, TRACE, agent, by_name, chat, event, raw, span_id, tool

ROOT = Span(span_id=span_id(99), name="episode", start_ns=0, end_ns=10_000, kind="agent", input="hi", output="ho")


def parents(trace: Trace) -> dict[str, str]:
    names = {span.span_id: span.name for span in trace.spans}
    return {span.name: names.get(span.parent_id, span.parent_id) for span in trace.spans}


def test_spans_come_in_order_of_their_start_and_parents_before_children() -> None:
    same = [raw(3, 2, start_ns=5, end_ns=6), raw(2, 1, start_ns=5, end_ns=7), raw(1, 0, start_ns=5, end_ns=8)]
    later = [raw(5, 1, start_ns=9, end_ns=9), raw(4, 1, start_ns=7, end_ns=9)]
    for order in itertools.permutations([*same, *later]):
        assert [span.name for span in normalize(order).spans] == ["span 1", "span 2", "span 3", "span 4", "span 5"]


def test_a_trace_without_our_root_keeps_parents_as_sent() -> None:
    trace = normalize([raw(1, 7), raw(2, 1)])
    assert parents(trace) == {"span 1": span_id(7), "span 2": "span 1"}
    assert trace.root is not None
    assert trace.root.name == "span 1"
    assert trace.trace_id == TRACE


def test_orphans_and_foreign_traces_are_adopted_by_the_root() -> None:
    spans = [
        raw(1, 99),
        raw(2, 77),
        raw(3, 0, trace_id=OTHER_TRACE),
        raw(4, 3, trace_id=OTHER_TRACE),
        raw(5, 2, trace_id=OTHER_TRACE),
    ]
    trace = normalize(spans, trace_id=TRACE, root=ROOT)
    assert parents(trace) == {
        "episode": "",
        "span 1": "episode",
        "span 2": "episode",
        "span 3": "episode",
        "span 4": "span 3",
        "span 5": "episode",
    }
    assert trace.root == ROOT
    assert trace.trace_id == TRACE


def test_the_same_span_id_in_two_traces_is_two_spans() -> None:
    mine = [tool(1, 0, name="mine"), raw(2, 1, name="my child")]
    foreign = [tool(1, 0, name="theirs", trace_id=OTHER_TRACE), raw(3, 1, name="their child", trace_id=OTHER_TRACE)]
    for order in itertools.permutations([*mine, *foreign]):
        trace = normalize(order, trace_id=TRACE, root=ROOT)
        assert len({span.span_id for span in trace.spans}) == 5
        assert by_name(trace)["my child"].parent_id == span_id(1)
        theirs = next(span for span in trace.spans if span.tool is not None and span.tool.name == "theirs")
        assert by_name(trace)["their child"].parent_id == theirs.span_id != span_id(1)
        assert theirs.tool is not None
        assert theirs.tool.span_id == theirs.span_id


def test_nobody_else_can_be_the_root() -> None:
    trace = normalize([raw(99, 0, name="impostor"), raw(2, 99, name="child")], trace_id=TRACE, root=ROOT)
    assert parents(trace) == {"episode": "", "impostor": "episode", "child": "episode"}
    assert trace.root == ROOT


@pytest.mark.parametrize("root", [None, ROOT])
def test_circles_are_opened_at_their_earliest_span(root: Span | None) -> None:
    spans = [raw(1, 3), raw(2, 1), raw(3, 2), raw(4, 3), raw(5, 5)]
    top = "" if root is None else "episode"
    for order in itertools.permutations(spans):
        found = parents(normalize(order, root=root))
        found.pop("episode", None)
        assert found == {"span 1": top, "span 2": "span 1", "span 3": "span 2", "span 4": "span 3", "span 5": top}


def test_a_span_sent_twice_is_one_span() -> None:
    first, second = raw(1, attributes={"v": 1}), raw(1, attributes={"v": 2})
    assert normalize([first, first]).spans == normalize([first]).spans
    assert normalize([first, second]) == normalize([second, first])
    later = raw(1, attributes={"v": 3}, end_ns=9000)
    assert normalize([later, first]).spans[0].attributes == {"v": 3}


def test_spans_beyond_the_limit_are_counted() -> None:
    trace = normalize([raw(number) for number in range(1, 8)], max_spans=3)
    assert (len(trace.spans), trace.dropped_spans) == (3, 4)


def test_content_beyond_the_limit_is_dropped_and_counted() -> None:
    builder = TraceBuilder(max_chars=1000)
    for number in range(1, 5):
        builder.add(raw(number, events=(event("e", 1, text="x" * 400),)))
    assert builder.dropped == 2
    assert len(builder.build().spans) == 2


def test_resources_are_merged_and_the_first_span_wins() -> None:
    spans = [
        raw(2, resource={"service.name": "b", "host.name": "h"}),
        raw(1, resource={"service.name": "a", "telemetry.sdk.language": "python"}),
    ]
    assert normalize(spans).resource == {"service.name": "a", "telemetry.sdk.language": "python", "host.name": "h"}


def test_events_come_in_time_order() -> None:
    span = normalize([raw(1, events=(event("b", 2), event("a", 1)))]).spans[0]
    assert [each.name for each in span.events] == ["a", "b"]


def test_many_traces_at_once() -> None:
    traces = normalize_all([raw(1), raw(2, trace_id=OTHER_TRACE), raw(3, 1)])
    assert [(trace.trace_id, len(trace.spans)) for trace in traces] == [(TRACE, 2), (OTHER_TRACE, 1)]


def test_nothing_gives_an_empty_trace_or_the_root_alone() -> None:
    assert normalize([], trace_id=TRACE) == Trace(trace_id=TRACE)
    assert normalize([], trace_id=TRACE, root=ROOT).spans == (ROOT,)


def test_the_conversation_of_an_agent_without_model_calls() -> None:
    trace = normalize([raw(1, 99)], trace_id=TRACE, root=ROOT)
    assert [(message.role, message.text) for message in trace.messages] == [("user", "hi"), ("assistant", "ho")]


names = st.sampled_from(
    [
        "gen_ai.operation.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "gen_ai.request.model",
        "gen_ai.request.temperature",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cost",
        "gen_ai.response.finish_reasons",
        "gen_ai.prompt.0.role",
        "gen_ai.prompt.0.tool_calls.0.name",
        "gen_ai.prompt",
        "gen_ai.completion.0.content",
        "traceloop.span.kind",
        "traceloop.entity.input",
        "openinference.span.kind",
        "llm.input_messages.0.message.content",
        "llm.input_messages.0.message.tool_calls.3.tool_call.function",
        "llm.invocation_parameters",
        "llm.token_count.prompt",
        "llm.cost.prompt",
        "llm.tools.0.tool",
        "retrieval.documents.0.document",
        "input.value",
        "input.mime_type",
        "output.value",
        "ai.operationId",
        "ai.prompt.messages",
        "ai.response.toolCalls",
        "ai.response.text",
        "ai.settings.x",
        "tool_arguments",
        "error.type",
    ]
)
hostile = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=6),
        st.sampled_from(
            ["chat", "execute_tool", "tool", "LLM", "ai.toolCall", '[{"role": "user", "content": [', "[[]]"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["role", "parts", "type", "content", "function", "name"]), inner, max_size=3),
    ),
    max_leaves=8,
)


@st.composite
def hostile_spans(draw: st.DrawFn) -> list[RawSpan]:
    spans: list[RawSpan] = []
    for _ in range(draw(st.integers(0, 6))):
        attributes = draw(st.dictionaries(names, st.one_of(hostile, hostile.map(json.dumps)), max_size=8))
        messages = draw(
            st.lists(
                st.tuples(
                    st.sampled_from(
                        ["gen_ai.choice", "gen_ai.user.message", "gen_ai.client.inference.operation.details"]
                    ),
                    st.dictionaries(
                        st.sampled_from(["content", "message", "gen_ai.event.content"]), hostile, max_size=2
                    ),
                ),
                max_size=2,
            )
        )
        spans.append(
            accept(
                raw(
                    draw(st.integers(1, 5)),
                    draw(st.integers(0, 5)),
                    attributes,
                    trace_id=draw(st.sampled_from([TRACE, OTHER_TRACE])),
                    status=draw(st.integers(0, 2)),
                    events=tuple(event(name, 1, **body) for name, body in messages),
                )
            )
        )
    return spans


@settings(max_examples=300)
@given(hostile_spans(), st.sampled_from([None, ROOT]), st.randoms(use_true_random=False))
def test_nothing_that_spans_can_hold_makes_it_raise(
    spans: list[RawSpan], root: Span | None, shuffler: random.Random
) -> None:
    trace = normalize(spans, trace_id=TRACE, root=root)
    shuffler.shuffle(spans)
    again = normalize(spans, trace_id=TRACE, root=root)
    assert again == trace
    assert msgspec.json.decode(msgspec.json.encode(trace), type=Trace) == trace
    assert trace.usage.tokens >= 0
    assert isinstance(trace.messages, tuple)
    ids = [span.span_id for span in trace.spans]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("shape", ["chain", "circle", "star"])
def test_ten_thousand_hostile_spans_are_one_trace(shape: str) -> None:
    count = 10_000
    below: dict[str, Any] = {
        "chain": lambda n: n - 1,
        "circle": lambda n: n - 1 or count,
        "star": lambda n: 1 if n > 1 else 0,
    }
    makers = (chat, agent, tool)
    spans = [makers[number % 3](number, below[shape](number)) for number in range(1, count + 1)]
    trace = normalize(spans, trace_id=TRACE, root=ROOT)
    assert len(trace.spans) == count + 1
    assert trace.root == ROOT
