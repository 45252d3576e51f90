"""Spans of agents that run in this process: each ended span goes to the episode it belongs to.

OpenTelemetry is never imported here: an agent that does not use it pays nothing. There is one OpenTelemetry per process,
so there should be one `SpanCapture` per process too. It holds no locks and starts no threads, so it may be installed
before a fork and used after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from assay.otel.bounds import DEFAULT_BOUNDS, Bounds
from assay.otel.hook import ProviderHook
from assay.otel.raw import NOTES, UNFINISHED, RawEvent, RawSpan, accept, dropped_note

Sink: TypeAlias = Callable[[RawSpan], None]
"""Takes the ended spans of one episode, on whatever thread ended them."""

_SAMPLED = 1


@dataclass(slots=True)
class _Episode:
    sink: Sink
    trace_ids: list[int]
    """Its own trace id, then those of traces that the agent began inside it."""
    open: dict[int, Any] = field(default_factory=dict)
    """Spans that have started and not ended, by span id."""
    lost: int = 0
    reason: str = ""


class SpanCapture:
    """Routes the spans of this process to episodes, many of which may run at once."""

    def __init__(self, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._bounds = bounds
        self._episodes: dict[int, _Episode] = {}
        self._unclaimed = 0
        self._current: ContextVar[_Episode | None] = ContextVar("assay.episode", default=None)
        self.processor: Any = _Processor(self)
        """The span processor, for providers that `install` cannot know of."""
        self._hook = ProviderHook(self.processor)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the traces should know: spans that cannot be seen, exporters of the agent's own."""
        if not self._unclaimed:
            return self._hook.notes
        return (*self._hook.notes, f"spans that began outside of every episode's context, not seen: {self._unclaimed}")

    def install(self) -> tuple[str, ...]:
        """See to it that spans arrive here, now or once the agent imports OpenTelemetry; returns `notes`.

        Call it after the agent was imported; calling it again does no harm.
        """
        self._hook.install()
        return self.notes

    def open(self, trace_id: str, sink: Sink) -> None:
        """Begin an episode: spans of this trace go to `sink`."""
        number = int(trace_id, 16)
        self._episodes[number] = _Episode(sink=sink, trace_ids=[number])

    @contextmanager
    def attached(self, trace_id: str, root_id: str) -> Generator[None]:
        """Run the agent as a child of the episode's root span, in sync and async code alike.

        The root is the sampled remote parent of the spans that begin inside. Traces that the agent begins of its own
        belong to the episode too.
        """
        token = self._current.set(self._episodes.get(int(trace_id, 16)))
        context, trace = sys.modules.get("opentelemetry.context"), sys.modules.get("opentelemetry.trace")
        attached = None
        if context is not None and trace is not None:
            parent = trace.SpanContext(
                trace_id=int(trace_id, 16),
                span_id=int(root_id, 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(_SAMPLED),
            )
            attached = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent), context.Context()))
        try:
            yield
        finally:
            if context is not None and attached is not None:
                context.detach(attached)
            self._current.reset(token)

    def close(self, trace_id: str) -> str:
        """End an episode: spans still open are sent as unfinished, later ones are dropped.

        Returns what was lost and why, in a sentence; empty if nothing was.
        """
        episode = self._episodes.pop(int(trace_id, 16), None)
        if episode is None:
            return ""
        for other in episode.trace_ids[1:]:
            self._episodes.pop(other, None)
        for span in list(episode.open.values()):
            self._send(episode, span, is_finished=False)
        if not episode.lost:
            return ""
        return f"spans that could not be captured: {episode.lost} ({episode.reason})"

    def started(self, span: Any) -> None:
        """Take note of a span that began."""
        context = span.get_span_context()
        episode = self._episode(context.trace_id)
        if episode is not None:
            episode.open[context.span_id] = span

    def ended(self, span: Any) -> None:
        """Send a span that ended to its episode."""
        context = span.get_span_context()
        episode = self._episodes.get(context.trace_id)
        if episode is not None:
            episode.open.pop(context.span_id, None)
            self._send(episode, span, is_finished=True)

    def _episode(self, trace_id: int) -> _Episode | None:
        """Find the episode of a trace; a trace that began inside an episode becomes part of it."""
        known = self._episodes.get(trace_id)
        if known is not None:
            return known
        episode = self._current.get()
        if episode is None:
            # threads that the agent started do not inherit the context: right as long as one episode runs alone
            running = {id(each): each for each in self._episodes.values()}
            episode = next(iter(running.values())) if len(running) == 1 else None
        if episode is None or episode.trace_ids[0] not in self._episodes:
            self._unclaimed += bool(self._episodes)
            return None
        episode.trace_ids.append(trace_id)
        self._episodes[trace_id] = episode
        return episode

    def _send(self, episode: _Episode, span: Any, *, is_finished: bool) -> None:
        try:
            episode.sink(accept(_raw(span, is_finished=is_finished), self._bounds))
        except Exception as error:  # noqa: BLE001 - recording must never break the agent that is recorded
            episode.lost += 1
            episode.reason = episode.reason or f"{type(error).__name__}: {error}"


class _Processor:
    """What OpenTelemetry's SDK expects of a span processor; it is not a subclass so that the SDK need not be there."""

    def __init__(self, capture: SpanCapture) -> None:
        self._capture = capture

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._capture.started(span)

    def _on_ending(self, span: Any) -> None:
        """Do nothing: the SDK calls this before `on_end`."""

    def on_end(self, span: Any) -> None:
        self._capture.ended(span)

    def shutdown(self) -> None:
        """Do nothing: nothing is held back."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing is held back."""
        return True


def _raw(span: Any, *, is_finished: bool) -> RawSpan:
    """Copy a span of the SDK."""
    context, parent, scope = span.get_span_context(), span.parent, span.instrumentation_scope
    attributes = _copy(span.attributes)
    if not is_finished:
        attributes[UNFINISHED] = True
    dropped = span.dropped_attributes + span.dropped_events
    if dropped:
        attributes[NOTES] = [dropped_note(dropped)]
    return RawSpan(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id="" if parent is None else f"{parent.span_id:016x}",
        name=span.name,
        # the SDK counts kinds from 0, the protocol from 1
        kind=span.kind.value + 1,
        start_ns=span.start_time or 0,
        end_ns=(span.end_time if is_finished else span.start_time) or 0,
        status=span.status.status_code.value,
        status_message=span.status.description or "",
        attributes=attributes,
        events=tuple(
            RawEvent(name=event.name, time_ns=event.timestamp, attributes=_copy(event.attributes))
            for event in span.events
        ),
        resource=_copy(span.resource.attributes),
        scope="" if scope is None else scope.name,
    )


def _copy(attributes: Any) -> dict[str, Any]:
    if not attributes:
        return {}
    # the SDK's mapping locks for every key it hands out; its copy is one step
    copy = getattr(attributes, "copy", None)
    return dict(attributes) if copy is None else copy()
