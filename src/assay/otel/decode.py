"""OTLP trace payloads, protobuf and JSON, into raw spans."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from assay.otel.bounds import DEFAULT_BOUNDS, Bounds
from assay.otel.raw import NOTES, MalformedSpansError, RawEvent, RawSpan, accept, dropped_note

_KINDS = {
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
}
_STATUS = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_ANY_DEPTH = 40


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one export request held."""

    spans: list[RawSpan]
    """The spans that were accepted, in the order sent."""
    rejected: int = 0
    """Spans that were not: malformed, or beyond the limit."""


def decode_protobuf(data: bytes, *, limit: int = 10_000, bounds: Bounds = DEFAULT_BOUNDS) -> Batch:
    """Decode a binary `ExportTraceServiceRequest`. Raises `MalformedSpansError` when it is none.

    A span that is malformed by itself is rejected alone. At most `limit` spans are accepted.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise MalformedSpansError(f"not an OTLP trace request: {error}") from error
    return _accept_all(_protobuf_spans(request), limit, bounds)


def decode_json(data: bytes, *, limit: int = 10_000, bounds: Bounds = DEFAULT_BOUNDS) -> Batch:
    """Decode the JSON form of an `ExportTraceServiceRequest`: hex ids, 64-bit integers as strings or numbers.

    Raises `MalformedSpansError` when it is none; a span that is malformed by itself is rejected alone.
    """
    try:
        request = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise MalformedSpansError(f"not JSON: {error}") from error
    if not isinstance(request, dict) or not isinstance(request.get("resourceSpans", []), list):
        raise MalformedSpansError("not an OTLP trace request: there is no list `resourceSpans`")
    return _accept_all(_json_spans(request), limit, bounds)


def decode_json_lines(data: bytes, *, limit: int = 100_000, bounds: Bounds = DEFAULT_BOUNDS) -> Batch:
    """Decode a file of OTLP JSON, one request a line. Raises `MalformedSpansError` that names the line."""
    spans: list[RawSpan] = []
    rejected = 0
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                batch = decode_json(line, limit=limit - len(spans), bounds=bounds)
            except MalformedSpansError as error:
                raise MalformedSpansError(f"line {number}: {error}") from error
            spans += batch.spans
            rejected += batch.rejected
    return Batch(spans=spans, rejected=rejected)


def _accept_all(found: Iterable[RawSpan | None], limit: int, bounds: Bounds) -> Batch:
    spans: list[RawSpan] = []
    rejected = 0
    for span in found:
        if span is None or len(spans) >= limit:
            rejected += 1
            continue
        try:
            spans.append(accept(span, bounds))
        except MalformedSpansError:
            rejected += 1
    return Batch(spans=spans, rejected=rejected)


def _protobuf_spans(request: Any) -> Iterator[RawSpan]:
    for group in request.resource_spans:
        resource = _protobuf_attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = scoped.scope.name
            for span in scoped.spans:
                yield RawSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.kind,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    status=span.status.code,
                    status_message=span.status.message,
                    attributes=_noted(
                        _protobuf_attributes(span.attributes),
                        span.dropped_attributes_count + span.dropped_events_count,
                    ),
                    events=tuple(
                        RawEvent(
                            name=event.name,
                            time_ns=event.time_unix_nano,
                            attributes=_protobuf_attributes(event.attributes),
                        )
                        for event in span.events
                    ),
                    resource=resource,
                    scope=scope,
                )


def _noted(attributes: dict[str, Any], dropped: int) -> dict[str, Any]:
    if dropped > 0:
        attributes[NOTES] = [dropped_note(dropped)]
    return attributes


def _protobuf_attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _protobuf_value(pair.value) for pair in pairs}


def _protobuf_value(value: Any) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_protobuf_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: _protobuf_value(pair.value) for pair in value.kvlist_value.values}
    return None if which is None else getattr(value, which)


def _json_spans(request: Mapping[str, Any]) -> Iterator[RawSpan | None]:
    for group in _objects(request.get("resourceSpans")):
        resource = _json_attributes(_object(group.get("resource")).get("attributes"))
        for scoped in _objects(group.get("scopeSpans")):
            scope = _text(_object(scoped.get("scope")).get("name"))
            for span in _list(scoped.get("spans")):
                yield _json_span(span, resource, scope) if isinstance(span, dict) else None


def _json_span(span: Mapping[str, Any], resource: dict[str, Any], scope: str) -> RawSpan:
    status = _object(span.get("status"))
    return RawSpan(
        trace_id=_text(span.get("traceId")).lower(),
        span_id=_text(span.get("spanId")).lower(),
        parent_id=_text(span.get("parentSpanId")).lower(),
        name=_text(span.get("name")),
        kind=_enum(span.get("kind"), _KINDS),
        start_ns=_integer(span.get("startTimeUnixNano")),
        end_ns=_integer(span.get("endTimeUnixNano")),
        status=_enum(status.get("code"), _STATUS),
        status_message=_text(status.get("message")),
        attributes=_noted(
            _json_attributes(span.get("attributes")),
            _integer(span.get("droppedAttributesCount")) + _integer(span.get("droppedEventsCount")),
        ),
        events=tuple(
            RawEvent(
                name=_text(event.get("name")),
                time_ns=_integer(event.get("timeUnixNano")),
                attributes=_json_attributes(event.get("attributes")),
            )
            for event in _objects(span.get("events"))
        ),
        resource=resource,
        scope=scope,
    )


def _json_attributes(pairs: Any, depth: int = 0) -> dict[str, Any]:
    return {_text(pair.get("key")): _json_value(pair.get("value"), depth) for pair in _objects(pairs)}


def _json_value(value: Any, depth: int) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return None if value == {} else value
    ((which, held),) = value.items()
    if depth >= _ANY_DEPTH:
        return f"… [cut: nested deeper than {_ANY_DEPTH} levels]"
    if which == "arrayValue":
        return [_json_value(item, depth + 1) for item in _list(_object(held).get("values"))]
    if which == "kvlistValue":
        return _json_attributes(_object(held).get("values"), depth + 1)
    convert = _SCALARS.get(which)
    return value if convert is None else convert(held)


def _decoded_bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except (binascii.Error, ValueError):
        return value


def _decoded_int(value: Any) -> Any:
    return int(value) if _is_integer(value) else value


def _decoded_double(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else value


def _as_is(value: Any) -> Any:
    return value


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii()
    return isinstance(value, int) and not isinstance(value, bool)


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": _as_is,
    "boolValue": _as_is,
    "intValue": _decoded_int,
    "doubleValue": _decoded_double,
    "bytesValue": _decoded_bytes,
}


def _integer(value: Any) -> int:
    return int(value) if _is_integer(value) else 0


def _enum(value: Any, names: Mapping[str, int]) -> int:
    return names.get(value, 0) if isinstance(value, str) else _integer(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]
