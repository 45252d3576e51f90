"""Isolation `task`: the agent runs in the worker itself, a coroutine on its loop or a function in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assay.core.episode import Failure
from assay.core.protocols import Attempt, Played
from assay.harnesses.capturing import span_capture
from assay.harnesses.failing import failure_of
from assay.harnesses.handle import WorldHandle
from assay.harnesses.limits import timed_out
from assay.harnesses.record import Record
from assay.otel.raw import RawSpan

if TYPE_CHECKING:
    import anyio


async def play_here(
    function: Callable[..., Any], handle: WorldHandle | None, attempt: Attempt, record: Record
) -> Played:
    """Play all turns. A coroutine that passes a limit is cancelled; a function in a thread is left behind.

    Spans that end inside belong to the episode. A coroutine that blocks the loop cannot be stopped.
    """
    capture = span_capture()
    arguments = () if handle is None else (handle,)
    call = function if _is_async(function) else functools.partial(_in_thread, function)
    patience = asyncio.timeout(attempt.limits.wall_s)
    capture.open(attempt.trace_id, _sink(record, patience))
    failure: Failure | None = None
    try:
        async with patience:
            with capture.attached(attempt.trace_id, attempt.root_id):
                for turn in attempt.case.turns:
                    value = call(turn, *arguments)
                    record.add_output(await value if inspect.isawaitable(value) else value)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        failure = failure_of(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary between assay and the agent
        failure = (record.failure or timed_out(attempt.limits)) if patience.expired() else failure_of(error)
    finally:
        lost = capture.close(attempt.trace_id)
    return record.played(failure or record.failure, lost)


def _sink(record: Record, patience: asyncio.Timeout) -> Callable[[RawSpan], None]:
    """Take spans on the loop's thread, whichever thread ended them; a limit that is passed ends the episode."""
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def take(span: RawSpan) -> None:
        if record.add_span(span) is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                patience.reschedule(loop.time())

    def sink(span: RawSpan) -> None:
        if threading.get_ident() == home:
            take(span)
        else:
            loop.call_soon_threadsafe(take, span)

    return sink


async def _in_thread(function: Callable[..., Any], turn: Any, *arguments: Any) -> Any:
    from anyio.to_thread import run_sync

    value = await run_sync(function, turn, *arguments, abandon_on_cancel=True, limiter=_limiter())
    return await value if inspect.isawaitable(value) else value


@functools.cache
def _limiter() -> anyio.CapacityLimiter:
    """As many threads as there are episodes: the runner bounds those."""
    import anyio

    return anyio.CapacityLimiter(math.inf)


@functools.lru_cache(maxsize=64)
def _is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling a function gives a coroutine; objects count by their `__call__`."""
    called = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    return inspect.iscoroutinefunction(inspect.unwrap(called))
