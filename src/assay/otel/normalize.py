"""Raw spans of one episode into one trace; the same object counts what they use while they arrive."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from assay.core.trace import Span, ToolCall, Trace
from assay.core.usage import NO_USAGE, Usage
from assay.otel.calls import CallTree, Key, Report
from assay.otel.draft import Draft
from assay.otel.family import Family
from assay.otel.messages import MessageReader
from assay.otel.raw import RawSpan, encode_raw
from assay.otel.spans import (
    adopted,
    model_span,
    plain_span,
    repeated_tool_span,
    report,
    tool_span,
    understand,
)

DROPPED = "assay.dropped_spans"
"""Resource attribute that carries `Trace.dropped_spans` through an export."""

_NO_PARENT: Key = ("", "")


class TraceBuilder:
    """Collects the spans of one episode in any order, knows what they used so far, and makes the trace.

    Spans of other trace ids are adopted: an agent that ignores `TRACEPARENT` still belongs to its episode.
    """

    def __init__(self, trace_id: str = "", *, max_spans: int = 10_000, max_chars: int = 16_777_216) -> None:
        """Collect for `trace_id` (empty: the first span's) at most that many spans and characters of attributes."""
        self._trace_id = trace_id
        self._max_spans = max_spans
        self._chars_left = max_chars
        self._drafts: dict[Key, Draft] = {}
        self._reader = MessageReader()
        self._said: dict[Key, Report] = {}
        self._tree = CallTree()
        self._conversations: list[tuple[int, int, Key, int]] = []
        self._dropped = 0

    def add(self, raw: RawSpan) -> None:
        """Take one span. Of two versions of one span the finished, later ended one is kept; the rest is counted."""
        key = (raw.trace_id, raw.span_id)
        known = self._drafts.get(key)
        if known is not None and _rank(raw) <= _rank(known.raw):
            return
        size = _size(raw)
        if (known is None and len(self._drafts) >= self._max_spans) or size > self._chars_left:
            self._dropped += 1
            return
        self._chars_left -= size
        draft = understand(raw, self._reader)
        self._drafts[key] = draft
        said = report(draft)
        self._said[key] = said
        parent = (raw.trace_id, raw.parent_id) if raw.parent_id not in {"", raw.span_id} else _NO_PARENT
        self._tree.add(key, parent, said)
        if said.requested:
            heapq.heappush(self._conversations, (-said.messages, raw.start_ns, key, said.requested))

    @property
    def usage(self) -> Usage:
        """What the spans used so far, as `Trace.usage` will count it: requested tool calls where none was traced."""
        usage = self._tree.usage
        if usage.tool_calls:
            return usage
        while self._conversations and not self._tree.is_call(self._conversations[0][2]):
            heapq.heappop(self._conversations)
        requested = self._conversations[0][3] if self._conversations else 0
        return msgspec.structs.replace(usage, tool_calls=requested)

    @property
    def dropped(self) -> int:
        """Spans that were counted and not kept."""
        return self._dropped

    def build(self, root: Span | None = None) -> Trace:
        """Make the trace: the same spans give the same trace in whatever order they arrived.

        With a `root`, which the caller recorded, every span whose parent is unknown becomes its child.
        """
        trace_id = self._trace_id or next((draft.raw.trace_id for draft in self._drafts.values()), "")
        family = Family.of([draft.raw for draft in self._drafts.values()], trace_id, root)
        spans = _Assembly(family, self._drafts, self._said).spans()
        if root is not None:
            spans.append(root)
        spans.sort(key=lambda span: (span.start_ns, family.depths.get(span.span_id, 0), span.end_ns, span.span_id))
        resource = self._resource(family)
        return Trace(
            trace_id=trace_id,
            spans=tuple(spans),
            dropped_spans=self._dropped + _int(resource.pop(DROPPED, 0)),
            resource=resource,
        )

    def _resource(self, family: Family) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        last: dict[str, Any] = {}
        for key in family.order:
            resource = self._drafts[key].raw.resource
            if resource != last:
                merged = resource | merged
                last = resource
        return merged


def normalize(
    spans: Iterable[RawSpan], *, trace_id: str = "", root: Span | None = None, max_spans: int = 10_000
) -> Trace:
    """Turn the raw spans of one trace into a `Trace`; see `TraceBuilder`."""
    builder = TraceBuilder(trace_id, max_spans=max_spans)
    for span in spans:
        builder.add(span)
    return builder.build(root)


def normalize_all(spans: Iterable[RawSpan], *, max_spans: int = 10_000) -> list[Trace]:
    """Turn raw spans of many traces into traces, in order of their first span."""
    builders: dict[str, TraceBuilder] = {}
    for span in spans:
        builder = builders.get(span.trace_id)
        if builder is None:
            builder = builders[span.trace_id] = TraceBuilder(span.trace_id, max_spans=max_spans)
        builder.add(span)
    return [builder.build() for builder in builders.values()]


class _Assembly:
    """Decides what each span becomes, once all of them are known."""

    def __init__(self, family: Family, drafts: dict[Key, Draft], said: dict[Key, Report]) -> None:
        self._family = family
        self._drafts = {family.ids[key]: drafts[key] for key in family.order}
        self._said = {family.ids[key]: said[key] for key in family.order}
        self._order = list(self._drafts)
        self._tree = CallTree()
        for span_id, reported in self._said.items():
            self._tree.add(("", span_id), ("", family.parents[span_id]), reported)
        self._near: dict[str, list[str]] = defaultdict(list)
        self._far: dict[str, str] = {}
        self._tools: dict[str, ToolCall] = {}
        self._donors: dict[str, Draft] = {}
        self._usage: dict[str, Usage] = defaultdict(lambda: NO_USAGE)

    def spans(self) -> list[Span]:
        """Return every span in its final shape."""
        self._gather()
        for span_id in self._order:
            self._assign(span_id)
        donors = {id(donor) for donor in self._donors.values()}
        return [self._span(span_id, has_donated=id(self._drafts[span_id]) in donors) for span_id in self._order]

    def _gather(self) -> None:
        """Walk from the leaves up: which calls are inside each span, and what repeated tool spans add to their parent."""
        family, tree = self._family, self._tree
        for span_id in sorted(self._order, key=lambda each: -family.depths[each]):
            key, parent, own = ("", span_id), family.parents[span_id], self._said[span_id].tool
            if own is not None:
                self._tools[span_id] = _merged(own, self._tools[span_id]) if span_id in self._tools else own
                if tree.is_repeat(key):
                    outer = self._tools.get(parent)
                    self._tools[parent] = _merged(outer, self._tools[span_id]) if outer else self._tools[span_id]
            calls = [span_id] if tree.is_call(key) else self._near[span_id]
            if own is None:
                # two are enough to know that there is not one
                self._near[parent] = sorted(self._near[parent] + calls, key=self._place)[-2:]
            last = calls[-1] if calls else self._far.get(span_id, "")
            if last and (parent not in self._far or self._place(self._far[parent]) < self._place(last)):
                self._far[parent] = last

    def _place(self, span_id: str) -> tuple[int, str]:
        return self._drafts[span_id].raw.start_ns, span_id

    def _assign(self, span_id: str) -> None:
        """Give what a span reports to the call it belongs to: itself, or the last call inside it that reports none."""
        key, draft = ("", span_id), self._drafts[span_id]
        usage = self._said[span_id].usage
        tokens, cost = self._tree.counts_tokens(key), self._tree.counts_cost(key)
        near = self._near[span_id]
        target = span_id if self._tree.is_call(key) else near[-1] if near else self._far.get(span_id, "")
        if tokens or cost:
            part = usage if tokens else NO_USAGE
            self._usage[target] += msgspec.structs.replace(part, cost_usd=usage.cost_usd if cost else None)
        if draft.is_model and target != span_id and len(near) == 1:
            inner = self._drafts[target]
            if (draft.input or draft.output) and not inner.input and not inner.output:
                # the outermost says it all; an inner one that says it too is closer to the call
                self._donors[target] = draft

    def _span(self, span_id: str, *, has_donated: bool) -> Span:
        draft = self._drafts[span_id]
        key = ("", span_id)
        if self._tree.is_call(key):
            span = model_span(draft, self._usage[span_id], self._donors.get(span_id))
        elif draft.kind == "tool":
            tool = msgspec.structs.replace(self._tools[span_id], span_id=span_id)
            span = repeated_tool_span(draft, tool) if self._tree.is_repeat(key) else tool_span(draft, tool)
        else:
            span = plain_span(draft, has_donated=has_donated)
        return adopted(span, span_id, self._family.parents[span_id])


def _merged(outer: ToolCall, inner: ToolCall) -> ToolCall:
    return msgspec.structs.replace(
        outer,
        arguments=inner.arguments if outer.arguments is None else outer.arguments,
        result=inner.result if outer.result is None else outer.result,
        error=outer.error or inner.error,
        id=outer.id or inner.id,
    )


def _rank(raw: RawSpan) -> tuple[bool, int, bytes]:
    return raw.is_finished, raw.end_ns, hashlib.blake2b(encode_raw(raw), digest_size=16).digest()


def _size(raw: RawSpan) -> int:
    return sum(map(_size_of, (raw.attributes, raw.resource, *(event.attributes for event in raw.events))))


def _size_of(attributes: dict[str, Any]) -> int:
    return sum(
        len(value) if isinstance(value, str) else 8 if not isinstance(value, (list, dict)) else _deep_size(value)
        for value in attributes.values()
    )


def _deep_size(value: Any) -> int:
    return len(msgspec.json.encode(value))


def _int(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
