"""The reservations database: search, price, book, look up, change, cancel."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from . import policy
from .policy import RefusedError
from .reservation import Offer, Reservation, Wishes

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import date, datetime

    from .reservation import Changes

_WEEKEND_NIGHTS = frozenset({4, 5})  # Friday and Saturday
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MAX_NAME = 80
_OVERLAP = "status IN ('confirmed', 'checked_in') AND arrival < :departure AND departure > :arrival"


class Hotel:
    """The hotel as the desk sees it: its database at a moment. Rules that fail raise `RefusedError`."""

    def __init__(self, database: sqlite3.Connection, now: datetime) -> None:
        self._database = database
        self._now = now
        self.today = now.date()

    @classmethod
    @contextmanager
    def open(cls, path: str, now: datetime) -> Generator[Hotel]:
        """Open the database file for the time of a conversation turn."""
        database = sqlite3.connect(path, isolation_level=None)
        database.row_factory = sqlite3.Row
        try:
            database.execute("PRAGMA foreign_keys = ON")
            yield cls(database, now)
        finally:
            database.close()

    def search(self, wishes: Wishes) -> list[Offer]:
        """Return the free rooms that meet every wish, the cheapest first, then by room number."""
        policy.check_group(wishes.guests, None)
        policy.check_stay(wishes.arrival, wishes.departure, self.today)
        rows = self._database.execute(
            f"""SELECT number, room_type, floor FROM rooms JOIN room_types ON code = room_type
                WHERE holds >= :guests AND quiet >= :quiet AND pets_allowed >= :pet
                  AND (:room_type IS NULL OR room_type = :room_type)
                  AND number NOT IN (SELECT room_number FROM reservations WHERE {_OVERLAP})""",  # noqa: S608 (a constant of this module, no input)
            {
                "guests": wishes.guests,
                "quiet": wishes.quiet,
                "pet": wishes.pet,
                "room_type": wishes.room_type,
                "arrival": wishes.arrival.isoformat(),
                "departure": wishes.departure.isoformat(),
            },
        ).fetchall()
        offers = [self._offer(row["number"], row["room_type"], row["floor"], wishes) for row in rows]
        ceiling = wishes.max_nightly_cents
        return sorted(
            (offer for offer in offers if ceiling is None or max(offer.nightly_cents) <= ceiling),
            key=lambda offer: (offer.total_cents, offer.room_number),
        )

    def book(self, room_number: str, wishes: Wishes, *, guest_name: str, email: str) -> Reservation:
        """Reserve a room that `search` offers for the same wishes."""
        guest_name, email = guest_name.strip(), email.strip().lower()
        if not guest_name or len(guest_name) > _MAX_NAME or not guest_name.isprintable():
            raise RefusedError("name_missing", "A booking needs the guest's full name.")
        if not _EMAIL.fullmatch(email):
            raise RefusedError("email_missing", "A booking needs the guest's e-mail address.")
        with self._transaction():
            offer = next((offer for offer in self.search(wishes) if offer.room_number == room_number), None)
            if offer is None:
                raise RefusedError("not_available", f"Room {room_number} is not available for that stay.")
            reservation = Reservation(
                confirmation=self._next_confirmation(),
                email=email,
                guest_name=guest_name,
                room_number=offer.room_number,
                room_type=offer.room_type,
                arrival=wishes.arrival,
                departure=wishes.departure,
                guests=wishes.guests,
                breakfast=wishes.breakfast,
                pet=wishes.pet,
                late_checkout=wishes.late_checkout,
                rate_plan="flexible",
                status="confirmed",
                total_cents=offer.total_cents,
            )
            self._insert(reservation)
        return reservation

    def look_up(self, confirmation: str, email: str) -> Reservation:
        """Return a reservation to who knows its number and its e-mail address (P5.1)."""
        row = self._database.execute(
            "SELECT * FROM reservations WHERE confirmation = ? AND email = ?", (confirmation, email.strip().lower())
        ).fetchone()
        if row is None:
            raise RefusedError("not_found", "I found no reservation with that number and e-mail address.")
        return Reservation.from_row(dict(row))

    def modify(self, confirmation: str, email: str, changes: Changes) -> Reservation:
        """Change dates, guests or extras and price the stay anew (P6)."""
        with self._transaction():
            before = self.look_up(confirmation, email)
            policy.check_changeable(before.status, before.arrival, self.today)
            after = before.changed(changes)
            if after == before:
                raise RefusedError("nothing_to_change", "That would change nothing.")
            moved = (after.arrival, after.departure) != (before.arrival, before.departure)
            if moved and before.rate_plan == "saver":
                raise RefusedError("saver", "The dates of a saver reservation cannot be changed.")
            offer = self._offer_for(after)
            after = replace(after, room_number=offer.room_number, total_cents=offer.total_cents)
            self._update(after)
        return after

    def cancel(self, confirmation: str, email: str) -> tuple[Reservation, int]:
        """Cancel a reservation; returns it and the refund in cents (P7)."""
        with self._transaction():
            before = self.look_up(confirmation, email)
            policy.check_changeable(before.status, before.arrival, self.today)
            refund = self.refund_cents(before)
            after = replace(before, status="cancelled")
            self._update(after)
            if refund:
                self._database.execute(
                    "INSERT INTO refunds (confirmation, amount_cents, created_at) VALUES (?, ?, ?)",
                    (confirmation, refund, self._now.isoformat()),
                )
        return after, refund

    def refund_cents(self, reservation: Reservation) -> int:
        """Return what a cancellation today would give back."""
        return policy.refund_cents(
            reservation.total_cents,
            days_before_arrival=(reservation.arrival - self.today).days,
            rate_plan=reservation.rate_plan,
        )

    def refunded_cents(self, confirmation: str) -> int:
        """Return what has been refunded for a reservation."""
        row = self._database.execute(
            "SELECT coalesce(sum(amount_cents), 0) FROM refunds WHERE confirmation = ?", (confirmation,)
        ).fetchone()
        return row[0]

    def hand_over(self, reason: str) -> None:
        """Note that a person has to take over."""
        with self._transaction():
            self._database.execute(
                "INSERT INTO handoffs (reason, created_at) VALUES (?, ?)", (reason[:500], self._now.isoformat())
            )

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _offer(self, room_number: str, room_type: str, floor: int, wishes: Wishes) -> Offer:
        nights = [wishes.arrival + timedelta(days=n) for n in range((wishes.departure - wishes.arrival).days)]
        nightly = tuple(self._rate_cents(room_type, night) for night in nights)
        extras = (
            wishes.breakfast * policy.BREAKFAST_CENTS * wishes.guests * len(nights)
            + wishes.pet * policy.PET_CENTS
            + wishes.late_checkout * policy.LATE_CHECKOUT_CENTS
        )
        total = sum(nightly) + extras
        return Offer(
            room_number=room_number, room_type=room_type, floor=floor, nightly_cents=nightly, total_cents=total
        )

    def _rate_cents(self, room_type: str, night: date) -> int:
        row = self._database.execute(
            """SELECT weekday_cents, weekend_cents FROM rates JOIN seasons ON season = name
               WHERE room_type = ? AND ? BETWEEN first_night AND last_night""",
            (room_type, night.isoformat()),
        ).fetchone()
        if row is None:
            raise RefusedError("no_rate", f"We have no published rate for {night.isoformat()} yet.")
        return row["weekend_cents" if night.weekday() in _WEEKEND_NIGHTS else "weekday_cents"]

    def _offer_for(self, reservation: Reservation) -> Offer:
        """Find the room of a changed reservation: its own if that is free, else one of the same type (P6.3)."""
        wishes = Wishes(
            arrival=reservation.arrival,
            departure=reservation.departure,
            guests=reservation.guests,
            room_type=reservation.room_type,
            pet=reservation.pet,
            breakfast=reservation.breakfast,
            late_checkout=reservation.late_checkout,
        )
        # The reservation itself must not stand in its own way while the rooms are searched.
        own = {"confirmation": reservation.confirmation}
        self._database.execute("UPDATE reservations SET status = 'cancelled' WHERE confirmation = :confirmation", own)
        offers = self.search(wishes)
        if not offers:
            raise RefusedError("not_available", f"No {reservation.room_type} room is available for that change.")
        return next((offer for offer in offers if offer.room_number == reservation.room_number), offers[0])

    def _next_confirmation(self) -> str:
        row = self._database.execute(
            "SELECT max(CAST(substr(confirmation, 4) AS INTEGER)) FROM reservations"
        ).fetchone()
        return f"HB-{(row[0] or 1000) + 1}"

    def _insert(self, reservation: Reservation) -> None:
        self._database.execute(
            "INSERT INTO guests (email, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (reservation.email, reservation.guest_name),
        )
        self._database.execute(
            """INSERT INTO reservations VALUES (:confirmation, :email, :guest_name, :room_number, :room_type, :arrival,
               :departure, :guests, :breakfast, :pet, :late_checkout, :rate_plan, :status, :total_cents, :created_at)""",
            reservation.row() | {"created_at": self._now.isoformat()},
        )

    def _update(self, reservation: Reservation) -> None:
        self._database.execute(
            """UPDATE reservations SET room_number = :room_number, arrival = :arrival, departure = :departure,
               guests = :guests, breakfast = :breakfast, pet = :pet, late_checkout = :late_checkout, status = :status,
               total_cents = :total_cents WHERE confirmation = :confirmation""",
            reservation.row(),
        )
