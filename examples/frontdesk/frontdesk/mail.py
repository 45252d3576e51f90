"""Confirmation mail: what it says, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from .reservation import Reservation

SENDER = "Northlight Hotel <desk@northlight.example>"
SUBJECTS = {"booked": "Your booking", "changed": "Your changed booking", "cancelled": "Your cancellation"}


class Mailer(Protocol):
    """Anything that delivers a message."""

    def send(self, message: EmailMessage) -> None:
        """Deliver one message."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Delivers into a folder: one RFC 5322 file per message, numbered in the order of sending."""

    folder: Path

    def send(self, message: EmailMessage) -> None:
        """Write the message as the folder's next `.eml` file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in self.folder.glob("*.eml")) + 1
        message["Message-ID"] = f"<{number:04d}@northlight.example>"
        (self.folder / f"{number:04d}.eml").write_bytes(message.as_bytes(policy=SMTP))


def compose(reservation: Reservation, kind: str, *, refund_cents: int, now: datetime) -> EmailMessage:
    """Write the message that confirms a booking, change or cancellation (`kind` is a key of `SUBJECTS`)."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = reservation.email
    message["Subject"] = f"{SUBJECTS[kind]} {reservation.confirmation} at Northlight Hotel"
    message["Date"] = format_datetime(now)
    last = (
        f"Refund: {money(refund_cents)}"
        if kind == "cancelled"
        else f"Total: {money(reservation.total_cents)}\nPay here: https://northlight.example/pay/{reservation.confirmation}"
    )
    message.set_content(
        f"Dear {reservation.guest_name},\n\n"
        f"{SUBJECTS[kind].removeprefix('Your ')} {reservation.confirmation}\n"
        f"Room {reservation.room_number} ({reservation.room_type}), {reservation.guests} guest(s)\n"
        f"Arrival {reservation.arrival.isoformat()}, departure {reservation.departure.isoformat()}\n"
        f"{last}\n\nNorthlight Hotel\n"
    )
    return message


def money(cents: int) -> str:
    """Write an amount of cents in dollars."""
    return f"${cents / 100:,.2f}"
