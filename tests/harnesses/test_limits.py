from __future__ import annotations

from typing import Any

import pytest

from assay.core.usage import Limits
from assay.harnesses.limits import LimitWatch, out_of_memory, timed_out
from assay.otel.raw import RawSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(number: int, **attributes: Any) -> RawSpan:
    return RawSpan(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id="",
        name="s",
        kind=1,
        start_ns=number,
        end_ns=number + 1,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )


def tool(number: int) -> RawSpan:
    return span(number, gen_ai__operation__name="execute_tool", gen_ai__tool__name="book")


def model(number: int) -> RawSpan:
    return span(
        number,
        gen_ai__operation__name="chat",
        gen_ai__request__model="m",
        gen_ai__usage__input_tokens=60,
        gen_ai__usage__output_tokens=40,
        gen_ai__usage__cost=0.5,
    )


@pytest.mark.parametrize(
    ("limits", "spans", "kind", "message"),
    [
        (
            Limits(tool_calls=2),
            [tool(n) for n in range(1, 5)],
            "tool_calls",
            "stopped after 3 tool calls (limit tool_calls = 2)",
        ),
        (Limits(tokens=150), [model(1), tool(2), model(3)], "tokens", "stopped after 200 tokens (limit tokens = 150)"),
    ],
)
def test_the_span_that_passes_a_limit_ends_the_episode(limits: Limits, spans: list[RawSpan], kind: str, message: str):
    watch = LimitWatch(limits, TRACE)
    failures = [watch.add(each) for each in spans]
    first = next(index for index, failure in enumerate(failures) if failure is not None)
    assert first == 2
    assert failures[2] == watch.failure
    assert watch.failure is not None
    assert (watch.failure.boundary, watch.failure.kind, watch.failure.message) == ("limit", kind, message)
    assert len(watch.builder.build().spans) == len(spans)


def test_what_just_reaches_a_limit_is_within_it():
    watch = LimitWatch(Limits(tool_calls=2, tokens=100), TRACE)
    assert [watch.add(each) for each in (tool(1), tool(2), model(3))] == [None, None, None]


def test_without_limits_nothing_ends_an_episode():
    watch = LimitWatch(Limits(), TRACE)
    assert all(watch.add(tool(number)) is None for number in range(1, 50))


def test_spans_beyond_the_bound_are_counted():
    watch = LimitWatch(Limits(spans=3), TRACE)
    for number in range(1, 6):
        watch.add(tool(number))
    trace = watch.builder.build()
    assert (len(trace.spans), trace.dropped_spans) == (3, 2)


def test_the_words_for_time_and_memory():
    assert timed_out(Limits(wall_s=30)).message == "stopped after 30.0 s (limit wall_s = 30)"
    assert (
        out_of_memory(Limits(memory_mb=512)).message == "stopped after asking for more memory (limit memory_mb = 512)"
    )
