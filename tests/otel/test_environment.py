"""The environment that makes a program send its spans: tried on a real one."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from assay.core.trace import Span
from assay.otel.environment import content_environment, exporter_environment
from assay.otel.normalize import normalize
from assay.otel.raw import RawSpan
from assay.otel.receiver import Receiver
from tests.otel.made import TRACE, span_id

ROOT = Span(span_id=span_id(9), name="episode", start_ns=0, end_ns=0)
SET_UP = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("program")
parent = TraceContextTextMapPropagator().extract({"traceparent": os.environ["TRACEPARENT"]})
"""
FOLLOWS = "tracer.start_span('work', context=parent).end()"
IGNORES = "tracer.start_span('work').end()"
CRASHES = FOLLOWS + "\nimport time; time.sleep(1); os._exit(3)"


def spans_of(program: str) -> list[RawSpan]:
    """Run a program with the environment and return what it sent."""

    async def main() -> list[RawSpan]:
        spans: list[RawSpan] = []
        receiver = Receiver(spans.extend)
        listener = socket.create_server(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await receiver.start(listener)
        environment = {"PATH": os.environ["PATH"]} | exporter_environment(endpoint, TRACE, ROOT.span_id)
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", SET_UP + program, env=environment)
        await child.wait()
        await receiver.close()
        return spans

    return asyncio.run(main())


def test_a_program_that_follows_traceparent_joins_the_trace() -> None:
    (span,) = spans_of(FOLLOWS)
    assert (span.trace_id, span.parent_id) == (TRACE, ROOT.span_id)


def test_a_program_that_ignores_traceparent_is_adopted() -> None:
    (span,) = spans_of(IGNORES)
    assert span.trace_id != TRACE
    trace = normalize([span], trace_id=TRACE, root=ROOT)
    assert [each.parent_id for each in trace.spans] == ["", ROOT.span_id]


def test_spans_are_sent_soon_enough_to_survive_a_crash() -> None:
    assert [span.name for span in spans_of(CRASHES)] == ["work"]


def test_content_is_asked_for_where_our_readers_look() -> None:
    content = content_environment()
    assert content["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] == "SPAN_ONLY"
    assert content.items() <= exporter_environment("http://127.0.0.1:1", TRACE, ROOT.span_id).items()
