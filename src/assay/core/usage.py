"""What an episode spent and what it may spend."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, calls and money. Token counts follow OpenTelemetry: input includes cached, output includes reasoning."""

    input_tokens: int = 0
    """Prompt tokens, cached ones included."""
    output_tokens: int = 0
    """Generated tokens, reasoning included."""
    cache_read_tokens: int = 0
    """Prompt tokens read from the provider's cache."""
    cache_write_tokens: int = 0
    """Prompt tokens written to the provider's cache."""
    reasoning_tokens: int = 0
    """Generated tokens spent on reasoning."""
    model_calls: int = 0
    """Calls to a model."""
    tool_calls: int = 0
    """Calls of a tool."""
    cost_usd: float | None = None
    """Money in US dollars; None means unknown, never zero."""

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages; an unknown cost stays unknown only if neither side knows one."""
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            cost_usd=sum(costs) if costs else None,
        )


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one episode may use. Passing a limit ends the episode as `agent_error`; None means no limit."""

    wall_s: float = 300.0
    """Seconds of wall time."""
    tool_calls: int | None = None
    """Tool calls seen in the trace."""
    tokens: int | None = None
    """Tokens seen in the trace, in and out."""
    cost_usd: float | None = None
    """Money seen in the trace, in US dollars."""
    memory_mb: int | None = None
    """Address space of the agent's process, in MiB (`process` and `jail` isolation)."""
    output_kb: int = 1024
    """KiB of output, and of stdout and stderr each, that are kept; the rest is cut and marked."""
    spans: int = 10_000
    """Spans that are kept; later ones are counted only."""


NO_USAGE = Usage()
