"""The house rules as pure functions; POLICY.md is the same in prose, and the sections named here are its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

MAX_NIGHTS = 14
GROUP_GUESTS = 5
GROUP_ROOMS = 3
BREAKFAST_CENTS = 1500
PET_CENTS = 2500
LATE_CHECKOUT_CENTS = 3000

FACTS = {
    "check_in": "Check-in is from 15:00.",
    "check_out": "Check-out is until 11:00. Late check-out until 14:00 costs $30.00 a stay.",
    "breakfast": "Breakfast is served from 07:00 to 10:00 and costs $15.00 a guest and night.",
    "pets": "Pets are welcome in the rooms on the first floor for $25.00 a stay.",
    "parking": "Parking is free and needs no reservation.",
    "internet": "Wireless internet is free in the whole house.",
    "quiet": "The third floor is our quiet floor.",
    "cancellation": (
        "Cancellations 7 or more days before arrival are refunded in full, 3 to 6 days before by half, later ones not"
        " at all. Saver rates are never refunded."
    ),
    "payment": "Stays are paid through the link in the confirmation mail. Please never send us a card number.",
    "reception": "Reception is open day and night.",
}


class RefusedError(Exception):
    """A rule of the house forbids the call; `code` is for programs, the message is for the guest.

    `needs_human` says that a person may still decide otherwise.
    """

    def __init__(self, code: str, message: str, *, needs_human: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.needs_human = needs_human


def check_group(guests: int | None, rooms: int | None) -> None:
    """Refuse groups (P4.2); None means that the guest has not said."""
    if (guests or 0) >= GROUP_GUESTS or (rooms or 0) >= GROUP_ROOMS:
        raise RefusedError("group", "Group bookings are arranged by a colleague.", needs_human=True)


def check_stay(arrival: date, departure: date, today: date) -> None:
    """Refuse stays that no desk may book (P4.1, P4.3)."""
    nights = (departure - arrival).days
    if nights < 1:
        raise RefusedError("no_nights", "The departure has to be after the arrival.")
    if arrival < today:
        raise RefusedError("past", f"{arrival:%B} {arrival.day}, {arrival.year} is in the past.")
    if nights > MAX_NIGHTS:
        raise RefusedError(
            "too_long", f"Stays of more than {MAX_NIGHTS} nights are arranged by a colleague.", needs_human=True
        )


def check_changeable(status: str, arrival: date, today: date) -> None:
    """Refuse changes and cancellations that come too late (P6.1, P7.4)."""
    if status == "cancelled":
        raise RefusedError("already_cancelled", "That reservation is already cancelled.")
    if status != "confirmed" or arrival <= today:
        raise RefusedError(
            "stay_has_begun", "From the day of arrival a colleague has to look at that.", needs_human=True
        )


def refund_cents(total_cents: int, *, days_before_arrival: int, rate_plan: str) -> int:
    """Return what a cancellation gives back (P7.1, P7.2), in cents."""
    if rate_plan == "saver":
        return 0
    if days_before_arrival >= 7:
        return total_cents
    return total_cents // 2 if days_before_arrival >= 3 else 0
