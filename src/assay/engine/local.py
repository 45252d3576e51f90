"""The local engine: processes x asyncio on one machine."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from assay.core.errors import AssayError, HarnessError
from assay.engine import nursery
from assay.engine.job import Death, Job, Result
from assay.engine.wire import Wire

_LOG_TAIL = 4096
_STILLBORN_LIMIT = 4
_GROUP_S = 0.005
_AHEAD_S = 0.15
_AHEAD_LEAST, _AHEAD_MOST = 2, 2048


class LocalEngine:
    """Keeps `workers` processes busy with up to `slots` items each.

    `start()` is called before an event loop runs (see `nursery`), everything else inside one. An item that is
    submitted `alone` gets a worker of its own, so that its death can be told from its neighbors'.
    """

    def __init__(self, job: Job, *, workers: int, slots: int) -> None:
        self._job = job
        self._slots = slots
        self._wanted = workers
        self._workers: dict[int, _Handle] = {}
        self._handles: list[_Handle] = []
        self._nursery: nursery.Nursery
        self._results: list[Result] = []
        self._arrived: asyncio.Event
        self._births: list[_Handle] = []
        self._control_buffer = bytearray()
        self._next = 0
        self._refusal = ""
        self._stillborn = 0
        self.note = ""
        """Why workers could not be forked; empty when they were."""

    def start(self) -> None:
        """Start the nursery. Raises `ConfigError` when a fork is not safe and the job cannot be pickled."""
        self._nursery = nursery.Nursery(self._job, self._slots)
        self.note = self._nursery.hazard

    async def attach(self) -> None:
        """Bring up the workers on the running loop."""
        self._arrived = asyncio.Event()
        self._nursery.control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._nursery.control, self._on_control)
        for _ in range(self._wanted):
            await self._bear(alone=False)

    @property
    def free(self) -> int:
        """How many more items can be submitted now."""
        return sum(max(0, self._slots + worker.ahead - len(worker.held)) for worker in self._shared)

    @property
    def capacity(self) -> int:
        """How many items all workers hold at most, at the pace they keep now."""
        return sum(self._slots + worker.ahead for worker in self._shared)

    @property
    def in_flight(self) -> int:
        """Items submitted whose result was not handed out yet."""
        return sum(len(worker.held) for worker in self._workers.values()) + len(self._results)

    def submit(self, items: list[tuple[int, bytes]]) -> None:
        """Give items to the workers that hold the fewest."""
        shares: dict[int, list[tuple[int, bytes]]] = {}
        load = {worker.number: len(worker.held) for worker in self._shared}
        for key, payload in items:
            number = min(load, key=lambda candidate: load[candidate])
            load[number] += 1
            self._workers[number].held.add(key)
            shares.setdefault(number, []).append((key, payload))
        for number, share in shares.items():
            self._workers[number].wire.send(["items", share])

    async def submit_alone(self, key: int, payload: bytes) -> None:
        """Give one item to a fresh worker that holds nothing else."""
        worker = await self._bear(alone=True)
        worker.held.add(key)
        worker.wire.send(["items", [(key, payload)]])

    async def results(self, timeout_s: float) -> list[Result]:
        """Wait for results and return all that arrived within a moment; empty after `timeout_s` without any.

        The moment lets a group grow, because what the caller does with it costs the same for one and for hundreds.
        Raises `HarnessError` when workers cannot start.
        """
        if not self._results:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout_s)
            except TimeoutError:
                return []
        if any(worker.held for worker in self._workers.values()):
            await asyncio.sleep(_GROUP_S)
        if self._refusal:
            raise HarnessError(self._refusal)
        await self._replace_dead()
        results, self._results = self._results, []
        return results

    def level(self) -> None:
        """Take back what full workers have not started while others stand idle; it arrives as recalled results.

        Called when there is nothing more to submit: it lets workers be fed ahead without making the end uneven.
        """
        shared = self._shared
        if any(not worker.held for worker in shared):
            for worker in shared:
                if len(worker.held) > self._slots and not worker.is_draining:
                    worker.is_draining = True
                    worker.wire.send(["drain"])

    def drain(self) -> None:
        """Ask workers to give back what they have not started; it arrives as recalled results."""
        for worker in self._workers.values():
            worker.wire.send(["drain"])

    async def close(self) -> None:
        """End all workers and the nursery."""
        for worker in self._handles:
            worker.wire.close()
            worker.tail.abort()
        self._workers.clear()
        self._handles.clear()
        asyncio.get_running_loop().remove_reader(self._nursery.control)
        await asyncio.to_thread(self._nursery.close)

    @property
    def _shared(self) -> list[_Handle]:
        return [worker for worker in self._workers.values() if not worker.alone and worker.alive]

    async def _bear(self, *, alone: bool) -> _Handle:
        loop = asyncio.get_running_loop()
        handle = _Handle(number=self._next, alone=alone, slots=self._slots)
        handle.wire = Wire(lambda message: self._on_message(handle, message), lambda: self._on_end(handle))
        data, workers_data = socket.socketpair()
        log, workers_log = socket.socketpair()
        with workers_data, workers_log:
            try:
                self._nursery.request(workers_data, workers_log)
            except AssayError:
                data.close()
                log.close()
                raise
        self._next += 1
        self._workers[handle.number] = handle
        self._handles.append(handle)
        self._births.append(handle)
        await loop.create_connection(lambda: handle.wire, sock=data)
        handle.tail, _ = await loop.create_connection(lambda: _Tail(handle), sock=log)
        return handle

    def _on_message(self, handle: _Handle, message: Any) -> None:
        kind = message[0]
        handle.ready = True
        if kind == "refused":
            self._refusal = message[1]
            self._arrived.set()
        elif kind == "results":
            for key, payload in message[1]:
                handle.held.discard(key)
                self._results.append(Result(key=key, payload=payload))
            handle.pace(len(message[1]))
        elif kind == "recalled":
            handle.is_draining = False
            for key in message[1]:
                handle.held.discard(key)
                self._results.append(Result(key=key, recalled=True))
        if self._results:
            self._arrived.set()
        if handle.alone and not handle.held and kind == "results":
            self._workers.pop(handle.number, None)
            handle.wire.close()

    def _on_end(self, handle: _Handle) -> None:
        handle.alive = False
        if handle.number not in self._workers:
            return
        if handle.status is not None:
            self._bury(handle)
        else:
            # The nursery's word on how it ended follows; do not wait for it for ever.
            asyncio.get_running_loop().call_later(1.0, self._bury, handle)

    def _bury(self, handle: _Handle) -> None:
        if self._workers.pop(handle.number, None) is None:
            return
        if not handle.ready:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN_LIMIT:
                self._refusal = f"workers die before they are ready: {_tail(handle.log)}"
        alone = handle.alone or len(handle.held) == 1
        death = Death(status=handle.status or 0, alone=alone, log=_tail(handle.log))
        self._results.extend(Result(key=key, death=death) for key in sorted(handle.held))
        self._arrived.set()

    async def _replace_dead(self) -> None:
        while len(self._shared) < self._wanted:
            await self._bear(alone=False)

    def _on_control(self) -> None:
        try:
            data = self._nursery.control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._nursery.control)
            return
        self._control_buffer += data
        while len(self._control_buffer) >= nursery.DIED.size:
            what, pid, status = nursery.DIED.unpack_from(self._control_buffer)
            del self._control_buffer[: nursery.DIED.size]
            if what == 0:
                self._births.pop(0).pid = pid
            else:
                self._on_death(pid, status)

    def _on_death(self, pid: int, status: int) -> None:
        for worker in list(self._workers.values()):
            if worker.pid == pid:
                worker.status = status
                if not worker.alive:
                    self._bury(worker)


class _Handle:
    """The coordinator's side of one worker."""

    ahead: int
    """Items beyond its slots that it may hold: one per slot at first, then as many as it finishes in `_AHEAD_S`.

    They hide the time of a round trip.
    """

    def __init__(self, *, number: int, alone: bool, slots: int) -> None:
        self.ahead = min(_AHEAD_MOST, slots)
        self.is_draining = False
        self._paced = time.monotonic()
        self._finished = 0
        self.number = number
        self.alone = alone
        self.alive = True
        self.ready = False
        self.held: set[int] = set()
        self.log = bytearray()
        self.pid = 0
        self.status: int | None = None
        self.wire: Wire
        self.tail: asyncio.Transport

    def pace(self, finished: int) -> None:
        """Learn from what was finished how much the worker may hold."""
        self._finished += finished
        now = time.monotonic()
        if now - self._paced >= _AHEAD_S / 2:
            rate = self._finished / (now - self._paced)
            self.ahead = min(_AHEAD_MOST, max(_AHEAD_LEAST, int(rate * _AHEAD_S)))
            self._paced, self._finished = now, 0


class _Tail(asyncio.Protocol):
    """Keeps the last of what a worker prints, so that its death can be explained; the rest is let go."""

    def __init__(self, handle: _Handle) -> None:
        self._handle = handle

    def data_received(self, data: bytes) -> None:
        log = self._handle.log
        log += data[-_LOG_TAIL:]
        if len(log) > 2 * _LOG_TAIL:
            del log[:-_LOG_TAIL]


def _tail(log: bytearray) -> str:
    return bytes(log[-_LOG_TAIL:]).decode(errors="replace")
