"""Patterns over JSON values: objects match by the keys that are given, `$` operators match what cannot be spelled out.

| operator | matches |
|---|---|
| `{"$any": true}` | anything that is there |
| `{"$absent": true}` | a key that is not there |
| `{"$regex": "^HB-"}` | text in which the expression is found |
| `{"$contains": "x"}` | text that contains it, or a list with an item that matches it |
| `{"$in": [1, 2]}` | anything that one of the patterns matches |
| `{"$not": 0}` | anything that the pattern does not match |
| `{"$gte": 1, "$lte": 5}` | numbers (or texts, by their order) within the bounds; one bound is enough |

Everything else is compared as JSON: lists item by item, 1 equals 1.0 and is not true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from assay.core.tables import join_key, nearest
from assay.judges.subject import MISSING, shown

_MOST_DIFFERENCES = 20


def matches(pattern: Any, value: Any) -> bool:
    """Whether the value fits the pattern."""
    return next(differences(pattern, value), None) is None


def differences(pattern: Any, value: Any, at: str = "") -> Iterator[str]:
    """Yield where and how a value differs from a pattern; nothing when it matches."""
    if isinstance(pattern, dict):
        if _is_operator(pattern):
            yield from (_said(at, problem) for name in pattern if (problem := _OPERATORS[name](pattern[name], value)))
        elif not isinstance(value, dict):
            yield _expected(at, pattern, value)
        else:
            for key, part in pattern.items():
                yield from differences(part, value.get(key, MISSING), join_key(at, str(key)))
    elif isinstance(pattern, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(pattern):
            yield _expected(at, pattern, value)
        else:
            for index, (part, item) in enumerate(zip(pattern, value, strict=True)):
                yield from differences(part, item, f"{at}[{index}]")
    elif not equal(pattern, value):
        yield _expected(at, pattern, value)


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 equals 1.0 and is not true; tuples are lists."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def pattern_problems(pattern: Any, at: str = "") -> Iterator[str]:
    """Yield what is wrong with a pattern: unknown operators and operands that they cannot take."""
    if isinstance(pattern, dict):
        named = [key for key in pattern if str(key).startswith("$")]
        if named and len(named) < len(pattern):
            yield _said(at, f"mixes operators ({', '.join(named)}) with keys")
            return
        for key, part in pattern.items():
            if key in named:
                yield from (_said(at, problem) for problem in _operand_problems(key, part))
            else:
                yield from pattern_problems(part, join_key(at, str(key)))
    elif isinstance(pattern, list | tuple):
        for index, part in enumerate(pattern):
            yield from pattern_problems(part, f"{at}[{index}]")


def assign(patterns: Sequence[Any], values: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Pair every pattern with a value of its own, as many as can be paired.

    Returns the positions of the patterns and of the values that are left over (augmenting paths, so that a wide
    pattern does not take the only value of a narrow one).
    """
    fits = [[index for index, value in enumerate(values) if matches(pattern, value)] for pattern in patterns]
    taken_by: dict[int, int] = {}

    def place(pattern: int, tried: set[int]) -> bool:
        for value in fits[pattern]:
            if value not in tried:
                tried.add(value)
                if value not in taken_by or place(taken_by[value], tried):
                    taken_by[value] = pattern
                    return True
        return False

    left = [pattern for pattern in range(len(patterns)) if not place(pattern, set())]
    return left, [value for value in range(len(values)) if value not in taken_by]


def nearest_value(pattern: Any, values: Sequence[Any]) -> str:
    """Say how the value that differs least from a pattern differs from it; empty when there are no values."""
    lists = ([*_first(differences(pattern, value))] for value in values)
    return "; ".join(min(lists, key=len, default=[]))


def _first(items: Iterator[str]) -> Iterator[str]:
    for _, item in zip(range(_MOST_DIFFERENCES), items, strict=False):
        yield item


def _is_operator(pattern: dict[Any, Any]) -> bool:
    return bool(pattern) and all(key in _OPERATORS for key in pattern)


def _said(at: str, problem: str) -> str:
    return f"{at}: {problem}" if at else problem


def _expected(at: str, pattern: Any, value: Any) -> str:
    return _said(at, f"expected {shown(pattern)}, got {shown(value)}")


def _operand_problems(name: str, operand: Any) -> Iterator[str]:
    if name not in _OPERATORS:
        yield f"unknown operator {name} ({nearest(name, _OPERATORS) or ', '.join(_OPERATORS)})"
    elif name in {"$any", "$absent"} and operand is not True:
        yield f"{name} takes true"
    elif name == "$regex":
        yield from _regex_problems(operand)
    elif name == "$in" and not (isinstance(operand, list | tuple) and operand):
        yield "$in takes a list"
    elif name in {"$gte", "$lte"} and (isinstance(operand, bool) or not isinstance(operand, int | float | str)):
        yield f"{name} takes a number or text"
    elif name in {"$in", "$not", "$contains"}:
        yield from pattern_problems(operand, name)


def _regex_problems(operand: Any) -> Iterator[str]:
    if not isinstance(operand, str):
        yield "$regex takes text"
        return
    try:
        re.compile(operand)
    except (re.error, RecursionError, OverflowError) as error:
        yield f"$regex {shown(operand)}: {error}"


def _any(operand: Any, value: Any) -> str:
    return "expected anything, got nothing" if value is MISSING else ""


def _absent(operand: Any, value: Any) -> str:
    return "" if value is MISSING else f"expected nothing, got {shown(value)}"


def _regex(operand: Any, value: Any) -> str:
    found = isinstance(value, str) and re.search(operand, value)
    return "" if found else f"expected text that matches {shown(operand)}, got {shown(value)}"


def _contains(operand: Any, value: Any) -> str:
    if isinstance(value, str):
        found = isinstance(operand, str) and operand in value
    else:
        found = isinstance(value, list | tuple) and any(matches(operand, item) for item in value)
    return "" if found else f"expected something that contains {shown(operand)}, got {shown(value)}"


def _in(operand: Any, value: Any) -> str:
    found = any(matches(option, value) for option in operand)
    return "" if found else f"expected one of {shown(operand)}, got {shown(value)}"


def _not(operand: Any, value: Any) -> str:
    return f"expected anything but {shown(operand)}, got {shown(value)}" if matches(operand, value) else ""


def _at_least(operand: Any, value: Any) -> str:
    fits = _comparable(operand, value) and value >= operand
    return "" if fits else f"expected at least {shown(operand)}, got {shown(value)}"


def _at_most(operand: Any, value: Any) -> str:
    fits = _comparable(operand, value) and value <= operand
    return "" if fits else f"expected at most {shown(operand)}, got {shown(value)}"


def _comparable(operand: Any, value: Any) -> bool:
    if isinstance(operand, str):
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


_OPERATORS: dict[str, Callable[[Any, Any], str]] = {
    "$any": _any,
    "$absent": _absent,
    "$regex": _regex,
    "$contains": _contains,
    "$in": _in,
    "$not": _not,
    "$gte": _at_least,
    "$lte": _at_most,
}
