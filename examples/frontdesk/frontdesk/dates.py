"""Read the dates of a stay out of a sentence, against the hotel's today.

Mentions are taken from left to right: the first is the arrival, the second the departure. That is all the grammar
there is, and where it ends the agent is wrong: it neither hears corrections ("no, the 15th") nor negations ("not the
14th"), and "next Friday" is always the coming Friday plus a week.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = rf"(?:\d{{1,3}}|{'|'.join(WORDS)})"

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FRIDAY = 4
_WEEKDAY = rf"(?:{'|'.join(_WEEKDAYS)})"
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>20\d\d))?"
_LAST = r"(?:\s*(?:-|\u2013|to|until|through)\s*(?:the\s+)?(?P<last>\d{1,2})(?:st|nd|rd|th)?)?"
_NAMED = rf"(?:{_WEEKDAY},?\s+(?:the\s+)?)?"

_MENTION = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>20\d\d)-(?P<number>\d{2})-(?P<day>\d{2})\b",
        rf"\b{_NAMED}{_MONTH}\.?\s+{_DAY}\b{_LAST}\b{_YEAR}",
        rf"\b{_NAMED}{_DAY}{_LAST}\s+(?:of\s+)?{_MONTH}\b{_YEAR}",
        r"\b(?:(?P<which>this|next)\s+)?(?P<weekend>weekend)\b",
        rf"\b(?:{_WEEKDAY},?\s+)?the\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)\b",
        rf"\b(?:(?P<which>this|next)\s+)?(?P<weekday>{_WEEKDAY})\b",
        r"\b(?P<word>today|tonight|(?:the\s+)?day after tomorrow|tomorrow)\b",
        rf"\bin\s+(?P<count>{NUMBER}|an?)\s+(?P<unit>day|week)s?\b",
    )
)
_DEPARTS = re.compile(r"\b(?:until|till|leaving|leave|departing|check(?:ing)?[ -]?out)\s+(?:on\s+)?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Stay:
    """The dates that a message names; each may be missing."""

    arrival: date | None = None
    departure: date | None = None


def number(text: str) -> int:
    """Read a count in digits or in words up to twelve ("a" is one)."""
    lowered = text.lower()
    if lowered in {"a", "an"}:
        return 1
    return WORDS.index(lowered) + 1 if lowered in WORDS else int(lowered)


def read_stay(text: str, today: date) -> Stay:
    """Return the arrival and the departure named in `text`."""
    found = _mentions(text)
    days: list[date] = []
    for match in found:
        days.extend(_resolve(match, today, days[-1] if days else None))
    if not days:
        return Stay()
    if len(days) == 1 and _DEPARTS.search(text[: found[0].start()]):
        return Stay(departure=days[0])
    return Stay(arrival=days[0], departure=days[1] if len(days) > 1 else None)


def _mentions(text: str) -> list[re.Match[str]]:
    """All dates in reading order; where two patterns overlap the earlier pattern wins."""
    found: list[re.Match[str]] = []
    for pattern in _MENTION:
        found.extend(
            match
            for match in pattern.finditer(text)
            if all(match.end() <= other.start() or match.start() >= other.end() for other in found)
        )
    return sorted(found, key=lambda match: match.start())


def _resolve(match: re.Match[str], today: date, previous: date | None) -> list[date]:
    """Turn one mention into its day, or first and last day; none where the calendar has no such day."""
    part = match.groupdict()
    try:
        if part.get("month") or part.get("number"):
            return _calendar(part, today)
        if part.get("day"):
            return [_day_of_month(int(part["day"]), previous or today)]
    except ValueError:  # February 30
        return []
    if part.get("weekend"):
        friday = _weekday(_FRIDAY, today, part.get("which"))
        return [friday, friday + timedelta(days=2)]
    if part.get("weekday"):
        return [_weekday(_WEEKDAYS.index(part["weekday"].lower()), previous or today, part.get("which"))]
    return [today + timedelta(days=_days_ahead(part))]


def _days_ahead(part: dict[str, str]) -> int:
    if part.get("count"):
        return number(part["count"]) * (7 if part["unit"].lower() == "week" else 1)
    word = part["word"].lower()
    return 2 if word.endswith("day after tomorrow") else 1 if word == "tomorrow" else 0


def _calendar(part: dict[str, str], today: date) -> list[date]:
    month = int(part["number"]) if part.get("number") else _MONTHS.index(part["month"][:3].lower()) + 1
    days = [int(part["day"])] + ([int(part["last"])] if part.get("last") else [])
    if part["year"]:
        return [date(int(part["year"]), month, day) for day in days]
    year = today.year if date(today.year, month, days[0]) >= today else today.year + 1
    return [date(year, month, day) for day in days]


def _day_of_month(day: int, start: date) -> date:
    """Return the first such day that is not before `start`; a month without that day is passed over."""
    if not 1 <= day <= 31:
        raise ValueError(day)
    found = start
    while found.day != day:
        found += timedelta(days=1)
    return found


def _weekday(weekday: int, start: date, which: str | None) -> date:
    coming = start + timedelta(days=(weekday - start.weekday() - 1) % 7 + 1)
    return coming + timedelta(days=7) if which and which.lower() == "next" else coming
