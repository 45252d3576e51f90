from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest
from tests.harnesses.servers import Reply, Request, serve

from assay.core.errors import HarnessError
from assay.core.protocols import Attempt, Played
from assay.harnesses.collector import SpanCollector
from assay.harnesses.endpoint import Endpoint
from assay.harnesses.http import HttpHarness

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def export(port: int, traceparent: str, tools: int) -> None:
    """Do what an instrumented server does: a span for the request, spans for its tools, one export."""
    _, trace_id, parent, _ = traceparent.split("-")
    named = [{"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}}]
    spans: list[dict[str, Any]] = [
        {"traceId": trace_id, "spanId": f"{number + 1:016x}", "parentSpanId": parent if number == 0 else f"{1:016x}",
         "name": "serve" if number == 0 else "execute_tool book", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
         "attributes": named if number else []}
        for number in range(tools + 1)
    ]  # fmt: skip
    body = msgspec.json.encode({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n")
    writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def ask(attempts: list[Attempt], tools: int, *, hang: bool = False, wait_s: float = 10.0) -> list[Played]:
    """Play attempts at once against a server that exports its spans a moment after it has answered."""
    port, exports = free_port(), []

    def answer(request: Request) -> Reply:
        exports.append(asyncio.ensure_future(export(port, request.headers["traceparent"], tools)))
        return Reply("ok", hang=hang)

    async with serve(answer) as (address, _):
        harness = HttpHarness("desk", Endpoint(url=address, otlp_port=port, spans_wait_s=wait_s))
        played = await asyncio.gather(*(harness.play(each, None, None) for each in attempts))
        await asyncio.gather(*exports)
        await harness.close()
        return played


async def test_spans_of_a_remote_agent_reach_their_episode(attempt: Any):
    attempts = [msgspec.structs.replace(attempt(), trace_id=f"{number:032x}") for number in range(1, 4)]
    for at, played in zip(attempts, await ask(attempts, tools=2), strict=True):
        assert played.trace.trace_id == at.trace_id
        assert [span.name for span in played.trace.spans] == ["serve", "execute_tool book", "execute_tool book", "desk"]
        assert played.trace.root is not None
        assert played.trace.spans[0].parent_id == at.root_id
        assert len(played.trace.tool_calls) == 2


async def test_a_remote_agent_that_calls_too_many_tools_is_not_waited_for(attempt: Any):
    (played,) = await ask([attempt(tool_calls=1, wall_s=60.0)], tools=3, hang=True)
    assert played.failure is not None
    assert (played.failure.boundary, played.failure.kind) == ("limit", "tool_calls")


async def test_an_agent_that_sends_nothing_is_waited_for_only_so_long(attempt: Any):
    async with serve(lambda _: Reply("ok")) as (address, _):
        harness = HttpHarness("desk", Endpoint(url=address, otlp_port=free_port(), spans_wait_s=0.05))
        played = await harness.play(attempt(), None, None)
        await harness.close()
    assert (played.outputs, len(played.trace.spans)) == (("ok",), 1)


async def test_spans_of_strangers_are_dropped():
    port = free_port()
    collector = SpanCollector(port)
    await collector.open()
    await collector.open()
    seen: list[Any] = []
    collector.expect("1" * 32, seen.append)
    await export(port, f"00-{'2' * 32}-{'3' * 16}-01", 1)
    await export(port, f"00-{'1' * 32}-{'3' * 16}-01", 1)
    await collector.settle("1" * 32, 0.5)
    collector.forget("1" * 32)
    await export(port, f"00-{'1' * 32}-{'3' * 16}-01", 1)
    await collector.close()
    assert len(seen) == 2


async def test_a_port_that_is_taken_is_infrastructure(attempt: Any):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        harness = HttpHarness("desk", Endpoint(url="http://127.0.0.1:9", otlp_port=taken.getsockname()[1]))
        with pytest.raises(HarnessError, match="another worker or program has it"):
            await harness.play(attempt(), None, None)
