"""Who is whose child: ids and parents of spans that may come from several traces, twice, orphaned or in a circle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from assay.core.trace import Span
from assay.otel.calls import Key
from assay.otel.raw import RawSpan


class Family:
    """The spans of one episode as one tree; the result depends on the set of spans only."""

    def __init__(self, order: list[Key], ids: dict[Key, str], parents: dict[str, str]) -> None:
        self.order = order
        """Keys of the spans by start, end and id."""
        self.ids = ids
        """Final span id of each; only spans whose id another trace or the root uses as well have a new one."""
        self.parents = parents
        """Final span id -> parent id; free of cycles."""
        self.depths: dict[str, int] = {}
        """Final span id -> number of ancestors in the trace, plus one."""

    @classmethod
    def of(cls, spans: Sequence[RawSpan], trace_id: str, root: Span | None) -> Family:
        """Settle ids and parents; with a root, spans without a known parent become its children."""
        ordered = sorted(spans, key=lambda raw: (raw.start_ns, raw.end_ns, raw.trace_id, raw.span_id))
        ids = _ids(ordered, trace_id, root)
        parents: dict[str, str] = {}
        for raw in ordered:
            parent = ids.get((raw.trace_id, raw.parent_id))
            if root is not None and (parent is None or raw.parent_id == root.span_id):
                parent = root.span_id
            parents[ids[raw.trace_id, raw.span_id]] = raw.parent_id if parent is None else parent
        family = cls([(raw.trace_id, raw.span_id) for raw in ordered], ids, parents)
        family._settle_depths("" if root is None else root.span_id)
        return family

    def _settle_depths(self, root_id: str) -> None:
        rank = {self.ids[key]: place for place, key in enumerate(self.order)}
        for key in self.order:
            path, end = self._path(self.ids[key], rank, root_id)
            depth = self.depths.get(end, 0)
            for member in reversed(path):
                depth += 1
                self.depths[member] = depth

    def _path(self, start: str, rank: dict[str, int], root_id: str) -> tuple[list[str], str]:
        """Walk up to the first span of known depth; a circle on the way is opened at its earliest span."""
        while True:
            path: dict[str, None] = {}
            node = start
            while node in self.parents and node not in self.depths and node not in path:
                path[node] = None
                node = self.parents[node]
            members = list(path)
            if node not in path:
                return members, node
            self.parents[min(members[members.index(node) :], key=rank.__getitem__)] = root_id


def _ids(ordered: Sequence[RawSpan], trace_id: str, root: Span | None) -> dict[Key, str]:
    """Keep span ids; on a collision the spans of the episode's own trace come first, then those in order."""
    ids: dict[Key, str] = {}
    taken = set() if root is None else {root.span_id}
    for raw in sorted(ordered, key=lambda raw: raw.trace_id != trace_id):
        span_id, salt = raw.span_id, 0
        while span_id in taken:
            data = f"{raw.trace_id}{raw.span_id}{salt}".encode()
            span_id, salt = hashlib.blake2b(data, digest_size=8).hexdigest(), salt + 1
        taken.add(span_id)
        ids[raw.trace_id, raw.span_id] = span_id
    return ids
