"""Limits: an episode that uses more than it may is ended, and that counts against the agent."""

from __future__ import annotations

from assay.core.episode import Failure
from assay.core.usage import Limits
from assay.otel.normalize import TraceBuilder
from assay.otel.raw import RawSpan


class LimitWatch:
    """Collects the spans of one episode and says when they have used too much."""

    def __init__(self, limits: Limits, trace_id: str) -> None:
        self.builder = TraceBuilder(trace_id, max_spans=limits.spans)
        """Makes the trace of all spans so far."""
        self.failure: Failure | None = None
        """Why the episode must end; None while it may go on."""
        self._limits = limits
        self._counts = any(limit is not None for limit in (limits.tool_calls, limits.tokens, limits.cost_usd))

    def add(self, span: RawSpan) -> Failure | None:
        """Take a span; returns the failure when a limit is passed with this or an earlier one."""
        self.builder.add(span)
        if self._counts and self.failure is None:
            self.failure = self._check()
        return self.failure

    def _check(self) -> Failure | None:
        usage, limits = self.builder.usage, self._limits
        if limits.tool_calls is not None and usage.tool_calls > limits.tool_calls:
            return _passed("tool_calls", f"{usage.tool_calls} tool calls", "tool_calls", limits.tool_calls)
        if limits.tokens is not None and usage.tokens > limits.tokens:
            return _passed("tokens", f"{usage.tokens} tokens", "tokens", limits.tokens)
        if limits.cost_usd is not None and usage.cost_usd is not None and usage.cost_usd > limits.cost_usd:
            return _passed("cost", f"${usage.cost_usd:.4f}", "cost_usd", limits.cost_usd)
        return None


def timed_out(limits: Limits) -> Failure:
    """Return the failure of an episode that took too long."""
    return _passed("timeout", f"{limits.wall_s:.1f} s", "wall_s", limits.wall_s)


def out_of_memory(limits: Limits) -> Failure:
    """Return the failure of an episode that asked for more memory than it may have."""
    return _passed("memory", "asking for more memory", "memory_mb", limits.memory_mb or 0)


def _passed(kind: str, used: str, limit: str, value: float) -> Failure:
    return Failure(boundary="limit", kind=kind, message=f"stopped after {used} (limit {limit} = {value:g})")
