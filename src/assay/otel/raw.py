"""Spans as instrumentation sent them, before anything is understood. Hostile input: every door in bounds and checks."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.errors import AssayError
from assay.otel.bounds import DEFAULT_BOUNDS, Bounder, Bounds

NOTES = "assay.notes"
"""Attribute in which assay says what it had to change to accept a span."""
UNFINISHED = "assay.unfinished"
"""Attribute that marks a span that had not ended when its episode did."""

_HEX = "0123456789abcdef"
_TIME_MAX = 2**63 - 1


class MalformedSpansError(AssayError):
    """Telemetry that cannot be decoded: the sender's fault, never the episode's."""


class RawEvent(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An event inside a span."""

    name: str
    """Event name."""
    time_ns: int
    """Unix time in nanoseconds."""
    attributes: dict[str, Any]
    """Attributes as sent."""


class RawSpan(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One span as sent, bounded. Small to encode: it streams from the agent's process to the worker."""

    trace_id: str
    """32 lower-case hex digits, not all zero."""
    span_id: str
    """16 lower-case hex digits, not all zero."""
    parent_id: str
    """The same for the parent; empty for a root."""
    name: str
    """Span name."""
    kind: int
    """OTLP `SpanKind`: 1 internal, 2 server, 3 client, 4 producer, 5 consumer, 0 unspecified."""
    start_ns: int
    """Unix time in nanoseconds, in [0, 2^63)."""
    end_ns: int
    """Unix time in nanoseconds, never before `start_ns`."""
    status: int = 0
    """OTLP status code: 0 unset, 1 ok, 2 error."""
    status_message: str = ""
    """Description that came with the status."""
    attributes: dict[str, Any] = {}
    """Attributes as sent: JSON values."""
    events: tuple[RawEvent, ...] = ()
    """Events in the order sent."""
    resource: dict[str, Any] = {}
    """Attributes of the resource."""
    scope: str = ""
    """Name of the instrumentation scope."""

    @property
    def is_finished(self) -> bool:
        """Whether the span had ended when it was sent."""
        return self.attributes.get(UNFINISHED) is not True


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RawSpan)


def accept(span: RawSpan, bounds: Bounds = DEFAULT_BOUNDS) -> RawSpan:
    """Return the span checked and bounded, with a note in `assay.notes` for every change.

    Raises `MalformedSpansError` when its trace id or span id is none.
    """
    if not is_id(span.trace_id, 32) or not is_id(span.span_id, 16):
        raise MalformedSpansError(f"a span has no valid ids: trace {span.trace_id[:64]!r}, span {span.span_id[:64]!r}")
    notes: list[str] = []
    parent = span.parent_id
    if parent and not is_id(parent, 16):
        if parent.strip("0"):
            notes.append("the parent id was no span id and was dropped")
        parent = ""
    start, end = _times(span.start_ns, span.end_ns, notes)
    bounder = Bounder(bounds)
    attributes = bounder.attributes(span.attributes)
    if notes:
        sent = attributes.get(NOTES)
        attributes[NOTES] = [*sent, *notes] if isinstance(sent, list) else notes
    return RawSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=parent,
        name=bounder.name(span.name),
        kind=span.kind if 0 <= span.kind <= 5 else 0,
        start_ns=start,
        end_ns=end,
        status=span.status if 0 <= span.status <= 2 else 0,
        status_message=bounder.text(span.status_message),
        attributes=attributes,
        events=_events(span.events, bounder, bounds.events, start),
        resource=bounder.attributes(span.resource),
        scope=bounder.name(span.scope),
    )


def dropped_note(count: int) -> str:
    """Say that OpenTelemetry's SDK dropped something before we saw it."""
    return f"OpenTelemetry's own limits dropped {count} attributes and events"


def encode_raw(span: RawSpan) -> bytes:
    """Encode an accepted span as MessagePack."""
    return _encoder.encode(span)


def decode_raw(data: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> RawSpan:
    """Decode and accept one span. Raises `MalformedSpansError`."""
    try:
        span = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise MalformedSpansError(f"not a span: {error}") from error
    return accept(span, bounds)


def is_id(value: str, size: int) -> bool:
    """Whether a value is an id of so many hex digits, not all zero."""
    # a value of the right length that still holds something after its hex digits are stripped from both ends is none
    return len(value) == size and not value.strip(_HEX) and bool(value.strip("0"))


def _times(start: int, end: int, notes: list[str]) -> tuple[int, int]:
    if not (0 <= start <= _TIME_MAX and 0 <= end <= _TIME_MAX):
        notes.append("times outside 0..2^63 ns were clamped")
        start, end = (min(max(time, 0), _TIME_MAX) for time in (start, end))
    if end < start:
        if end:
            notes.append(f"it ended {start - end} ns before it started; the end was set to the start")
        end = start
    return start, end


def _events(events: tuple[RawEvent, ...], bounder: Bounder, limit: int, start: int) -> tuple[RawEvent, ...]:
    if not events:
        return ()
    keep = events if len(events) <= limit else events[: limit - 1]
    kept = [
        RawEvent(
            name=bounder.name(event.name),
            time_ns=min(max(event.time_ns, 0), _TIME_MAX),
            attributes=bounder.attributes(event.attributes),
        )
        for event in keep
    ]
    if len(keep) < len(events):
        cut = len(events) - len(keep)
        kept.append(RawEvent(name=f"… [cut {cut} events]", time_ns=start, attributes={}))
    return tuple(kept)
