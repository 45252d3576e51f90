"""One OTLP receiver for the spans of many episodes, told apart by trace id: agents that run elsewhere send to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from assay.core.errors import HarnessError
from assay.otel.raw import RawSpan
from assay.otel.receiver import Receiver

_QUIET_S = 0.1


class SpanCollector:
    """Listens on a fixed port of loopback. One per machine can: a run that uses it has one worker."""

    def __init__(self, port: int) -> None:
        """Name the port; nothing is opened yet."""
        self._port = port
        self._receiver: Receiver | None = None
        self._sinks: dict[str, Callable[[RawSpan], object]] = {}
        self._arrived: dict[str, asyncio.Event] = {}
        self._entered: set[str] = set()
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Listen, the first time. Raises `HarnessError` when the port is taken."""
        async with self._opening:
            if self._receiver is not None:
                return
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", self._port))
                listener.listen()
            except OSError as error:
                listener.close()
                message = f"cannot receive spans on port {self._port}: {error.strerror}"
                raise HarnessError(f"{message} (another worker or program has it)") from error
            receiver = Receiver(self._take)
            await receiver.start(listener)
            self._receiver = receiver

    def expect(self, trace_id: str, sink: Callable[[RawSpan], object]) -> None:
        """Hand spans of this trace to `sink`, until `forget`."""
        self._sinks[trace_id] = sink
        self._arrived[trace_id] = asyncio.Event()

    async def settle(self, trace_id: str, seconds: float) -> None:
        """Wait until a span that hangs below the root arrived and none came for a moment, `seconds` at most."""
        arrived, loop = self._arrived[trace_id], asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left_s := end - loop.time()) > 0:
            arrived.clear()
            try:
                async with asyncio.timeout(min(left_s, _QUIET_S) if trace_id in self._entered else left_s):
                    await arrived.wait()
            except TimeoutError:
                return

    def forget(self, trace_id: str) -> None:
        """Drop what still comes for this trace."""
        del self._sinks[trace_id], self._arrived[trace_id]
        self._entered.discard(trace_id)

    async def close(self) -> None:
        """Stop listening."""
        if self._receiver is not None:
            await self._receiver.close()
            self._receiver = None

    def _take(self, spans: list[RawSpan]) -> None:
        for span in spans:
            sink = self._sinks.get(span.trace_id)
            if sink is not None:
                self._entered.add(span.trace_id)
                self._arrived[span.trace_id].set()
                sink(span)
