"""What the agent says: the wording, and nothing else."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from .mail import money

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = "I can book, change, look up or cancel a room, tell you prices, or answer questions about the house."
PRIVATE = "I can't say anything about other guests or their stays."
NOTHING_DONE = "All right, I have changed nothing."
ASK_CHANGE = "What would you like to change?"
TRANSFERRED = "I have passed this on to a colleague, who will get in touch with you."


def day(iso: str) -> str:
    """Write a date so that a guest notices a wrong one: with weekday and year."""
    value = date.fromisoformat(iso)
    return f"{value:%A}, {value:%B} {value.day}, {value.year}"


def ask(missing: Sequence[str], offer: dict[str, Any] | None) -> str:
    """Ask for what a booking still needs, with the room that would be free."""
    wanted = " and ".join([", ".join(missing[:-1]), missing[-1]] if len(missing) > 1 else missing)
    if offer is None:
        return f"Gladly. Please tell me {wanted}."
    return (
        f"A {offer['room_type']} room is free for {money(offer['total_cents'])} in total. To book it I need {wanted}."
    )


def quoted(offer: dict[str, Any], arrival: str, departure: str) -> str:
    """Tell what a stay costs."""
    return (
        f"Yes: a {offer['room_type']} room from {day(arrival)} to {day(departure)} costs"
        f" {money(offer['total_cents'])} in total. Shall I book it?"
    )


def none_free(room_type: str | None, arrival: str, departure: str) -> str:
    """Tell that nothing fits."""
    kind = f"{room_type} room" if room_type else "room"
    return (
        f"I'm sorry, no {kind} that fits is available from {day(arrival)} to {day(departure)}. I have booked nothing."
    )


def stay(reservation: dict[str, Any]) -> str:
    """Describe a reservation."""
    extras = [name.replace("_", " ") for name in ("breakfast", "pet", "late_checkout") if reservation[name]]
    return (
        f"{reservation['room_type']} room {reservation['room_number']} from {day(reservation['arrival'])}"
        f" to {day(reservation['departure'])} for {reservation['guests']} guest(s)"
        + (f", with {' and '.join(extras)}" if extras else "")
        + f", {money(reservation['total_cents'])} in total"
    )


def confirmed(verb: str, reservation: dict[str, Any]) -> str:
    """Confirm a booking or a change."""
    return (
        f"{verb} {reservation['confirmation']}: {stay(reservation)}. A confirmation is on its way to"
        f" {reservation['email']}."
    )


def cancelled(reservation: dict[str, Any]) -> str:
    """Confirm a cancellation."""
    return (
        f"Cancelled {reservation['confirmation']}. The refund is {money(reservation['refund_cents'])}."
        f" A confirmation is on its way to {reservation['email']}."
    )


def refund(reservation: dict[str, Any]) -> str:
    """Tell what a cancellation would give back."""
    amount = money(reservation["refund_if_cancelled_cents"])
    return f"If you cancelled {reservation['confirmation']} today, {amount} would be refunded. I have changed nothing."
