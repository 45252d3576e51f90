"""A small OTLP/HTTP receiver on a socket that somebody else bound: the loopback of the host or of a jail.

Speaks what exporters speak: `POST /v1/traces` in protobuf or JSON, plain or compressed, over kept connections. Logs and
metrics are accepted and ignored, so that agents which send them do not retry. Status codes follow the OTLP
specification: 4xx other than 429 are permanent, spans that were not accepted are told in `partial_success`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

import h11
import msgspec

from assay.otel.bounds import DEFAULT_BOUNDS, Bounds
from assay.otel.decode import Batch, decode_json, decode_protobuf
from assay.otel.raw import MalformedSpansError, RawSpan

BatchSink: TypeAlias = Callable[[list[RawSpan]], None]
"""Takes the spans of one request, in the event loop's thread."""

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"
_TRACES = "/v1/traces"
_IGNORED = frozenset({"/v1/logs", "/v1/metrics"})
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_CHUNK = 65_536
_LINGER_S = 2.0
_LARGE = 262_144
"""Bodies from this size on are decoded in a thread, so that the loop goes on."""


class ReceiverLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver accepts."""

    body: int = 16_777_216
    """Bytes of one request body as sent."""
    decompressed: int = 16_777_216
    """Bytes of one request body after decompression."""
    spans: int = 10_000
    """Spans of one request."""
    connections: int = 64
    """Connections at the same time; further ones are closed."""
    idle_s: float = 60.0
    """Seconds that a connection may be silent."""


class Receiver:
    """Receives spans over HTTP and hands them to a sink, request by request; one episode's or many's."""

    def __init__(self, sink: BatchSink, limits: ReceiverLimits | None = None, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._sink = sink
        self._limits = limits or ReceiverLimits()
        self._bounds = bounds
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.rejected_spans = 0
        """Spans that were malformed or too many."""
        self.refused_requests = 0
        """Trace requests that were refused whole: malformed, too large, of an unknown type."""

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound socket; the receiver closes it in the end."""
        listener.setblocking(False)
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=_CHUNK)

    async def close(self) -> None:
        """Stop serving and end all connections."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= self._limits.connections:
                await _Connection(reader, writer, self._answer, self._limits).serve()
        except asyncio.CancelledError:
            # close() ends connections so
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: _Request) -> _Response:
        if request.path in _IGNORED and request.method == "POST":
            return _Response(status=200, type=request.answer_type, body=b"{}" if request.answer_type == _JSON else b"")
        if request.path != _TRACES:
            return _refusal(404, "not found: this is an OTLP receiver for /v1/traces", request.answer_type)
        if request.method != "POST":
            return _refusal(405, "traces are sent by POST", request.answer_type)
        response = await self._receive(request)
        self.refused_requests += response.status != 200
        return response

    async def _receive(self, request: _Request) -> _Response:
        kind = request.type
        if kind not in {_JSON, _PROTOBUF}:
            return _refusal(415, f"content type must be {_PROTOBUF} or {_JSON}", _PROTOBUF)
        if request.is_too_large:
            return _refusal(413, f"a body may have {self._limits.body} bytes", kind)
        if request.encoding not in {"", "identity", *_WINDOW_BITS}:
            return _refusal(415, "content encoding must be gzip, deflate or identity", kind)
        try:
            if len(request.body) < _LARGE:
                batch = self._decode(request)
            else:
                batch = await asyncio.to_thread(self._decode, request)
        except _TooLargeError:
            return _refusal(413, f"a body may have {self._limits.decompressed} bytes after decompression", kind)
        except (MalformedSpansError, zlib.error) as error:
            return _refusal(400, str(error), kind)
        self.rejected_spans += batch.rejected
        self._sink(batch.spans)
        return _Response(status=200, type=kind, body=_acceptance(batch, kind))

    def _decode(self, request: _Request) -> Batch:
        body = request.body
        if request.encoding in _WINDOW_BITS:
            body = _decompressed(body, _WINDOW_BITS[request.encoding], self._limits.decompressed)
        decode = decode_json if request.type == _JSON else decode_protobuf
        return decode(body, limit=self._limits.spans, bounds=self._bounds)


class _TooLargeError(Exception):
    """A body that is larger than allowed once it is decompressed."""


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    path: str
    type: str
    encoding: str
    body: bytes
    is_too_large: bool

    @property
    def answer_type(self) -> str:
        return _JSON if self.type == _JSON else _PROTOBUF


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    type: str
    body: bytes


class _Connection:
    """One kept connection: reads requests, writes answers."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Any, limits: ReceiverLimits
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_CHUNK)

    async def serve(self) -> None:
        """Answer requests until the client leaves, falls silent or breaks the protocol."""
        # a silent or vanished client: nobody is left to tell
        with contextlib.suppress(TimeoutError, OSError):
            try:
                await self._serve_requests()
            except h11.RemoteProtocolError as error:
                if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await self._respond(_refusal(error.error_status_hint, str(error), _PROTOBUF))
                    await self._linger()

    async def _serve_requests(self) -> None:
        while True:
            request = await self._request()
            if request is None:
                return
            await self._respond(await self._answer(request), with_body=request.method != "HEAD")
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._linger()
                return
            self._http.start_next_cycle()

    async def _request(self) -> _Request | None:
        head: h11.Request | None = None
        body = bytearray()
        is_too_large = False
        while True:
            event = await self._event()
            if isinstance(event, h11.Request):
                head = event
                is_too_large = _announced(event) > self._limits.body
            elif isinstance(event, h11.Data):
                is_too_large = is_too_large or len(body) + len(event.data) > self._limits.body
                if not is_too_large:
                    body += event.data
            elif not isinstance(event, h11.EndOfMessage):
                return None
            # what is too large is answered at once, unread
            if head is not None and (is_too_large or isinstance(event, h11.EndOfMessage)):
                return _request(head, bytes(body), is_too_large=is_too_large)

    async def _event(self) -> Any:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            async with asyncio.timeout(self._limits.idle_s):
                self._http.receive_data(await self._reader.read(_CHUNK))

    async def _respond(self, response: _Response, *, with_body: bool = True) -> None:
        headers = [("content-type", response.type), ("content-length", str(len(response.body)))]
        if self._http.their_state is not h11.DONE:
            headers.append(("connection", "close"))
        parts = [self._http.send(h11.Response(status_code=response.status, headers=headers))]
        if with_body:
            parts.append(self._http.send(h11.Data(data=response.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        await self._write(b"".join(part for part in parts if part))

    async def _linger(self) -> None:
        """Read on for a moment: closing on unread data would reset the connection and with it our answer."""
        self._writer.write_eof()
        left = self._limits.body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while left > 0 and (data := await self._reader.read(_CHUNK)):
                    left -= len(data)

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        async with asyncio.timeout(self._limits.idle_s):
            await self._writer.drain()


def _request(head: h11.Request, body: bytes, *, is_too_large: bool) -> _Request:
    headers = {name: value.decode("latin-1") for name, value in head.headers}
    return _Request(
        method=head.method.decode("ascii", "replace"),
        path=head.target.decode("ascii", "replace").partition("?")[0],
        type=headers.get(b"content-type", "").partition(";")[0].strip().lower(),
        encoding=headers.get(b"content-encoding", "").strip().lower(),
        body=body,
        is_too_large=is_too_large,
    )


def _announced(head: h11.Request) -> int:
    # h11 has checked that it is a number
    return next((int(value) for name, value in head.headers if name == b"content-length"), 0)


def _decompressed(body: bytes, window_bits: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    data = stream.decompress(body, limit + 1)
    if len(data) > limit:
        raise _TooLargeError
    if not stream.eof:
        raise MalformedSpansError("the compressed body ends too early")
    return data


def _acceptance(batch: Batch, kind: str) -> bytes:
    if not batch.rejected:
        return b"{}" if kind == _JSON else b""
    message = "malformed or too many spans"
    if kind == _JSON:
        partial = {"rejectedSpans": str(batch.rejected), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = batch.rejected
    response.partial_success.error_message = message
    return response.SerializeToString()


def _refusal(status: int, message: str, kind: str) -> _Response:
    """Return an error whose body is a `google.rpc.Status` (field 2: the message), as OTLP wants it."""
    text = message[:120]
    if kind == _JSON:
        return _Response(status=status, type=kind, body=msgspec.json.encode({"message": text}))
    data = text.encode("ascii", "replace")
    return _Response(status=status, type=_PROTOBUF, body=b"\x12" + bytes([len(data)]) + data)
