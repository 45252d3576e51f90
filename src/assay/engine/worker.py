"""The worker process: an event loop that keeps `slots` items going and sends results back in groups."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import traceback
from collections import deque
from typing import Any

from assay.core.errors import AssayError
from assay.engine.job import Job, Session
from assay.engine.wire import Wire, frame

CRASHED = 70
"""Exit code of a worker whose session raised (EX_SOFTWARE)."""


def serve(sock: socket.socket, job: Job, slots: int) -> None:
    """Run a worker on `sock` until the coordinator closes it; never returns to the caller's code."""
    code = 0
    try:
        asyncio.run(_Worker(slots).run(sock, job))
    except BaseException:  # noqa: BLE001 - the last boundary of the process: print, then leave without the parent's exit handlers
        traceback.print_exc()
        code = CRASHED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Worker:
    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._queue: deque[tuple[int, bytes]] = deque()
        self._active: set[asyncio.Task[None]] = set()
        self._out: list[tuple[int, bytes | None]] = []
        self._session: Session
        self._wire: Wire
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Future[None]

    async def run(self, sock: socket.socket, job: Job) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        try:
            self._session = await job.open()
        except AssayError as error:
            # Said over the wire: the coordinator turns it into the run's error instead of starting workers for ever.
            sock.setblocking(True)
            sock.sendall(frame(["refused", str(error)]))
            return
        # Everything loaded so far lives until the end: keep the collector from walking it again and again.
        gc.freeze()
        self._wire = Wire(self._receive, self._stop)
        await self._loop.create_connection(lambda: self._wire, sock=sock)
        self._wire.send(["ready"])
        try:
            await self._end
        finally:
            for task in self._active:
                task.cancel()
            await asyncio.gather(*self._active, return_exceptions=True)
            await self._session.close()

    def _receive(self, message: Any) -> None:
        if message[0] == "items":
            self._queue.extend((key, payload) for key, payload in message[1])
            self._fill()
        else:
            self._wire.send(["recalled", [key for key, _ in self._queue]])
            self._queue.clear()

    def _fill(self) -> None:
        while self._queue and len(self._active) < self._slots:
            task = self._loop.create_task(self._one(*self._queue.popleft()))
            self._active.add(task)
            task.add_done_callback(self._done)

    async def _one(self, key: int, payload: bytes) -> None:
        result = await self._session.run(key, payload)
        if not self._out:
            # All items that finish in this turn of the loop leave in one message.
            self._loop.call_soon(self._flush)
        self._out.append((key, result))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if not self._end.done():
                self._end.set_exception(error)
            return
        self._fill()

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._wire.send(["results", out])

    def _stop(self) -> None:
        if not self._end.done():
            self._end.set_result(None)
