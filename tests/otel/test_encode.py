"""Export: what is written in current names reads back as what it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from assay.core.trace import Message, ModelCall, Span, SpanEvent, ToolCall, Trace
from assay.core.usage import Usage
from assay.otel.decode import decode_json, decode_json_lines, decode_protobuf
from assay.otel.encode import encode_json_line, encode_json_spans, encode_protobuf, encode_protobuf_spans, to_raw
from assay.otel.normalize import normalize, normalize_all
from assay.otel.raw import RawSpan, is_id
from tests.otel.made import OTHER_TRACE, TRACE, agent, chat, event, raw, span_id, tool

words = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12).filter(
    lambda text: text[:1] not in {"{", "[", '"'} and text.lstrip()[:1] not in {"{", "[", '"'}
)
some_words = words.filter(bool)
numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(some_words, inner, max_size=3)),
    max_leaves=8,
)
something = json_values.filter(lambda value: value is not None)
calls = st.builds(
    ToolCall, name=some_words, arguments=json_values, id=words.map(lambda text: f"call {text}"), result=st.none()
)
own_attributes = st.dictionaries(some_words.map(lambda word: f"app.{word}"), json_values, max_size=3)
attachments = st.lists(st.builds(lambda word: {"type": "uri", "uri": word}, some_words), max_size=2).map(tuple)
said = st.one_of(
    st.builds(Message, role=st.sampled_from(["user", "critic"]), text=some_words, name=words, attachments=attachments),
    st.builds(
        Message,
        role=st.just("assistant"),
        text=words,
        reasoning=some_words,
        tool_calls=st.lists(calls, max_size=2, unique_by=lambda call: call.id).map(tuple),
    ),
    st.builds(Message, role=st.just("tool"), text=some_words, tool_call_id=some_words),
)
conversations = st.lists(said, max_size=3).map(tuple)
usages = st.builds(
    Usage,
    input_tokens=st.integers(50, 99),
    output_tokens=st.integers(20, 99),
    cache_read_tokens=st.integers(0, 20),
    cache_write_tokens=st.integers(0, 20),
    reasoning_tokens=st.integers(0, 20),
    cost_usd=st.one_of(st.none(), st.floats(0, 10)),
)
models = st.builds(
    ModelCall,
    model=some_words,
    provider=words,
    parameters=st.dictionaries(st.sampled_from(["temperature", "seed", "stop_sequences"]), something, max_size=2),
    system=words,
    tools=st.lists(st.fixed_dictionaries({"name": some_words}, optional={"x": json_values}), max_size=2).map(tuple),
    input=conversations,
    output=conversations,
    usage=usages,
    finish_reasons=st.lists(some_words, max_size=2).map(tuple),
)
KINDS = ("agent", "chain", "client", "internal", "retrieval", "server")


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    spans: list[Span] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        content: dict[str, Any] = {"kind": draw(st.sampled_from((*KINDS, "llm", "embedding", "tool")))}
        if content["kind"] in {"llm", "embedding"}:
            content["model"] = draw(models)
        elif content["kind"] == "tool":
            error = draw(words)
            executed = draw(calls)
            content["tool"] = msgspec.structs.replace(
                executed, result=draw(json_values), error=error, span_id=span_id(number)
            )
        else:
            content |= {"input": draw(json_values), "output": draw(json_values)}
        if content["kind"] != "tool":
            status, message = draw(st.sampled_from([("unset", ""), ("ok", ""), ("error", "bad")]))
            content |= {"status": status, "status_message": message}
        spans.append(
            Span(
                span_id=span_id(number),
                parent_id=span_id(number - 1) if number % 2 == 0 and spans[-1].kind == "internal" else "",
                name=draw(some_words),
                start_ns=number,
                end_ns=number + draw(st.integers(0, 9)),
                attributes=draw(own_attributes),
                events=(SpanEvent(name="e", time_ns=3, attributes=draw(own_attributes)),)
                if draw(st.booleans())
                else (),
                **content,
            )
        )
    return Trace(
        trace_id=TRACE, spans=tuple(spans), resource=draw(own_attributes), dropped_spans=draw(st.integers(0, 3))
    )


@settings(max_examples=200)
@given(traces())
def test_a_trace_survives_the_round_trip(trace: Trace) -> None:
    for batch in (decode_json(encode_json_line(trace)), decode_protobuf(encode_protobuf(trace))):
        assert batch.rejected == 0
        assert normalize(batch.spans) == trace


WRAPPED = {
    "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "uri", "uri": "u"}]}]',
    "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f"}]}]',
}


@pytest.mark.parametrize(
    "spans",
    [
        [chat(1, tokens=(8, 3), attributes=WRAPPED), chat(2, 1, tokens=(8, 3), attributes=WRAPPED)],
        [chat(1, tokens=(8, 3), attributes=WRAPPED), chat(2, 1, tokens=(8, 3))],
        [agent(1, tokens=(8, 3), attributes=WRAPPED), chat(2, 1, tokens=(8, 3), attributes=WRAPPED)],
        [agent(1, tokens=(8, 3), attributes=WRAPPED), tool(2, 1)],
        [tool(1, name="f", arguments={"a": 1}), tool(2, 1, name="f", arguments={"a": 1})],
    ],
    ids=["wrapper", "donor", "agent", "agent that is its own call", "repeated tool"],
)
def test_spans_that_do_not_count_still_do_not_after_the_round_trip(spans: list[RawSpan]) -> None:
    trace = normalize(spans)
    assert normalize(decode_json(encode_json_line(trace)).spans) == trace


TRIP = Trace(
    trace_id=TRACE,
    spans=(
        Span(
            span_id=span_id(1),
            name="invoke_agent concierge",
            start_ns=1,
            end_ns=9,
            kind="agent",
            input="hi",
            output={"a": 1},
        ),
        Span(
            span_id=span_id(2),
            parent_id=span_id(1),
            name="chat gpt",
            start_ns=2,
            end_ns=3,
            kind="llm",
            status="ok",
            model=ModelCall(
                model="gpt-1",
                provider="openai",
                parameters={"model": "gpt", "temperature": 0.5},
                system="be nice",
                input=(Message(role="user", text="hi"),),
                output=(Message(role="assistant", tool_calls=(ToolCall(name="f", arguments={"x": 1}, id="c"),)),),
                usage=Usage(input_tokens=5, output_tokens=2, cost_usd=0.01),
                finish_reasons=("tool_calls",),
            ),
            attributes={"gen_ai.response.id": "r", "otel.scope.name": "lib"},
        ),
        Span(
            span_id=span_id(3),
            parent_id=span_id(1),
            name="execute_tool f",
            start_ns=4,
            end_ns=5,
            kind="tool",
            tool=ToolCall(name="f", arguments={"x": 1}, id="c", result=[1, 2], span_id=span_id(3)),
            events=(SpanEvent(name="note", time_ns=4, attributes={"k": "v"}),),
        ),
    ),
    resource={"service.name": "agent"},
)


def test_names_are_current_ones_and_content_is_json_text() -> None:
    root, call, executed = to_raw(TRIP)
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "gpt-1",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cost": 0.01,
        "gen_ai.system_instructions": '[{"type":"text","content":"be nice"}]',
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
        "gen_ai.output.messages": (
            '[{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"f","arguments":{"x":1}}]}]'
        ),
    }
    assert (call.scope, call.kind, call.status) == ("lib", 3, 1)
    assert executed.attributes["gen_ai.tool.call.result"] == "[1,2]"
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "input.value": "hi",
        "input.mime_type": "text/plain",
        "output.value": '{"a":1}',
        "output.mime_type": "application/json",
    }


def test_the_json_is_otlp_json() -> None:
    line = json.loads(encode_json_line(TRIP))
    (first, second) = line["resourceSpans"]
    span = second["scopeSpans"][0]["spans"][0]
    assert second["scopeSpans"][0]["scope"] == {"name": "lib"}
    assert (span["traceId"], span["spanId"], span["parentSpanId"]) == (TRACE, span_id(2), span_id(1))
    assert (span["startTimeUnixNano"], span["kind"], span["status"]) == ("2", 3, {"code": 1, "message": ""})
    tokens = next(pair for pair in span["attributes"] if pair["key"] == "gen_ai.usage.input_tokens")
    assert tokens == {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "5"}}
    assert first["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "agent"}}]
    assert b"\n" not in encode_json_line(TRIP)


def test_the_protobuf_is_the_protocols_own() -> None:
    request = ExportTraceServiceRequest.FromString(encode_protobuf(TRIP))
    assert [span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans] == [
        "invoke_agent concierge",
        "execute_tool f",
        "chat gpt",
    ]


def test_lines_of_several_traces_make_a_file() -> None:
    other = msgspec.structs.replace(TRIP, trace_id=OTHER_TRACE)
    data = encode_json_line(TRIP) + b"\n" + encode_json_line(other) + b"\n"
    assert normalize_all(decode_json_lines(data).spans) == [TRIP, other]


@pytest.mark.parametrize("bad", ["", "my trace", "0" * 32, "\ud800"])
def test_traces_written_by_hand_get_valid_ids(bad: str) -> None:
    trace = Trace(
        trace_id=bad,
        spans=(
            Span(span_id="root", name="r", start_ns=0, end_ns=0),
            Span(span_id="child", parent_id="root", name="c", start_ns=1, end_ns=0, attributes={"t": (1, 2)}),
        ),
    )
    root, child = to_raw(trace)
    assert is_id(root.trace_id, 32)
    assert is_id(root.span_id, 16)
    assert child.parent_id == root.span_id
    assert decode_protobuf(encode_protobuf(trace)).spans == decode_json(encode_json_line(trace)).spans == [root, child]


def test_raw_spans_survive_both_encodings() -> None:
    spans = [
        raw(1, attributes={"n": None, "l": [], "m": {}, "f": -0.5, "b": False, "deep": {"l": [{"x": [1]}]}}),
        raw(2, 1, scope="a", resource={"r": 1}, events=(event("e", 7, k="v"),), status=2, status_message="bad"),
    ]
    assert decode_json(encode_json_spans(spans)).spans == spans
    assert decode_protobuf(encode_protobuf_spans(spans)).spans == spans
