"""The receiver: the real exporter, hand-written requests, and clients that mean harm."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from assay.otel.encode import encode_json_spans, encode_protobuf_spans
from assay.otel.raw import RawSpan
from assay.otel.receiver import Receiver, ReceiverLimits
from tests.otel.made import raw, span_id

SPANS = [raw(1, attributes={"a": "é"}), raw(2, 1)]
JSON, PROTOBUF = "application/json", "application/x-protobuf"


class Served:
    """A receiver on a loopback port, what it received, and a way to talk to it."""

    def __init__(self, limits: ReceiverLimits | None) -> None:
        self.batches: list[list[RawSpan]] = []
        self.receiver = Receiver(self.batches.append, limits)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    @property
    def spans(self) -> list[RawSpan]:
        return [span for batch in self.batches for span in batch]

    async def exchange(self, data: bytes, *, until_closed: bool = True) -> list[tuple[h11.Response, bytes]]:
        """Send bytes as they are and read answers until the server closes or, else, until it answered once."""
        answers: list[tuple[h11.Response, bytes]] = []
        async with connected(self.port) as (reader, writer), asyncio.timeout(20):
            writer.write(data)
            if until_closed:
                writer.write_eof()
            while (answer := await read_answer(reader)) is not None:
                answers.append(answer)
                if not until_closed:
                    break
        return answers

    async def post(
        self, body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces", **headers: str
    ) -> tuple[int, str, bytes]:
        ((head, answer),) = await self.exchange(request(body, kind, path, **headers), until_closed=False)
        return head.status_code, dict(head.headers)[b"content-type"].decode(), answer


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> tuple[h11.Response, bytes] | None:
    """Read one answer byte by byte, so that nothing of the next one is swallowed; None when there is none."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    head, body = None, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(1)
            if not data:
                assert head is None, "the connection broke in the middle of an answer"
                return None
            client.receive_data(data)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return head, body


def request(body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces", method: str = "POST", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}"]
    if "transfer_encoding" not in headers:
        lines.append(f"Content-Length: {headers.pop('content_length', len(body))}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(limits: ReceiverLimits | None = None) -> AsyncGenerator[Served]:
    served = Served(limits)
    await served.receiver.start(served.listener)
    try:
        yield served
    finally:
        await served.receiver.close()


def with_receiver(test: Callable[[Served], Awaitable[None]], limits: ReceiverLimits | None = None) -> Served:
    async def main() -> Served:
        async with serving(limits) as served:
            await test(served)
            return served

    return asyncio.run(main())


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8", PROTOBUF])
def test_both_formats_plain_and_compressed(kind: str, encoding: str) -> None:
    encode = encode_protobuf_spans if kind == PROTOBUF else encode_json_spans
    headers = {"Content_Encoding": encoding} if encoding else {}

    async def test(served: Served) -> None:
        status, answer_kind, body = await served.post(ENCODINGS[encoding](encode(SPANS)), kind, **headers)
        assert (status, answer_kind, body) == (200, kind.partition(";")[0], b"{}" if JSON in kind else b"")

    assert with_receiver(test).batches == [SPANS]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_the_real_exporter(processor: Any, compression: Compression) -> None:
    def export(port: int) -> None:
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces", compression=compression)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor(exporter))
        tracer = provider.get_tracer("agent")
        for number in range(40):
            with tracer.start_as_current_span(f"outer {number}", attributes={"n": number}):
                tracer.start_span("inner", attributes={"text": "x" * 2000}).end()
        assert provider.force_flush()
        provider.shutdown()

    async def test(served: Served) -> None:
        await asyncio.to_thread(export, served.port)

    served = with_receiver(test)
    assert len(served.spans) == 80
    assert {span.scope for span in served.spans} == {"agent"}
    assert {span.resource["telemetry.sdk.language"] for span in served.spans} == {"python"}
    assert served.receiver.refused_requests == served.receiver.rejected_spans == 0


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_logs_and_metrics_are_accepted_and_ignored(path: str, kind: str) -> None:
    async def test(served: Served) -> None:
        assert await served.post(b"whatever", kind, path) == (200, kind, b"{}" if kind == JSON else b"")

    assert with_receiver(test).batches == []


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"body": b"\xff\xff\xff"}, 400),
        ({"body": b"{oops", "kind": JSON}, 400),
        ({"body": b"not gzip", "Content_Encoding": "gzip"}, 400),
        ({"body": gzip.compress(b"{}" * 99)[:-20], "kind": JSON, "Content_Encoding": "gzip"}, 400),
        ({"body": b"", "path": "/"}, 404),
        ({"body": b"", "path": "/v1/traces/more"}, 404),
        ({"body": b"x" * 5000}, 413),
        ({"body": gzip.compress(b" " * 900_000), "kind": JSON, "Content_Encoding": "gzip"}, 413),
        ({"body": zlib.compress(b" " * 900_000), "kind": JSON, "Content_Encoding": "deflate"}, 413),
        ({"body": b"", "kind": "text/plain"}, 415),
        ({"body": b"", "Content_Encoding": "br"}, 415),
    ],
)
def test_refusals(given: dict[str, Any], status: int) -> None:
    async def test(served: Served) -> None:
        kind = given.get("kind", PROTOBUF)
        found, answer_kind, body = await served.post(**given)
        assert found == status
        if kind == JSON:
            assert json.loads(body)["message"]
        else:
            # google.rpc.Status: field 2, length, text
            assert (answer_kind, body[0], body[1]) == (PROTOBUF, 0x12, len(body) - 2)
        assert (await served.post(encode_json_spans(SPANS), JSON))[0] == 200

    served = with_receiver(test, ReceiverLimits(body=4000, decompressed=4000))
    assert served.batches == [SPANS]
    assert served.receiver.refused_requests == (status != 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_posts_are_taken(method: str) -> None:
    async def test(served: Served) -> None:
        line = f"{method} /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        async with connected(served.port) as (reader, writer):
            writer.write(line)
            assert (await reader.readline()).startswith(b"HTTP/1.1 405")

    assert with_receiver(test).batches == []


def test_bad_spans_are_told_in_partial_success() -> None:
    good = json.loads(encode_json_spans(SPANS))
    good["resourceSpans"][0]["scopeSpans"][0]["spans"].append({"traceId": "bad"})

    async def test(served: Served) -> None:
        status, _, body = await served.post(json.dumps(good).encode(), JSON)
        assert status == 200
        assert json.loads(body)["partialSuccess"]["rejectedSpans"] == "1"
        status, _, body = await served.post(encode_protobuf_spans([raw(number) for number in range(1, 6)]))
        assert ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans == 2

    served = with_receiver(test, ReceiverLimits(spans=3))
    assert len(served.spans) == 5
    assert served.receiver.rejected_spans == 3


def test_one_connection_serves_many_requests() -> None:
    bodies = [encode_protobuf_spans([raw(number)]) for number in range(1, 6)]

    async def test(served: Served) -> None:
        answers = await served.exchange(b"".join(request(body) for body in bodies))
        assert [head.status_code for head, _ in answers] == [200] * 5

    assert [span.span_id for span in with_receiver(test).spans] == [span_id(number) for number in range(1, 6)]


def test_chunked_bodies() -> None:
    body = encode_json_spans(SPANS)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:]))

    async def test(served: Served) -> None:
        assert (await served.post(chunks + b"0\r\n\r\n", JSON, transfer_encoding="chunked"))[0] == 200

    assert with_receiver(test).batches == [SPANS]


def test_a_chunked_body_without_end_is_refused_at_the_limit() -> None:
    async def test(served: Served) -> None:
        head = request(b"", JSON, transfer_encoding="chunked")
        ((answer, _),) = await served.exchange(head + b"1000\r\n" + b" " * 4096 + b"\r\n", until_closed=False)
        assert answer.status_code == 413

    assert with_receiver(test, ReceiverLimits(body=1000)).receiver.refused_requests == 1


def test_clients_that_expect_a_go_ahead_get_it() -> None:
    body = encode_json_spans(SPANS)

    async def test(served: Served) -> None:
        async with connected(served.port) as (reader, writer):
            writer.write(request(b"", JSON, content_length=str(len(body)), Expect="100-continue"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 100")
            assert await reader.readline() == b"\r\n"
            writer.write(body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    assert with_receiver(test).batches == [SPANS]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nX: " + b"y" * 200_000,
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
def test_what_is_no_http_is_answered_or_dropped_and_harms_nobody(data: bytes) -> None:
    async def test(served: Served) -> None:
        for head, _ in await served.exchange(data):
            assert 400 <= head.status_code < 500
        assert (await served.post(encode_json_spans(SPANS), JSON))[0] == 200

    assert with_receiver(test).batches == [SPANS]


def test_silent_clients_are_left() -> None:
    async def test(served: Served) -> None:
        async with connected(served.port) as (reader, writer):
            writer.write(b"POST /v1/traces HTTP/1.1\r\n")
            assert await reader.read() == b""

    with_receiver(test, ReceiverLimits(idle_s=0.05))


def test_too_many_connections_are_closed() -> None:
    async def test(served: Served) -> None:
        async with connected(served.port), connected(served.port), connected(served.port) as (reader, _):
            assert await reader.read() == b""

    with_receiver(test, ReceiverLimits(connections=2))


def test_closing_ends_open_connections_and_the_listener() -> None:
    async def main() -> None:
        async with serving() as served:
            async with connected(served.port) as (reader, _):
                await served.post(encode_json_spans(SPANS), JSON)
                await served.receiver.close()
                assert await reader.read() == b""
            await served.receiver.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", served.port)

    asyncio.run(main())


def test_large_bodies_are_read_off_the_loop() -> None:
    spans = [raw(number, attributes={"t": "x" * 5000}) for number in range(1, 200)]

    async def test(served: Served) -> None:
        assert (await served.post(encode_protobuf_spans(spans)))[0] == 200

    assert with_receiver(test).spans == spans
