"""Plays one episode inside the agent's own process, and streams what happens to the worker.

Imported by the zygote, so it imports little.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from assay.harnesses.answer import answer_bounds, as_answer
from assay.harnesses.capturing import span_capture
from assay.harnesses.failing import failure_of
from assay.harnesses.handle import WorldHandle
from assay.harnesses.script import END, OUTPUT, SPAN, End, Script, decode_script, encode_end
from assay.harnesses.target import takes_world
from assay.otel.raw import encode_raw

if TYPE_CHECKING:
    import asyncio


class Channel(Protocol):
    """Where frames go."""

    def send(self, kind: int, data: bytes) -> None:
        """Send one frame."""
        ...


def play(payload: bytes, channel: Channel) -> None:
    """Play all turns and send the answers, the spans and the end. What the agent raises is part of the end."""
    script = decode_script(payload)
    capture = span_capture()  # hooks into OpenTelemetry now, or as soon as the agent imports it
    capture.open(script.trace_id, lambda span: channel.send(SPAN, encode_raw(span)))
    failure = None
    try:
        with capture.attached(script.trace_id, script.root_id):
            _play_turns(script, channel)
    except BaseException as error:  # noqa: BLE001 - the boundary between assay and the agent
        failure = failure_of(error)
    finally:
        lost = capture.close(script.trace_id)
    note = "; ".join(part for part in (*capture.notes, lost) if part)
    channel.send(END, encode_end(End(failure=failure, note=note)))


def _play_turns(script: Script, channel: Channel) -> None:
    function = script.target.load()
    arguments: tuple[Any, ...] = (WorldHandle(script.surroundings),) if takes_world(function) else ()
    bounds = answer_bounds(script.output_kb)
    with ExitStack() as stack:
        runner: asyncio.Runner | None = None
        for turn in script.turns:
            value = function(turn, *arguments)
            if inspect.isawaitable(value):
                runner = runner or stack.enter_context(_runner())  # one loop for all turns
                value = runner.run(_awaited(value))
            channel.send(OUTPUT, msgspec.json.encode(as_answer(value, bounds)))


def _runner() -> asyncio.Runner:
    import asyncio  # agents that are not async need none of it, and every copy of the zygote would carry it

    return asyncio.Runner()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
