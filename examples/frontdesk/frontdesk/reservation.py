"""The values that stand between the tools and the database: wishes, offers, reservations, changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a stay has to be like."""

    arrival: date
    departure: date
    guests: int
    room_type: str | None = None
    """None: any type that holds the guests."""
    quiet: bool = False
    pet: bool = False
    breakfast: bool = False
    late_checkout: bool = False
    max_nightly_cents: int | None = None
    """Ceiling for the room rate of every night, without extras."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A free room and what the stay in it costs."""

    room_number: str
    room_type: str
    floor: int
    nightly_cents: tuple[int, ...]
    """Room rate of each night in order."""
    total_cents: int
    """Whole bill with extras."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """One row of the table `reservations`."""

    confirmation: str
    email: str
    guest_name: str
    room_number: str
    room_type: str
    arrival: date
    departure: date
    guests: int
    breakfast: bool
    pet: bool
    late_checkout: bool
    rate_plan: str
    status: str
    total_cents: int

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a database row."""
        return cls(
            confirmation=row["confirmation"],
            email=row["email"],
            guest_name=row["guest_name"],
            room_number=row["room_number"],
            room_type=row["room_type"],
            arrival=date.fromisoformat(row["arrival"]),
            departure=date.fromisoformat(row["departure"]),
            guests=row["guests"],
            breakfast=bool(row["breakfast"]),
            pet=bool(row["pet"]),
            late_checkout=bool(row["late_checkout"]),
            rate_plan=row["rate_plan"],
            status=row["status"],
            total_cents=row["total_cents"],
        )

    def row(self) -> dict[str, Any]:
        """Write the columns of a database row, all but the time of booking; also what tools return."""
        return vars(self) | {"arrival": self.arrival.isoformat(), "departure": self.departure.isoformat()}

    def changed(self, changes: Changes) -> Self:
        """Apply the changes; a new arrival alone moves the stay and keeps its nights (P6.2)."""
        arrival = changes.arrival or self.arrival
        departure = changes.departure or (arrival + (self.departure - self.arrival) if changes.arrival else None)
        return replace(
            self,
            arrival=arrival,
            departure=departure or self.departure,
            guests=self.guests if changes.guests is None else changes.guests,
            breakfast=self.breakfast if changes.breakfast is None else changes.breakfast,
            pet=self.pet if changes.pet is None else changes.pet,
            late_checkout=self.late_checkout if changes.late_checkout is None else changes.late_checkout,
        )


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a guest wants different; None leaves it as it is."""

    arrival: date | None = None
    departure: date | None = None
    guests: int | None = None
    breakfast: bool | None = None
    pet: bool | None = None
    late_checkout: bool | None = None
