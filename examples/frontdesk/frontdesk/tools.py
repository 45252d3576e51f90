"""The tools of the desk: named, described by JSON Schema, traced. Both agents work through these and nothing else."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from . import mail, policy, tracing
from .hotel import Hotel
from .policy import RefusedError
from .reservation import Changes, Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from .world import World

_MAX_OFFERS = 5
_DAY = re.compile(r"20\d\d-\d\d-\d\d")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the tools work on."""

    hotel: Hotel
    mailer: mail.Mailer
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool: how a model sees it, and what it does."""

    description: str
    properties: dict[str, dict[str, Any]]
    """JSON Schema of each argument."""
    required: tuple[str, ...]
    run: Callable[[Desk, Arguments], dict[str, Any]]


class Arguments:
    """The arguments of a call, checked one by one as the tool reads them: a model may have written them."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    def text(self, name: str) -> str:
        """Return a required string."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise RefusedError("invalid_argument", f"{name} has to be a string.")
        return value.encode("utf-8", "replace").decode()  # JSON can hold half a character; the database cannot

    def optional_text(self, name: str) -> str | None:
        """Return a string, or None where it is missing."""
        return self.text(name) if name in self._values else None

    def day(self, name: str) -> date:
        """Return a required date."""
        text = self.text(name)
        if not _DAY.fullmatch(text):
            raise RefusedError("invalid_argument", f"{name} has to be a date such as 2026-01-31.")
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise RefusedError("invalid_argument", f"{name} is not in the calendar.") from None

    def optional_day(self, name: str) -> date | None:
        """Return a date, or None where it is missing."""
        return self.day(name) if name in self._values else None

    def count(self, name: str) -> int:
        """Return a required positive integer."""
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1_000_000:
            raise RefusedError("invalid_argument", f"{name} has to be a positive integer.")
        return value

    def optional_count(self, name: str) -> int | None:
        """Return a positive integer, or None where it is missing."""
        return self.count(name) if name in self._values else None

    def flag(self, name: str) -> bool | None:
        """Return a boolean, or None where it is missing."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise RefusedError("invalid_argument", f"{name} has to be true or false.")
        return value


class Toolbox:
    """Runs tools for one turn. A refusal is a result, `{"error": code, "message": text}`, never an exception."""

    def __init__(self, desk: Desk, session: dict[str, Any]) -> None:
        self.desk = desk
        self._session = session

    @classmethod
    @contextmanager
    def open(cls, world: World) -> Generator[Toolbox]:
        """Open the tools on a world's database and outbox."""
        with Hotel.open(world.databases["hotel"], world.clock) as hotel:
            mailer = mail.Outbox(folder=world.workspace / "outbox")
            yield cls(Desk(hotel=hotel, mailer=mailer, now=world.clock), world.session)

    def call(self, name: str, arguments: dict[str, Any], *, call_id: str | None = None) -> dict[str, Any]:
        """Run a tool in its span and return its result."""
        self._session["calls"] = self._session.get("calls", 0) + 1
        with tracing.tool_span(name, call_id or f"call_{self._session['calls']}", arguments) as span:
            try:
                result = _tool(name).run(self.desk, Arguments(arguments))
            except RefusedError as refusal:
                result = {"error": refusal.code, "message": refusal.message, "needs_human": refusal.needs_human}
                tracing.fail(span, refusal.code, refusal.message)
            span.set_attribute("gen_ai.tool.call.result", json.dumps(result))
        return result


def definitions() -> list[dict[str, Any]]:
    """Return the tools as JSON Schema function definitions for a model."""
    return [
        {
            "type": "function",
            "name": name,
            "description": tool.description,
            "parameters": {"type": "object", "properties": tool.properties, "required": list(tool.required)},
        }
        for name, tool in TOOLS.items()
    ]


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise RefusedError("unknown_tool", f"There is no tool {name}.")
    return TOOLS[name]


def _search_availability(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    offers = desk.hotel.search(_wishes(arguments))
    return {
        "rooms": [vars(offer) | {"nightly_cents": list(offer.nightly_cents)} for offer in offers[:_MAX_OFFERS]],
        "count": len(offers),
    }


def _book_room(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    reservation = desk.hotel.book(
        arguments.text("room_number"),
        _wishes(arguments),
        guest_name=arguments.text("guest_name"),
        email=arguments.text("email"),
    )
    return reservation.row()


def _look_up_reservation(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    reservation = desk.hotel.look_up(arguments.text("confirmation"), arguments.text("email"))
    return reservation.row() | {"refund_if_cancelled_cents": desk.hotel.refund_cents(reservation)}


def _modify_reservation(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    changes = Changes(
        arrival=arguments.optional_day("arrival"),
        departure=arguments.optional_day("departure"),
        guests=arguments.optional_count("guests"),
        breakfast=arguments.flag("breakfast"),
        pet=arguments.flag("pet"),
        late_checkout=arguments.flag("late_checkout"),
    )
    return desk.hotel.modify(arguments.text("confirmation"), arguments.text("email"), changes).row()


def _cancel_reservation(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    reservation, refund = desk.hotel.cancel(arguments.text("confirmation"), arguments.text("email"))
    return reservation.row() | {"refund_cents": refund}


def _send_confirmation(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    kind = arguments.text("kind")
    if kind not in mail.SUBJECTS:
        raise RefusedError("invalid_argument", f"kind has to be one of {', '.join(mail.SUBJECTS)}.")
    reservation = desk.hotel.look_up(arguments.text("confirmation"), arguments.text("email"))
    refund = desk.hotel.refunded_cents(reservation.confirmation)
    desk.mailer.send(mail.compose(reservation, kind, refund_cents=refund, now=desk.now))
    return {"sent_to": reservation.email}


def _hotel_information(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    topic = arguments.text("topic")
    if topic not in policy.FACTS:
        raise RefusedError("invalid_argument", f"topic has to be one of {', '.join(policy.FACTS)}.")
    return {"topic": topic, "text": policy.FACTS[topic]}


def _transfer_to_human(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    desk.hotel.hand_over(arguments.text("reason"))
    return {"transferred": True}


def _wishes(arguments: Arguments) -> Wishes:
    return Wishes(
        arrival=arguments.day("arrival"),
        departure=arguments.day("departure"),
        guests=arguments.count("guests"),
        room_type=arguments.optional_text("room_type"),
        quiet=bool(arguments.flag("quiet")),
        pet=bool(arguments.flag("pet")),
        breakfast=bool(arguments.flag("breakfast")),
        late_checkout=bool(arguments.flag("late_checkout")),
        max_nightly_cents=arguments.optional_count("max_nightly_cents"),
    )


_STRING = {"type": "string"}
_DATE = {"type": "string", "format": "date"}
_FLAG = {"type": "boolean"}
_STAY = {
    "arrival": _DATE,
    "departure": _DATE,
    "guests": {"type": "integer", "minimum": 1},
    "room_type": {"type": "string", "enum": ["single", "double", "twin", "suite"]},
    "quiet": _FLAG,
    "pet": _FLAG,
    "breakfast": _FLAG,
    "late_checkout": _FLAG,
    "max_nightly_cents": {"type": "integer", "description": "ceiling for the room rate of every night"},
}
_KEY = {"confirmation": {"type": "string", "pattern": "^HB-[0-9]{4}$"}, "email": _STRING}

TOOLS = {
    "search_availability": Tool(
        description="Find free rooms for a stay, the cheapest first, with prices.",
        properties=_STAY,
        required=("arrival", "departure", "guests"),
        run=_search_availability,
    ),
    "book_room": Tool(
        description="Book a room that search_availability offered for the same stay.",
        properties=_STAY | {"room_number": _STRING, "guest_name": _STRING, "email": _STRING},
        required=("room_number", "arrival", "departure", "guests", "guest_name", "email"),
        run=_book_room,
    ),
    "look_up_reservation": Tool(
        description="Look up a reservation by its number and e-mail address, with the refund a cancellation would give.",
        properties=_KEY,
        required=("confirmation", "email"),
        run=_look_up_reservation,
    ),
    "modify_reservation": Tool(
        description="Change dates, guests or extras of a reservation; a new arrival alone moves the whole stay.",
        properties=_KEY
        | {name: _STAY[name] for name in _STAY if name not in {"room_type", "quiet", "max_nightly_cents"}},
        required=("confirmation", "email"),
        run=_modify_reservation,
    ),
    "cancel_reservation": Tool(
        description="Cancel a reservation and refund by the rules.",
        properties=_KEY,
        required=("confirmation", "email"),
        run=_cancel_reservation,
    ),
    "send_confirmation": Tool(
        description="Mail the guest the confirmation of a booking, change or cancellation.",
        properties=_KEY | {"kind": {"type": "string", "enum": list(mail.SUBJECTS)}},
        required=("confirmation", "email", "kind"),
        run=_send_confirmation,
    ),
    "hotel_information": Tool(
        description="Look up a fact about the house.",
        properties={"topic": {"type": "string", "enum": list(policy.FACTS)}},
        required=("topic",),
        run=_hotel_information,
    ),
    "transfer_to_human": Tool(
        description="Pass the guest on to a person, with the reason.",
        properties={"reason": _STRING},
        required=("reason",),
        run=_transfer_to_human,
    ),
}
