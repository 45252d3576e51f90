"""Watching an agent's process: its frames become the record, its end becomes the outcome."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from assay.core.episode import Failure
from assay.core.errors import WorldError
from assay.core.protocols import Played
from assay.core.sandbox import Exit, Frame, Running
from assay.core.usage import Limits
from assay.harnesses.limits import out_of_memory, timed_out
from assay.harnesses.record import Record, log_text
from assay.harnesses.script import END, OUTPUT, SPAN, End, decode_end
from assay.otel.bounds import clean_text, cut_text
from assay.otel.raw import MalformedSpansError, decode_raw

_LEAVE_S = 3.0
_FRAME_BYTES = 256 << 20
_MESSAGE = 2_000
_DETAIL = 16_000


async def watch(running: Running, record: Record, limits: Limits) -> Played:
    """Take what a player sends until it is done, then wait for the end of its process.

    An agent that has answered but does not leave is ended. Raises `WorldError` when the sandbox failed.
    """
    stage = _Stage(record)
    async with owned(running):
        frames = running.frames()
        async for frame in frames:
            if stage.take(frame):
                break
        if isinstance(frames, AsyncGenerator):
            await frames.aclose()  # give up reading: what the agent still sends must not keep it from leaving
        if stage.failure is not None:
            await running.kill()
        try:
            async with asyncio.timeout(_LEAVE_S if stage.end is not None else None):
                left = await running.exit()
        except TimeoutError:
            await running.kill()
            left = await running.exit()
    if left.status == "lost":
        raise WorldError(f"the sandbox lost the agent: {left.detail}")
    failure = stage.failure or _failure(stage.end, left, record, limits)
    notes = [] if stage.end is None or not stage.end.note else [f"assay: {stage.end.note}".encode()]
    if stage.malformed:
        notes.append(f"assay: {stage.malformed} malformed messages from the agent's process were ignored".encode())
    return record.played(failure, log_text(left.stdout, left.stderr, *notes, limit_kb=limits.output_kb))


@asynccontextmanager
async def owned(running: Running) -> AsyncGenerator[None]:
    """End the program when the block does not come to its end: nothing may run on in a world that is taken down."""
    try:
        yield
    except BaseException:
        await running.kill()
        raise


class _Stage:
    def __init__(self, record: Record) -> None:
        self.end: End | None = None
        self.failure: Failure | None = None
        self.malformed = 0
        self._record = record
        self._bytes_left = _FRAME_BYTES

    def take(self, frame: Frame) -> bool:
        """Take one frame; True when nothing more is to be taken."""
        self._bytes_left -= len(frame.data)
        if self._bytes_left < 0:
            message = f"stopped after sending {_FRAME_BYTES >> 20} MiB of spans and answers"
            self.failure = Failure(boundary="limit", kind="messages", message=message)
            return True
        try:
            if frame.kind == SPAN:
                self.failure = self._record.add_span(decode_raw(frame.data))
            elif frame.kind == OUTPUT:
                self._record.add_encoded_output(frame.data)
            elif frame.kind == END:
                self.end = decode_end(frame.data)
            else:
                self.malformed += 1
        except (MalformedSpansError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.malformed += 1
        return self.end is not None or self.failure is not None


def _failure(end: End | None, left: Exit, record: Record, limits: Limits) -> Failure | None:
    """Say why the agent failed; None if it did not."""
    if end is not None and end.failure is not None:
        return _agents_word(end.failure, limits)
    if end is not None and record.is_complete:
        return None
    return exit_failure(left, limits, "before it answered") or Failure(
        boundary="agent", kind="no_answer", message="the agent's process ended before it answered", detail=_tail(left)
    )


def _agents_word(failure: Failure, limits: Limits) -> Failure:
    """Take over a failure from the agent's process: bounded, and never anybody else's fault."""
    if failure.kind == "MemoryError" and limits.memory_mb is not None:
        return out_of_memory(limits)
    return Failure(
        boundary="agent",
        kind=cut_text(clean_text(failure.kind), _MESSAGE),
        message=cut_text(clean_text(failure.message), _MESSAGE),
        detail=cut_text(clean_text(failure.detail), _DETAIL),
    )


def exit_failure(left: Exit, limits: Limits, when: str) -> Failure | None:
    """Return the failure for a process that did not leave with 0; `when` completes the sentence."""
    if left.status == "timeout":
        return timed_out(limits)
    if left.status == "signaled":
        message = f"the agent's process was ended by {_signal_name(left.signal or 0)} {when}"
        return Failure(boundary="agent", kind="signal", message=message.rstrip(), detail=_tail(left))
    if left.status == "exited" and left.code:
        message = f"the agent's process left with exit code {left.code} {when}"
        return Failure(boundary="agent", kind="exit_code", message=message.rstrip(), detail=_tail(left))
    return None


def _tail(left: Exit) -> str:
    return clean_text(left.stderr.decode("utf-8", "replace"))[-_DETAIL // 2 :]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
