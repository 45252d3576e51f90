"""Raw spans: the stream from the agent's process is not to be trusted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.otel.bounds import Bounds
from assay.otel.raw import NOTES, UNFINISHED, MalformedSpansError, RawSpan, accept, decode_raw, encode_raw
from tests.otel.made import TRACE, event, raw, span_id


def test_a_span_survives_the_stream() -> None:
    span = raw(
        7,
        3,
        {"a": "é", "b": [1, 2.5, None, True], "c": {"d": {}}},
        events=(event("exception", 12, **{"exception.message": "no"}),),
        resource={"service.name": "agent"},
        scope="lib",
        status=2,
        status_message="bad",
    )
    assert decode_raw(encode_raw(accept(span))) == span


@pytest.mark.parametrize(
    "given",
    [
        {"trace_id": ""},
        {"trace_id": "0" * 32},
        {"trace_id": "g" * 32},
        {"trace_id": TRACE.upper()},
        {"trace_id": "ab" + "_" * 28 + "cd"},
        {"span_id": "0" * 16},
        {"span_id": "abc"},
        {"span_id": " " + "a" * 15},
    ],
)
def test_a_span_without_valid_ids_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(MalformedSpansError, match="no valid ids"):
        accept(raw(**given))


@pytest.mark.parametrize(
    ("given", "start", "end", "note"),
    [
        ({"start_ns": 10, "end_ns": 4}, 10, 10, "ended 6 ns before"),
        ({"start_ns": -5, "end_ns": 2**70}, 0, 2**63 - 1, "clamped"),
        ({"start_ns": 10, "end_ns": 0}, 10, 10, ""),
        ({"start_ns": 0, "end_ns": 0}, 0, 0, ""),
    ],
)
def test_absurd_times_are_set_right_and_noted(given: dict[str, Any], start: int, end: int, note: str) -> None:
    span = accept(raw(**given))
    assert (span.start_ns, span.end_ns) == (start, end)
    assert note in "".join(span.attributes.get(NOTES, []))


def test_a_malformed_parent_is_dropped_with_a_note_and_zeros_mean_none() -> None:
    assert accept(raw(parent_id="0" * 16)) == raw()
    span = accept(raw(parent_id="not an id"))
    assert span.parent_id == ""
    assert "parent id" in span.attributes[NOTES][0]


def test_notes_of_the_sender_are_kept_beside_ours() -> None:
    span = accept(raw(attributes={NOTES: ["dropped 3"]}, parent_id="x"))
    assert len(span.attributes[NOTES]) == 2


def test_sizes_are_bounded_with_marks() -> None:
    bounds = Bounds(keys=10, events=3, text=100)
    span = accept(
        raw(
            name="n" * 1000,
            attributes={f"k{i}": "v" * 500 for i in range(50)},
            events=tuple(event(f"e{i}") for i in range(50)),
            status_message="m" * 500,
            kind=77,
            status=9,
        ),
        bounds,
    )
    assert len(span.attributes) == 10
    assert span.attributes["…"] == "[cut 41 entries]"
    assert span.attributes["k0"].endswith("… [cut 440 characters]")
    assert [each.name for each in span.events] == ["e0", "e1", "… [cut 48 events]"]
    assert len(span.name) <= bounds.key
    assert len(span.status_message) <= 100
    assert (span.kind, span.status) == (0, 0)


def test_unfinished_spans_say_so() -> None:
    assert raw().is_finished
    assert not raw(attributes={UNFINISHED: True}).is_finished


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_accepted_but_never_crash(data: bytes) -> None:
    try:
        span = decode_raw(data)
    except MalformedSpansError:
        return
    assert accept(span) == span


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(st.text(), st.integers(0, 9)), inner, max_size=5)
    ),
    max_leaves=15,
)


@given(st.lists(anything, max_size=14))
def test_random_structures_never_crash(fields: list[Any]) -> None:
    try:
        decode_raw(msgspec.msgpack.encode(fields))
    except MalformedSpansError:
        return


@given(attributes=anything, resource=anything, times=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_well_formed_spans_with_odd_content_are_accepted(
    attributes: Any, resource: Any, times: tuple[int, int]
) -> None:
    fields = [TRACE, span_id(1), "", "n", 1, *times, 0, "", {"a": attributes}, [["e", times[0], {"a": resource}]], {}]
    span = decode_raw(msgspec.msgpack.encode(fields))
    assert span.end_ns >= span.start_ns >= 0
    msgspec.json.encode(span)


def test_nesting_beyond_any_stack_is_refused() -> None:
    with pytest.raises(MalformedSpansError):
        decode_raw(b"\x91" * 200_000)
    deep = msgspec.msgpack.encode([TRACE, span_id(1), "", "n", 1, 0, 0, 0, ""])
    nested = b"\x9a" + deep[1:] + b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(MalformedSpansError):
        decode_raw(nested)


def test_the_encoding_is_small() -> None:
    assert len(encode_raw(raw())) < 100
    assert isinstance(decode_raw(encode_raw(raw())), RawSpan)
