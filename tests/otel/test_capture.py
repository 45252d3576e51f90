"""Capture in this process: real spans of the SDK, from threads, tasks and forked children, to the right episode."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode

from assay.core.trace import Span
from assay.otel.bounds import Bounds
from assay.otel.capture import SpanCapture
from assay.otel.normalize import normalize
from assay.otel.raw import NOTES, UNFINISHED, RawSpan, decode_raw, encode_raw
from tests.otel.made import OTHER_TRACE, TRACE, span_id

ROOT = span_id(77)
EPISODE = Span(span_id=ROOT, name="episode", start_ns=0, end_ns=0)


class Agent:
    """A provider of its own with our processor on it, so that the tests leave the global one alone."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.capture = SpanCapture(bounds) if bounds else SpanCapture()
        self.provider = TracerProvider(
            resource=Resource({"service.name": "agent"}), shutdown_on_exit=False, span_limits=SpanLimits(max_events=2)
        )
        self.provider.add_span_processor(self.capture.processor)
        self.tracer = self.provider.get_tracer("lib")

    def episode(self, trace_id: str = TRACE) -> list[RawSpan]:
        spans: list[RawSpan] = []
        self.capture.open(trace_id, spans.append)
        return spans


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.provider.shutdown()


def names(spans: list[RawSpan]) -> list[str]:
    return sorted(span.name for span in spans)


def test_everything_a_span_says_arrives(agent: Agent) -> None:
    spans = agent.episode()
    with (
        agent.capture.attached(TRACE, ROOT),
        agent.tracer.start_as_current_span(
            "work", kind=SpanKind.CLIENT, attributes={"a": 1, "list": ["x", "y"]}, start_time=1000
        ) as span,
    ):
        span.add_event("note", {"k": "v"}, timestamp=1500)
        span.set_status(Status(StatusCode.ERROR, "bad"))
        span.set_attribute("late", True)
    (raw,) = spans
    assert (raw.trace_id, raw.parent_id) == (TRACE, ROOT)
    assert (raw.name, raw.kind, raw.status, raw.status_message, raw.scope) == ("work", 3, 2, "bad", "lib")
    assert raw.start_ns == 1000 < raw.end_ns
    assert raw.attributes == {"a": 1, "list": ["x", "y"], "late": True}
    assert [(event.name, event.time_ns, event.attributes) for event in raw.events] == [("note", 1500, {"k": "v"})]
    assert raw.resource == {"service.name": "agent"}
    assert decode_raw(encode_raw(raw)) == raw
    assert agent.capture.close(TRACE) == ""


def test_children_know_their_parents(agent: Agent) -> None:
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT), agent.tracer.start_as_current_span("outer"):
        agent.tracer.start_span("inner").end()
    inner, outer = spans
    assert (inner.parent_id, outer.parent_id) == (outer.span_id, ROOT)


def test_spans_outside_of_any_episode_go_nowhere(agent: Agent) -> None:
    agent.tracer.start_span("before").end()
    spans = agent.episode()
    agent.capture.close(TRACE)
    agent.tracer.start_span("after").end()
    assert spans == []


def test_a_span_that_ends_after_its_episode_is_dropped(agent: Agent) -> None:
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT):
        late = agent.tracer.start_span("late")
    agent.capture.close(TRACE)
    late.end()
    assert [span.attributes for span in spans] == [{UNFINISHED: True}]


def test_open_spans_are_sent_as_unfinished_with_what_they_had(agent: Agent) -> None:
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT):
        agent.tracer.start_span("done").end()
        agent.tracer.start_span("open", attributes={"so far": 1})
    agent.capture.close(TRACE)
    assert [(span.name, span.is_finished) for span in spans] == [("done", True), ("open", False)]
    assert spans[1].end_ns == spans[1].start_ns
    assert spans[1].attributes["so far"] == 1


def test_new_traces_inside_an_episode_belong_to_it(agent: Agent) -> None:
    mine, other = agent.episode(), agent.episode(OTHER_TRACE)
    with agent.capture.attached(TRACE, ROOT), agent.tracer.start_as_current_span("own root", context=Context()):
        agent.tracer.start_span("child").end()
    assert names(mine) == ["child", "own root"]
    assert other == []
    assert mine[0].trace_id not in {TRACE, OTHER_TRACE}
    assert [span.parent_id for span in normalize(mine, trace_id=TRACE, root=EPISODE).spans[1:]] == [
        ROOT,
        mine[1].span_id,
    ]
    agent.capture.close(TRACE)
    agent.capture.close(OTHER_TRACE)


def test_threads_without_context_are_adopted_while_one_episode_runs_alone(agent: Agent) -> None:
    spans = agent.episode()

    def work() -> None:
        agent.tracer.start_span("in a thread").end()

    with agent.capture.attached(TRACE, ROOT):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert names(spans) == ["in a thread"]
    other = agent.episode(OTHER_TRACE)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(spans) == 1
    assert other == []
    assert agent.capture.notes == ("spans that began outside of every episode's context, not seen: 1",)


def test_episodes_in_tasks_do_not_mix(agent: Agent) -> None:
    async def play(number: int) -> tuple[str, list[RawSpan]]:
        trace_id = f"{number:032x}"
        spans = agent.episode(trace_id)
        with agent.capture.attached(trace_id, span_id(number)):
            for step in range(3):
                with agent.tracer.start_as_current_span(f"{number}.{step}"):
                    await asyncio.sleep(0)
                    await asyncio.gather(inside(number), asyncio.to_thread(threaded, number))
        agent.capture.close(trace_id)
        return trace_id, spans

    async def inside(number: int) -> None:
        with agent.tracer.start_as_current_span(f"{number}.async"):
            await asyncio.sleep(0)

    def threaded(number: int) -> None:
        agent.tracer.start_span(f"{number}.thread").end()

    async def every() -> list[tuple[str, list[RawSpan]]]:
        return await asyncio.gather(*(play(number) for number in range(1, 21)))

    for number, (trace_id, spans) in enumerate(asyncio.run(every()), start=1):
        assert len(spans) == 9
        assert {span.trace_id for span in spans} == {trace_id}
        assert {span.name.partition(".")[0] for span in spans} == {str(number)}


def test_a_forked_child_captures_with_what_was_installed_before(agent: Agent) -> None:
    read, write = os.pipe()

    def send(span: RawSpan) -> None:
        os.write(write, encode_raw(span))

    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            agent.capture.open(TRACE, send)
            with agent.capture.attached(TRACE, ROOT):
                agent.tracer.start_span("in the child").end()
            agent.capture.close(TRACE)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    span = decode_raw(data)
    assert (span.name, span.trace_id, span.parent_id) == ("in the child", TRACE, ROOT)


def test_values_that_no_encoding_holds_are_made_plain(agent: Agent) -> None:
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT):
        agent.tracer.start_span(
            "odd",
            attributes={"big": 2**70, "nan": float("nan"), "bad": "\ud800", "nul": "a\x00b", "bytes": b"ab"},
        ).end()
    (span,) = spans
    assert span.attributes == {"big": str(2**70), "nan": "NaN", "bad": "\\ud800", "nul": "a␀b", "bytes": "YWI="}
    encode_raw(span)


def test_megabytes_are_bounded_in_the_agents_own_process() -> None:
    agent = Agent(Bounds(text=100))
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT):
        agent.tracer.start_span("n" * 5000, attributes={"t": "x" * 5_000_000}).end()
    assert len(encode_raw(spans[0])) < 1000
    agent.provider.shutdown()


def test_what_the_sdk_dropped_is_noted(agent: Agent) -> None:
    spans = agent.episode()
    with agent.capture.attached(TRACE, ROOT), agent.tracer.start_as_current_span("s") as span:
        for number in range(5):
            span.add_event(str(number))
    assert spans[0].attributes == {NOTES: ["OpenTelemetry's own limits dropped 3 attributes and events"]}


def test_a_sink_that_fails_does_not_break_the_agent_and_is_told_of(agent: Agent) -> None:
    def sink(_: RawSpan) -> None:
        raise BrokenPipeError("the worker is gone")

    agent.capture.open(TRACE, sink)
    with agent.capture.attached(TRACE, ROOT):
        agent.tracer.start_span("a").end()
        agent.tracer.start_span("b").end()
    assert agent.capture.close(TRACE) == "spans that could not be captured: 2 (BrokenPipeError: the worker is gone)"


def test_attaching_leaves_the_context_as_it_was(agent: Agent) -> None:
    agent.episode()
    before = otel.get_current_span()
    with contextlib.suppress(KeyError), agent.capture.attached(TRACE, ROOT):
        inside = otel.get_current_span().get_span_context()
        assert (inside.trace_id, inside.span_id) == (int(TRACE, 16), int(ROOT, 16))
        assert inside.is_remote
        raise KeyError
    assert otel.get_current_span() is before
    assert agent.capture.close(TRACE) == ""
    assert agent.capture.close("ab" * 16) == ""


def test_a_closed_episode_is_not_kept_in_memory(agent: Agent) -> None:
    class Held:
        def __call__(self, span: RawSpan) -> None:
            """Take it."""

    held: Any = Held()
    agent.capture.open(TRACE, held)
    with agent.capture.attached(TRACE, ROOT):
        agent.tracer.start_span("own", context=Context()).end()
    agent.capture.close(TRACE)
    gc.collect()
    assert [each for each in gc.get_referrers(held) if type(each).__name__ == "_Episode"] == []
