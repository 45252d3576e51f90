"""Read a guest's message: patterns for each thing a stay can have, and nothing that weighs them against each other.

The first match of a pattern wins. A message that mentions two room types, two prices or two wishes is read as if the
second were not there, and a price ceiling is always taken as a ceiling for one night.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from .dates import NUMBER, number, read_stay

if TYPE_CHECKING:
    from datetime import date

MAX_MESSAGE = 4000
"""Characters of a message that are read; the patterns are quadratic at worst."""

_GUEST = r"(?:guests?|people|persons?|adults?|pax)"
_CHILD = r"(?:child(?:ren)?|kids?|teenagers?)"
_PARTNER = r"(?:wife|husband|partner|girlfriend|boyfriend|friend|sister|brother|mother|father|colleague)"
_NOT_GUESTS = r"(?:(?:more|extra|full)\s+)?(?:nights?|weeks?|days?|months?|rooms?|singles?|doubles?|twins?|suites?)"
_NAME_WORD = r"[^\W\d_](?:['’\-]?[^\W\d_])*"  # noqa: RUF001 (guests type both apostrophes)
_PARTICLE = r"(?:van|von|der|den|de|da|di|del|la|le|bin)"
_NAME_STOP = (
    r"(?i:and|my|e-?mail|mail|at|from|for|with|here|please|but|i|we|of|it|the|is|thanks?|thank|arriving|booking|hb)"
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a message says, or a conversation so far; None where it says nothing."""

    arrival: date | None = None
    departure: date | None = None
    nights: int | None = None
    extra_nights: int | None = None
    guests: int | None = None
    rooms: int | None = None
    room_type: str | None = None
    name: str | None = None
    email: str | None = None
    confirmation: str | None = None
    max_nightly_cents: int | None = None
    quiet: bool | None = None
    pet: bool | None = None
    breakfast: bool | None = None
    late_checkout: bool | None = None

    @property
    def leaves(self) -> date | None:
        """The day of departure, named or counted from the nights."""
        if self.departure or not (self.arrival and self.nights):
            return self.departure
        return self.arrival + timedelta(days=self.nights)

    def updated(self, later: Request) -> Request:
        """Return this request with what a later message adds or replaces."""
        kept = self
        if later.nights and not later.departure:
            kept = replace(kept, departure=None)
        if later.arrival and kept.departure and kept.departure <= later.arrival and not later.departure:
            kept = replace(kept, departure=None)
        said = {field.name: getattr(later, field.name) for field in fields(later)}
        return replace(kept, **{name: value for name, value in said.items() if value is not None})


def read_request(text: str, today: date) -> Request:
    """Return everything that `text` says about a stay."""
    email = _first(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)
    words = re.sub(r"\S+@\S+", " ", text)
    stay = read_stay(words, today)
    confirmation = re.search(r"\bHB[\s#-]?(\d{4})\b", words, re.IGNORECASE)
    return Request(
        arrival=stay.arrival,
        departure=stay.departure,
        nights=_nights(words),
        extra_nights=_extra_nights(words),
        guests=_guests(words),
        rooms=_count(rf"\b({NUMBER})\s+(?:[a-z]+\s+)?rooms\b", words),
        room_type=_room_type(words),
        name=_name(words),
        email=email.lower() if email else None,
        confirmation=f"HB-{confirmation[1]}" if confirmation else None,
        max_nightly_cents=_ceiling_cents(words),
        quiet=_wish(r"(?:quiet\w*|third floor)", words),
        pet=_wish(r"(?:dogs?|cats?|pets?|puppy)", words),
        breakfast=_wish(r"breakfasts?", words),
        late_checkout=_wish(r"(?:late(?:r)? check-?\s?out|check(?:ing)? out late)", words),
    )


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, re.IGNORECASE)
    return found[0] if found else None


def _count(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.IGNORECASE)
    return number(found[1]) if found else None


def _nights(text: str) -> int | None:
    nights = _count(rf"\b({NUMBER})[\s-]+nights?\b", text) or _count(r"\b(?:for|just)\s+(an?)\s+night\b", text)
    if nights:
        return nights
    weeks = _count(rf"(?<!\bin )\b({NUMBER}|a)\s+(?:full\s+)?weeks?\b", text)
    return weeks * 7 if weeks else None


def _extra_nights(text: str) -> int | None:
    if re.search(r"\b(?:another|an (?:extra|additional)|a further) night\b", text, re.IGNORECASE):
        return 1
    return _count(rf"\b({NUMBER})\s+(?:more|extra|additional|further)\s+nights?\b", text) or _count(
        rf"\bextend\b.*?\bby\s+({NUMBER}|a)\s+nights?\b", text
    )


def _guests(text: str) -> int | None:
    adults = _count(rf"\b({NUMBER})\s+{_GUEST}\b", text)
    children = _count(rf"\b({NUMBER}|a)\s+{_CHILD}\b", text)
    if adults or children:
        return (adults or 1) + (children or 0)
    if re.search(r"\b(?:just|only) (?:me|myself)\b|\bfor myself\b|\balone\b", text, re.IGNORECASE):
        return 1
    if re.search(rf"\bmy {_PARTNER} and (?:i|me|myself)\b|\bme and my {_PARTNER}\b", text, re.IGNORECASE):
        return 2
    return _count(rf"\b(?:party|group|family)\s+of\s+({NUMBER})\b", text) or _count(
        rf"\b(?:for|the)\s+({NUMBER})\b(?!\s+{_NOT_GUESTS}\b)(?!\s+of\s+the)", text
    )


def _room_type(text: str) -> str | None:
    found = re.search(
        r"\b(?:(single)|(double|queen)|(twins?|(?:two|2) (?:single |separate )?beds)|(suite))s?\b", text, re.IGNORECASE
    )
    return ("single", "double", "twin", "suite")[(found.lastindex or 1) - 1] if found else None


def _name(text: str) -> str | None:
    """Return the name after a phrase that introduces one; phrases that introduce other things too need capital letters."""
    word = rf"(?!{_NAME_STOP}\b){_NAME_WORD}"
    capital = rf"(?=[^a-z]){word}"
    for pattern in (
        rf"\b(?i:name is|name's|name:|name on it is)\s+({word}(?:\s{word}){{1,4}})",
        rf"\b(?i:this is|i am|i'm|under|for (?:mr|ms|mrs|dr)\.?)\s+({capital}(?:\s(?:{_PARTICLE}|{capital})){{1,4}})",
    ):
        if found := re.search(pattern, text):
            return found[1]
    return None


def _ceiling_cents(text: str) -> int | None:
    found = re.search(
        r"\b(?:under|below|less than|no more than|not more than|at most|max(?:imum)?|up to|budget|within|cheaper than|"
        r"over)\s+(?:(?:of|is|price|to)\s+)*(?:\$\s?|usd\s?)?(\d{2,5})(?:\s?(?:\$|dollars|usd|a night|per night)|\b)",
        text,
        re.IGNORECASE,
    )
    if not found or not re.search(
        r"\$|dollar|usd|night|budget", found[0] + text[found.end() : found.end() + 12].lower()
    ):
        return None
    return int(found[1]) * 100


def _wish(pattern: str, text: str) -> bool | None:
    """Whether something is wished: None where it is not mentioned, False right after a plain negation."""
    if re.search(rf"\b(?:no|without|skip|remove|drop)\s+(?:the\s+|any\s+)?{pattern}\b", text, re.IGNORECASE):
        return False
    return True if re.search(rf"\b{pattern}\b", text, re.IGNORECASE) else None
