"""OTLP payloads: both encodings of one request give the same spans, and nothing that is sent can break the decoder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from assay.otel.bounds import Bounds
from assay.otel.decode import Batch, decode_json, decode_json_lines, decode_protobuf
from assay.otel.raw import NOTES, MalformedSpansError, RawEvent, encode_raw
from tests.otel.made import TRACE, span_id

SPAN: dict[str, Any] = {
    "traceId": TRACE.upper(),
    "spanId": span_id(2),
    "parentSpanId": span_id(1),
    "name": "chat gpt",
    "kind": 3,
    "startTimeUnixNano": "1700000000000000001",
    "endTimeUnixNano": 1700000000500000000,
    "attributes": [
        {"key": "text", "value": {"stringValue": "é"}},
        {"key": "yes", "value": {"boolValue": True}},
        {"key": "big", "value": {"intValue": "9007199254740993"}},
        {"key": "small", "value": {"intValue": -3}},
        {"key": "half", "value": {"doubleValue": 0.5}},
        {"key": "whole", "value": {"doubleValue": 2}},
        {"key": "bytes", "value": {"bytesValue": "YWI="}},
        {"key": "nothing", "value": {}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
        {
            "key": "map",
            "value": {
                "kvlistValue": {"values": [{"key": "k", "value": {"kvlistValue": {"values": []}}}]},
            },
        },
    ],
    "droppedAttributesCount": 2,
    "events": [
        {
            "name": "exception",
            "timeUnixNano": "1700000000000000002",
            "attributes": [{"key": "exception.message", "value": {"stringValue": "no"}}],
        }
    ],
    "status": {"code": 2, "message": "bad"},
}


def request(*spans: Any, scope: str = "lib") -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]},
                "scopeSpans": [{"scope": {"name": scope, "version": "1"}, "spans": list(spans)}],
            }
        ]
    }


def as_json(*spans: Any) -> Batch:
    return decode_json(json.dumps(request(*spans)).encode())


def protobuf() -> bytes:
    """The same span, built with the protocol's own classes."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "agent"
    scoped = group.scope_spans.add()
    scoped.scope.name = "lib"
    span = scoped.spans.add(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(span_id(2)),
        parent_span_id=bytes.fromhex(span_id(1)),
        name="chat gpt",
        kind=3,
        start_time_unix_nano=1700000000000000001,
        end_time_unix_nano=1700000000500000000,
        dropped_attributes_count=2,
    )
    span.status.MergeFrom(Status(code=Status.STATUS_CODE_ERROR, message="bad"))
    for key, field, value in (
        ("text", "string_value", "é"),
        ("yes", "bool_value", True),
        ("big", "int_value", 9007199254740993),
        ("small", "int_value", -3),
        ("half", "double_value", 0.5),
        ("whole", "double_value", 2.0),
        ("bytes", "bytes_value", b"ab"),
    ):
        setattr(span.attributes.add(key=key).value, field, value)
    span.attributes.add(key="nothing")
    items = span.attributes.add(key="list").value.array_value.values
    items.add().string_value = "a"
    items.add().int_value = 1
    inner = span.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    inner.value.kvlist_value.SetInParent()
    event = span.events.add(name="exception", time_unix_nano=1700000000000000002)
    event.attributes.add(key="exception.message").value.string_value = "no"
    return message.SerializeToString()


def test_json_and_protobuf_say_the_same() -> None:
    assert as_json(SPAN).spans == decode_protobuf(protobuf()).spans


def test_every_field_arrives() -> None:
    (span,) = as_json(SPAN).spans
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE, span_id(2), span_id(1))
    assert (span.name, span.kind, span.status, span.status_message) == ("chat gpt", 3, 2, "bad")
    assert (span.start_ns, span.end_ns) == (1700000000000000001, 1700000000500000000)
    assert span.attributes == {
        "text": "é",
        "yes": True,
        "big": 9007199254740993,
        "small": -3,
        "half": 0.5,
        "whole": 2.0,
        "bytes": "YWI=",
        "nothing": None,
        "list": ["a", 1],
        "map": {"k": {}},
        NOTES: ["OpenTelemetry's own limits dropped 2 attributes and events"],
    }
    message = {"exception.message": "no"}
    assert span.events == (RawEvent(name="exception", time_ns=1700000000000000002, attributes=message),)
    assert (span.resource, span.scope) == ({"service.name": "agent"}, "lib")


def test_enum_names_are_accepted_like_their_numbers() -> None:
    named = SPAN | {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR", "message": "bad"}}
    assert as_json(named).spans == as_json(SPAN).spans


@pytest.mark.parametrize(
    "broken",
    [
        {"traceId": "xyz"},
        {"spanId": None},
        {"spanId": "0" * 16},
        {"traceId": 7},
    ],
)
def test_one_malformed_span_does_not_cost_the_others(broken: dict[str, Any]) -> None:
    batch = as_json(SPAN, SPAN | broken, "no span at all", SPAN | {"spanId": span_id(9)})
    assert [span.span_id for span in batch.spans] == [span_id(2), span_id(9)]
    assert batch.rejected == 2


def test_odd_fields_do_not_cost_the_span() -> None:
    odd = SPAN | {
        "attributes": [3, {"key": "a", "value": "bare"}, {"value": {"stringValue": "no key"}}, {"key": "b"}],
        "events": {"not": "a list"},
        "status": "ok",
        "kind": "?",
        "startTimeUnixNano": "soon",
    }
    (span,) = as_json(odd).spans
    assert span.attributes["a"] == "bare"
    assert (span.start_ns, span.kind, span.status, span.events) == (0, 0, 0, ())


def test_spans_beyond_the_limit_are_rejected_and_counted() -> None:
    spans = [SPAN | {"spanId": span_id(number)} for number in range(1, 8)]
    batch = decode_json(json.dumps(request(*spans)).encode(), limit=3)
    assert (len(batch.spans), batch.rejected) == (3, 4)


def test_bounds_hold_for_what_is_decoded() -> None:
    long = SPAN | {"attributes": [{"key": "t", "value": {"stringValue": "x" * 5000}}]}
    (span,) = decode_json(json.dumps(request(long)).encode(), bounds=Bounds(text=100)).spans
    assert span.attributes["t"].endswith("… [cut 4940 characters]")


def test_nested_values_are_cut_at_the_depth() -> None:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    (span,) = as_json(SPAN | {"attributes": [{"key": "d", "value": value}]}).spans
    assert "cut: nested deeper" in json.dumps(span.attributes["d"], ensure_ascii=False)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"7", b'{"resourceSpans": 3}', b'"\xff"', b'{"resourceSpans": [' + b"[" * 100_000],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedSpansError):
        decode_json(data)


def test_a_request_without_spans_is_empty() -> None:
    assert decode_json(b"{}") == decode_protobuf(b"") == Batch(spans=[])


def test_a_file_is_read_line_by_line_and_a_bad_line_is_named() -> None:
    line = json.dumps(request(SPAN)).encode()
    assert len(decode_json_lines(line + b"\n\n" + line + b"\n").spans) == 2
    assert decode_json_lines(line + b"\n" + line, limit=1).rejected == 1
    with pytest.raises(MalformedSpansError, match="line 2"):
        decode_json_lines(line + b"\n{oops\n")


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["key", "value", "values", "stringValue", "arrayValue", "kvlistValue", "intValue", "bytesValue", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)
spans = st.fixed_dictionaries({}, optional=dict.fromkeys(SPAN, json_values)).map(lambda odd: SPAN | odd)


@given(st.lists(st.one_of(spans, json_values), max_size=3))
def test_random_spans_never_crash_the_decoder(found: list[Any]) -> None:
    batch = as_json(*found)
    assert len(batch.spans) + batch.rejected == len(found)
    for span in batch.spans:
        encode_raw(span)


@given(json_values)
def test_random_json_never_crashes_the_decoder(value: Any) -> None:
    try:
        decode_json(json.dumps(value).encode())
    except MalformedSpansError:
        return


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_protobuf_is_refused_or_read_but_never_crashes(noise: bytes, place: int) -> None:
    whole = protobuf()
    for data in (noise, whole[:place], whole[:place] + noise + whole[place + len(noise) :]):
        try:
            batch = decode_protobuf(data)
        except MalformedSpansError:
            continue
        for span in batch.spans:
            encode_raw(span)
