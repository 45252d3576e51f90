"""Numbers in prose."""

from __future__ import annotations

import math
import re
from typing import Any

# A number starts where no word, number or decimal mark ends: the 136 of HAT136 and the minus of 2026-01-15 are none.
_NUMERAL = (
    r"(?<![\w{point}])(?P<sign>[-+\u2212])?[$€£¥]?"
    r"(?P<whole>[0-9]{{1,3}}(?:[{group}][0-9]{{3}})+(?![0-9])|[0-9]+|(?={point}[0-9]))"
    r"(?:{point}(?P<part>[0-9]+))?(?P<power>[eE][-+]?[0-9]{{1,3}}(?!\w))?"
)
_GROUPS = "\u00a0\u202f\u2009'\u2019_"
_EXPRESSIONS = {
    point: re.compile(_NUMERAL.format(point=re.escape(point), group=other + _GROUPS))
    for point, other in ((".", ","), (",", "."))
}


def numbers_in(value: Any, *, decimal: str = ".") -> list[float]:
    """Return the finite numbers of a value: a number is itself, text is searched, anything else has none.

    "$1,234.50", "-3 °C", "12kg", ".5" and "1e6" are numbers; digits inside words ("HAT136") are not. `decimal` is the
    decimal mark of text; the other mark, apostrophes, underscores and no-break spaces between groups of three digits
    separate thousands (plain spaces do not: "rooms 102 103" are two numbers).
    """
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [number for number in (_as_float(value),) if math.isfinite(number)]
    if not isinstance(value, str):
        return []
    found = (_read(match) for match in _EXPRESSIONS[decimal].finditer(value))
    return [number for number in found if math.isfinite(number)]


def _read(match: re.Match[str]) -> float:
    whole = "".join(character for character in match["whole"] if character.isdigit())
    number = float(f"{whole or 0}.{match['part'] or 0}{match['power'] or ''}")
    return -number if match["sign"] in {"-", "\u2212"} else number


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond the range of floats
        return math.inf
