"""The judge `trajectory`: which tools were called, with what, in which order, how often."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from assay.core.episode import Episode
from assay.core.errors import ConfigError, Problem
from assay.core.tables import convert_table
from assay.core.trace import ToolCall
from assay.core.verdict import Verdict
from assay.judges.builtin import BuiltIn, unjudged
from assay.judges.patterns import assign, matches, nearest_value, pattern_problems
from assay.judges.subject import as_text, shown, value_at

_MOST_COMPLAINTS = 20
_NAME_CHARS = 200


class ExpectedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call of a tool."""

    tool: str
    """Its name; `*`, `?` and `[...]` match."""
    arguments: dict[str, Any] = {}
    """A pattern for its arguments: those that are not named may be anything."""


class Complaint(NamedTuple):
    """One thing that is wrong with a trajectory."""

    reason: str
    """What."""
    calls: Sequence[ToolCall] = ()
    """The calls at fault; none when a call is missing."""


class Trajectory(BuiltIn, frozen=True, kw_only=True):
    """The tool calls obey rules: those given here and those of the case. A call is named by its tool, or with arguments.

    `Trajectory(required=("search", ExpectedCall(tool="book", arguments={"room": "102"})), order="in_order")`. Evidence
    are the spans of the calls at fault.
    """

    kind: ClassVar[str] = "trajectory"
    shorthand: ClassVar[str] = "required"

    expected: str = ""
    """Where further rules stand in `case.expected` (JSON Pointer or dotted path): a list of required calls, or a table
    of these settings, for which `order`, `allow_failed`, `only` and `ignore` are taken from here unless it says so."""
    required: tuple[str | ExpectedCall, ...] = ()
    """Calls that must be made, each by a call of its own."""
    order: Literal["any", "in_order", "exact"] = "any"
    """`any` order; `in_order`, other calls may lie between; `exact`, these calls and no others."""
    forbidden: tuple[str | ExpectedCall, ...] = ()
    """Calls that must not be made, not even in vain."""
    max_calls: dict[str, int] = msgspec.field(default_factory=dict)
    """Tool (`*`, `?` and `[...]` match) -> calls that may be made."""
    max_total: int | None = None
    """Calls that may be made in all."""
    no_repeats: bool = False
    """No call may be made twice with the same arguments."""
    allow_failed: bool = False
    """Whether a call that failed counts as one that was required."""
    only: tuple[str, ...] = ()
    """Look at these tools and no others (`*`, `?` and `[...]` match); empty means all."""
    ignore: tuple[str, ...] = ()
    """Tools that are not looked at (`*`, `?` and `[...]` match)."""

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings."""
        for key, calls in (("required", self.required), ("forbidden", self.forbidden)):
            for index, call in enumerate(map(_call, calls)):
                found = pattern_problems(call.arguments)
                yield from (Problem(message=problem, key=f"{key}[{index}].arguments") for problem in found)
                if not call.tool:
                    yield Problem(message="names no tool", key=f"{key}[{index}]")
        for key, most in {
            "max_total": self.max_total,
            **{f"max_calls.{k}": v for k, v in self.max_calls.items()},
        }.items():
            if most is not None and most < 0:
                yield Problem(message="must be 0 or more", key=key)
        if not (self._has_own_rules or self.expected):
            yield Problem(message="has no rule", hint="give required, forbidden, max_calls, max_total or expected")

    def judge(self, episode: Episode) -> Verdict:
        """Check the calls; unjudged when the case has no rules at `expected`, or none that can be read."""
        calls = episode.trace.tool_calls
        complaints = list(_complaints(self, calls)) if self._has_own_rules else []
        if self.expected:
            value = value_at(episode.case.expected, self.expected)
            if not isinstance(value, list | Mapping):
                return unjudged(f"case.expected has no rules at '{self.expected}': {shown(value)}")
            try:
                complaints += _complaints(self._rules_of_case(value), calls)
            except ConfigError as error:
                return unjudged(f"the rules at '{self.expected}' cannot be read: {error}")
        said = [complaint.reason for complaint in complaints[:_MOST_COMPLAINTS]]
        if len(complaints) > _MOST_COMPLAINTS:
            said.append(f"and {len(complaints) - _MOST_COMPLAINTS} more")
        spans = dict.fromkeys(call.span_id for complaint in complaints for call in complaint.calls if call.span_id)
        return Verdict(passed=not complaints, reason="; ".join(said), evidence=tuple(spans))

    @property
    def _has_own_rules(self) -> bool:
        named = self.required or self.forbidden or self.max_calls or self.no_repeats or self.max_total is not None
        return bool(named) or (self.order == "exact" and not self.expected)

    def _rules_of_case(self, value: list[Any] | Mapping[str, Any]) -> Trajectory:
        table: Mapping[str, Any] = {"required": value} if isinstance(value, list) else value
        inherited = ("expected", "order", "allow_failed", "only", "ignore")
        return convert_table({**{name: getattr(self, name) for name in inherited}, **table}, Trajectory)


def _complaints(rules: Trajectory, calls: Sequence[ToolCall]) -> Iterator[Complaint]:
    calls = [
        call
        for call in calls
        if (not rules.only or _is_one_of(call, rules.only)) and not _is_one_of(call, rules.ignore)
    ]
    counted = [call for call in calls if rules.allow_failed or not call.error]
    required = [_call(call) for call in rules.required]
    yield from {"any": _unordered, "in_order": _in_order, "exact": _exactly}[rules.order](required, counted)
    for unwanted in rules.forbidden:
        found = [call for call in calls if matches(_pattern(_call(unwanted)), _value(call))]
        if found:
            times = f" ({len(found)} times)" if len(found) > 1 else ""
            yield Complaint(f"forbidden and called: {_said(found[0])}{times}", found)
    for tool, most in rules.max_calls.items():
        found = [call for call in calls if fnmatch.fnmatchcase(call.name, tool)]
        if len(found) > most:
            yield Complaint(f"{tool} was called {len(found)} times, at most {most} are allowed", found[most:])
    if rules.max_total is not None and len(calls) > rules.max_total:
        reason = f"{len(calls)} calls were made, at most {rules.max_total} are allowed"
        yield Complaint(reason, calls[rules.max_total :])
    if rules.no_repeats:
        yield from _repeats(calls)


def _unordered(required: Sequence[ExpectedCall], calls: Sequence[ToolCall]) -> Iterator[Complaint]:
    values = [_value(call) for call in calls]
    missing, extra = assign([_pattern(call) for call in required], values)
    spare = [values[index] for index in extra]
    yield from (Complaint(_missing(required[index], spare)) for index in missing)


def _in_order(required: Sequence[ExpectedCall], calls: Sequence[ToolCall]) -> Iterator[Complaint]:
    remaining = iter(calls)
    for position, wanted in enumerate(required):
        # `any` takes calls off the iterator up to the one that fits, so that the next one has to come later.
        if not any(matches(_pattern(wanted), _value(call)) for call in remaining):
            after = f" after {_said(required[position - 1])}" if position else ""
            yield Complaint(_missing(wanted, [_value(call) for call in calls], after))
            return


def _exactly(required: Sequence[ExpectedCall], calls: Sequence[ToolCall]) -> Iterator[Complaint]:
    for position, (wanted, call) in enumerate(zip(required, calls, strict=False), 1):
        if not matches(_pattern(wanted), _value(call)):
            yield Complaint(f"call {position} must be {_said(wanted)}, it was {_said(call)}", [call])
            return
    for wanted in required[len(calls) :]:
        yield Complaint(_missing(wanted, ()))
    extra = calls[len(required) :]
    if extra:
        yield Complaint(f"not expected: {', '.join(_said(call) for call in extra[:5])}", extra)


def _repeats(calls: Sequence[ToolCall]) -> Iterator[Complaint]:
    same: dict[str, list[ToolCall]] = {}
    for call in calls:
        same.setdefault(as_text([call.name, call.arguments]), []).append(call)
    for repeated in same.values():
        if len(repeated) > 1:
            reason = f"the same call {len(repeated)} times: {_said(repeated[0])}"
            yield Complaint(reason, repeated[1:])


def _missing(wanted: ExpectedCall, candidates: Sequence[Any], after: str = "") -> str:
    """Say that a call is missing, and what the most similar call of the same tool did otherwise."""
    pattern = _pattern(wanted)
    same_tool = [value for value in candidates if matches(pattern["tool"], value["tool"])]
    nearest = "" if after else nearest_value(pattern, same_tool)
    return f"required and not called{after}: {_said(wanted)}" + (f" (nearest: {nearest})" if nearest else "")


def _call(call: str | ExpectedCall) -> ExpectedCall:
    return ExpectedCall(tool=call) if isinstance(call, str) else call


def _pattern(call: ExpectedCall) -> dict[str, Any]:
    wild = any(character in call.tool for character in "*?[")
    tool = {"$regex": rf"\A{fnmatch.translate(call.tool)}"} if wild else call.tool
    return {"tool": tool, "arguments": call.arguments} if call.arguments else {"tool": tool}


def _value(call: ToolCall) -> dict[str, Any]:
    return {"tool": call.name, "arguments": call.arguments}


def _said(call: ExpectedCall | ToolCall) -> str:
    name = (call.tool if isinstance(call, ExpectedCall) else call.name)[:_NAME_CHARS]
    return f"{name} {shown(call.arguments)}" if call.arguments else name


def _is_one_of(call: ToolCall, tools: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(call.name, tool) for tool in tools)
