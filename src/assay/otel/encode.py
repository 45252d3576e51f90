"""Traces out: core values to raw spans in current GenAI names, raw spans to OTLP JSON or protobuf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from assay.core.trace import Span, Trace
from assay.otel.genai import write
from assay.otel.normalize import DROPPED
from assay.otel.raw import RawEvent, RawSpan, accept, is_id
from assay.otel.spans import SCOPE

_KINDS = {"client": 3, "server": 2, "llm": 3, "embedding": 3, "retrieval": 3}
_SCALARS = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
_STATUS = {"ok": 1, "error": 2}


def to_raw(trace: Trace) -> list[RawSpan]:
    """Return the spans of a trace as instrumentation would send them, bounded; ids that are none are replaced."""
    resource = dict(trace.resource)
    if trace.dropped_spans:
        resource[DROPPED] = trace.dropped_spans
    trace_id = _id(trace.trace_id or "trace", 32)
    return [_raw(span, trace_id, resource) for span in trace.spans]


def encode_json_line(trace: Trace) -> bytes:
    """Return one line of OTLP JSON: an `ExportTraceServiceRequest` with the whole trace, no newline."""
    return encode_json_spans(to_raw(trace))


def encode_protobuf(trace: Trace) -> bytes:
    """Return a binary `ExportTraceServiceRequest` with the whole trace."""
    return encode_protobuf_spans(to_raw(trace))


def encode_json_spans(spans: Iterable[RawSpan]) -> bytes:
    """Return the spans as one line of OTLP JSON."""
    groups = [
        {
            "resource": {"attributes": _json_attributes(resource)},
            "scopeSpans": [{"scope": {"name": scope}, "spans": [_json_span(span) for span in members]}],
        }
        for resource, scope, members in _grouped(spans)
    ]
    return msgspec.json.encode({"resourceSpans": groups})


def encode_protobuf_spans(spans: Iterable[RawSpan]) -> bytes:
    """Return the spans as a binary `ExportTraceServiceRequest`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    for resource, scope, members in _grouped(spans):
        group = request.resource_spans.add()
        _fill(group.resource.attributes, resource)
        scoped = group.scope_spans.add()
        scoped.scope.name = scope
        for raw in members:
            _fill_span(scoped.spans.add(), raw)
    return request.SerializeToString()


def _raw(span: Span, trace_id: str, resource: dict[str, Any]) -> RawSpan:
    attributes = write(span)
    scope = attributes.pop(SCOPE, "")
    return accept(
        RawSpan(
            trace_id=trace_id,
            span_id=_id(span.span_id or "span", 16),
            parent_id=_id(span.parent_id, 16),
            name=span.name,
            kind=_KINDS.get(span.kind, 1),
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            status=_STATUS.get(span.status, 0),
            status_message=span.status_message,
            attributes=attributes,
            events=tuple(
                RawEvent(name=event.name, time_ns=event.time_ns, attributes=event.attributes) for event in span.events
            ),
            resource=resource,
            scope=scope if isinstance(scope, str) else "",
        )
    )


def _id(value: str, size: int) -> str:
    """Return an id as OpenTelemetry wants it; a trace that was written by hand may have others."""
    if not value or is_id(value, size):
        return value
    return hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=size // 2).hexdigest()


def _grouped(spans: Iterable[RawSpan]) -> list[tuple[dict[str, Any], str, list[RawSpan]]]:
    groups: dict[tuple[bytes, str], tuple[dict[str, Any], str, list[RawSpan]]] = {}
    for span in spans:
        key = (msgspec.msgpack.encode(span.resource), span.scope)
        groups.setdefault(key, (span.resource, span.scope, []))[2].append(span)
    return list(groups.values())


def _json_span(span: RawSpan) -> dict[str, Any]:
    written: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _json_attributes(span.attributes),
    }
    if span.parent_id:
        written["parentSpanId"] = span.parent_id
    if span.status or span.status_message:
        written["status"] = {"code": span.status, "message": span.status_message}
    if span.events:
        written["events"] = [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_ns),
                "attributes": _json_attributes(event.attributes),
            }
            for event in span.events
        ]
    return written


def _json_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_value(value)} for key, value in attributes.items()]


def _json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _json_attributes(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_value(item) for item in value]}}
    if value is None:
        return {}
    return {_SCALARS[type(value)]: str(value) if type(value) is int else value}


def _fill_span(written: Any, span: RawSpan) -> None:
    written.trace_id = bytes.fromhex(span.trace_id)
    written.span_id = bytes.fromhex(span.span_id)
    written.parent_span_id = bytes.fromhex(span.parent_id)
    written.name = span.name
    written.kind = span.kind
    written.start_time_unix_nano = span.start_ns
    written.end_time_unix_nano = span.end_ns
    if span.status or span.status_message:
        written.status.code = span.status
        written.status.message = span.status_message
    _fill(written.attributes, span.attributes)
    for event in span.events:
        target = written.events.add()
        target.name = event.name
        target.time_unix_nano = event.time_ns
        _fill(target.attributes, event.attributes)


def _fill(pairs: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        pair = pairs.add()
        pair.key = key
        _fill_value(pair.value, value)


def _fill_value(target: Any, value: Any) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        _fill(target.kvlist_value.values, value)
    elif value is not None:
        target.array_value.SetInParent()
        for item in value:
            _fill_value(target.array_value.values.add(), item)
