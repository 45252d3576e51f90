"""Which spans count: every model call, token and cent once, however many instrumentations reported it.

Frameworks repeat on an outer span what the calls inside it used, and two instrumentations may see the same call. So of
the spans that report model calls, tokens or money, the innermost count. A tool in between is a border: what runs inside
a tool is not the call around it. Spans arrive in any order; each changes the totals as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec

from assay.core.trace import ToolCall
from assay.core.usage import NO_USAGE, Usage

Key: TypeAlias = tuple[str, str]
"""Trace id and span id."""

_CALL, _TOKENS, _COST = 1, 2, 4
_NEAR = _CALL | _TOKENS | _COST
_FAR = 3
"""Bits shifted by this mean: reported by a model call below, tools crossed or not."""


class Role(Enum):
    """What a span is to the count."""

    model = "model"
    """A model call by its own word."""
    tool = "tool"
    """A tool execution."""
    other = "other"
    """Anything else; it may report the usage of what is inside it."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one span reports."""

    role: Role
    """What it is."""
    usage: Usage
    """Its tokens and money."""
    tool: ToolCall | None = None
    """The execution, for tools."""
    messages: int = 0
    """Length of the conversation, for model calls."""
    requested: int = 0
    """Tool calls that the conversation requests."""

    @property
    def marks(self) -> int:
        """What it claims to be or to have used, as bits."""
        if self.role is Role.tool:
            return 0
        used = (_TOKENS if self.usage.tokens else 0) | (_COST if self.usage.cost_usd is not None else 0)
        return used | (_CALL if used or self.role is Role.model else 0)


@dataclass(slots=True)
class _Node:
    parent: Key
    report: Report
    marks: int
    counted: int = 0
    is_repeat: bool = False


class CallTree:
    """Counts spans as they arrive, in any order; the result depends on the set of spans only."""

    def __init__(self) -> None:
        self._nodes: dict[Key, _Node] = {}
        self._below: dict[Key, int] = {}
        self._tools_below: dict[Key, list[Key]] = {}
        self._tokens = NO_USAGE
        self._cost = 0.0
        self._costs = 0
        self._calls = 0
        self._tools = 0

    def add(self, key: Key, parent: Key, report: Report) -> None:
        """Add a span, or replace what an earlier version of it reported."""
        old = self._nodes.get(key)
        if old is not None:
            self._settle(old, 0)
            if old.report.role is Role.tool and not old.is_repeat:
                self._tools -= 1
        node = _Node(parent=parent, report=report, marks=report.marks)
        self._nodes[key] = node
        self._settle(node, self._due(key, node))
        if report.role is Role.tool:
            self._add_tool(key, node, is_new=old is None)
        self._climb(key)

    def is_call(self, key: Key) -> bool:
        """Whether the span counts as one model call."""
        return bool(self._nodes[key].counted & _CALL)

    def counts_tokens(self, key: Key) -> bool:
        """Whether the span's tokens count."""
        return bool(self._nodes[key].counted & _TOKENS)

    def counts_cost(self, key: Key) -> bool:
        """Whether the span's money counts."""
        return bool(self._nodes[key].counted & _COST)

    def is_repeat(self, key: Key) -> bool:
        """Whether a tool span reports the same execution as its parent."""
        return self._nodes[key].is_repeat

    @property
    def usage(self) -> Usage:
        """Everything that counts so far; `tool_calls` are executions only."""
        return msgspec.structs.replace(
            self._tokens,
            model_calls=self._calls,
            tool_calls=self._tools,
            cost_usd=max(self._cost, 0.0) if self._costs else None,
        )

    def _due(self, key: Key, node: _Node) -> int:
        """Return the marks of a span that nothing below it makes a repetition."""
        below = self._below.get(key, 0)
        covered = below & _NEAR
        if node.report.role is Role.other:
            covered |= below >> _FAR
        return node.marks & ~covered

    def _settle(self, node: _Node, due: int) -> None:
        """Bring the totals in line with what now counts of one span."""
        changed = node.counted ^ due
        if not changed:
            return
        usage = node.report.usage
        if changed & _CALL:
            self._calls += 1 if due & _CALL else -1
        if changed & _TOKENS:
            self._tokens = _sum(self._tokens, usage, 1 if due & _TOKENS else -1)
        if changed & _COST and usage.cost_usd is not None:
            sign = 1 if due & _COST else -1
            self._cost += sign * usage.cost_usd
            self._costs += sign
        node.counted = due

    def _climb(self, key: Key) -> None:
        """Tell the ancestors what is below them, as far up as that is news and they have arrived."""
        node = self._nodes.get(key)
        while node is not None:
            below = self._below.get(key, 0)
            near, far = node.marks | (below & _NEAR), below >> _FAR
            if node.report.role is Role.tool:
                near = 0
            elif node.report.role is Role.model:
                far |= node.marks
            news = near | far << _FAR
            key = node.parent
            known = self._below.get(key, 0)
            if known | news == known:
                return
            self._below[key] = known | news
            node = self._nodes.get(key)
            if node is not None:
                self._settle(node, self._due(key, node))

    def _add_tool(self, key: Key, node: _Node, *, is_new: bool) -> None:
        self._tools += 1
        parent = self._nodes.get(node.parent)
        if parent is not None and parent is not node:
            self._mark_repeat(node, parent)
        if is_new:
            for below in self._tools_below.get(key, ()):
                self._mark_repeat(self._nodes[below], node)
            self._tools_below.setdefault(node.parent, []).append(key)

    def _mark_repeat(self, node: _Node, parent: _Node) -> None:
        own, outer = node.report.tool, parent.report.tool
        if node.is_repeat or own is None or outer is None or not is_same_execution(own, outer):
            return
        node.is_repeat = True
        self._tools -= 1


def is_same_execution(one: ToolCall, other: ToolCall) -> bool:
    """Whether two nested tool spans report one execution: same name, and nothing that differs."""
    return (
        one.name == other.name
        and (one.id == other.id or not one.id or not other.id)
        and (one.arguments == other.arguments or one.arguments is None or other.arguments is None)
    )


def _sum(total: Usage, part: Usage, sign: int) -> Usage:
    return Usage(
        input_tokens=total.input_tokens + sign * part.input_tokens,
        output_tokens=total.output_tokens + sign * part.output_tokens,
        cache_read_tokens=total.cache_read_tokens + sign * part.cache_read_tokens,
        cache_write_tokens=total.cache_write_tokens + sign * part.cache_write_tokens,
        reasoning_tokens=total.reasoning_tokens + sign * part.reasoning_tokens,
    )
