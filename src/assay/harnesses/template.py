"""Templates: where a case's values go in a request or a command line. Values are placed, never spliced into JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from assay.core.protocols import Attempt
from assay.core.tables import nearest

NAMES = ("input", "case_id", "seed", "attempt", "turn", "conversation_id", "messages")
"""Placeholders of every template, written in braces."""

_MARK = re.compile(r"\{([a-z_]+)\}")


def turn_values(attempt: Attempt, turn: int, outputs: list[Any]) -> dict[str, Any]:
    """Return the values of all placeholders for one turn (from 0), after the answers to the earlier turns."""
    turns = attempt.case.turns
    return {
        "input": turns[turn],
        "case_id": attempt.case.id,
        "seed": attempt.seed,
        "attempt": attempt.number,
        "turn": turn,
        "conversation_id": attempt.episode_id,
        "messages": _messages(turns[: turn + 1], outputs),
    }


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill in a structure. A string that is one placeholder becomes the value itself, whatever its type."""
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if not isinstance(template, str):
        return template
    whole = _MARK.fullmatch(template)
    if whole is not None and whole[1] in values:
        return values[whole[1]]
    return fill_text(template, values)


def fill_text(template: str, values: Mapping[str, Any]) -> str:
    """Fill in text; what is no text is written as JSON. Placeholders inside values stay as they are."""
    return _MARK.sub(lambda mark: as_text(values[mark[1]]) if mark[1] in values else mark[0], template)


def fill_url(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a URL, values percent-encoded."""
    return _MARK.sub(lambda mark: quote(as_text(values[mark[1]]), safe="") if mark[1] in values else mark[0], template)


def mistakes(template: Any, known: tuple[str, ...] = NAMES) -> Iterator[str]:
    """Yield a sentence for every placeholder that looks like a misspelled one."""
    if isinstance(template, dict):
        for value in template.values():
            yield from mistakes(value, known)
    elif isinstance(template, list):
        for item in template:
            yield from mistakes(item, known)
    elif isinstance(template, str):
        for mark in _MARK.finditer(template):
            hint = nearest(mark[1], known) if mark[1] not in known else ""
            if hint:
                yield f"{mark[0]} is no placeholder, {hint}"


def as_text(value: Any) -> str:
    """Return text as it is and everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _messages(turns: tuple[Any, ...], outputs: list[Any]) -> list[Any]:
    """Return the conversation so far as role and content, the turn to be answered last."""
    first = turns[0]
    if len(turns) == 1 and isinstance(first, list) and all(isinstance(item, dict) and "role" in item for item in first):
        return first
    conversation: list[Any] = []
    for number, turn in enumerate(turns):
        conversation.append({"role": "user", "content": as_text(turn)})
        if number < len(outputs):
            conversation.append({"role": "assistant", "content": as_text(outputs[number])})
    return conversation
