"""Judges for the airline tasks of tau-bench: the recorded reward, and two that come to it from the trace alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from assay import Verdict, judge

if TYPE_CHECKING:
    from assay import Episode, ToolCall

WRITE_TOOLS = frozenset(
    {
        "book_reservation",
        "cancel_reservation",
        "send_certificate",
        "update_reservation_baggages",
        "update_reservation_flights",
        "update_reservation_passengers",
    }
)
"""The tools that change the airline's database; all others only read, reckon or hand over."""
FLIGHT_KEYS = ("flight_number", "date")
"""What the tools read of a flight; agents also send origin and destination, which are ignored."""


@judge
def recorded_reward(episode: Episode) -> Verdict:
    """Read what the benchmark itself said: the attempt passed if it got the full reward."""
    for span in episode.trace.spans:
        reward = span.attributes.get("tau_bench.reward")
        if reward is not None:
            return Verdict(passed=reward >= 1.0, score=float(reward), reason=f"the recorded reward is {reward:g}")
    return Verdict(passed=None, reason="no span records a reward")


@judge
def write_actions_match(episode: Episode) -> Verdict:
    """Compare the calls that changed the database with the golden ones: as many of each, in any order.

    Calls that failed changed nothing and do not count.
    """
    calls = [call for call in episode.trace.tool_calls if call.name in WRITE_TOOLS and not call.error]
    made = Counter(_written(call.name, call.arguments) for call in calls)
    golden = Counter(
        _written(action["tool"], action["arguments"])
        for action in episode.case.expected["actions"]
        if action["tool"] in WRITE_TOOLS
    )
    missing, extra = golden - made, made - golden
    said = [f"not done: {action}" for action in missing.elements()] + [f"done: {action}" for action in extra.elements()]
    reason = "; ".join(said) or "the database was changed as the golden actions change it"
    return Verdict(passed=not said, reason=reason, evidence=_spans(calls, extra))


@judge
def outputs_said(episode: Episode) -> Verdict:
    """Look for everything that the user had to be told; numbers count without thousands separators."""
    said = [str(output).casefold().replace(",", "") for output in episode.outputs]
    wanted: list[str] = episode.case.expected["outputs"]
    missing = [output for output in wanted if not any(output.casefold() in text for text in said)]
    if missing:
        return Verdict(passed=False, reason=f"never said: {', '.join(missing)}")
    return Verdict(passed=True, reason=f"said: {', '.join(wanted)}" if wanted else "nothing had to be said")


def _written(tool: str, arguments: Any) -> str:
    """Spell a call so that calls with the same effect are spelled alike."""
    if isinstance(arguments, dict) and isinstance(arguments.get("flights"), list):
        flights = [
            {key: flight.get(key) for key in FLIGHT_KEYS} if isinstance(flight, dict) else flight
            for flight in arguments["flights"]
        ]
        arguments = arguments | {"flights": flights}
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"


def _spans(calls: list[ToolCall], wrong: Counter[str]) -> tuple[str, ...]:
    return tuple(call.span_id for call in calls if _written(call.name, call.arguments) in wrong)
