"""The front desk agent: rules instead of a model, so that it needs none and always answers the same.

A turn is read (`parse`, `intents`), joined with what the conversation has said so far, and acted on through the tools.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from . import policy, replies, tracing
from .intents import Intent, read_intent, read_topics
from .parse import MAX_MESSAGE, Request, read_request
from .policy import RefusedError
from .tools import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

_EXTRAS = ("breakfast", "pet", "late_checkout")


def agent(message: str, world: World) -> str:
    """Answer one message of a guest; `world.session` carries the conversation."""
    history: list[dict[str, str]] = world.session.setdefault("history", [])
    history.append({"role": "user", "content": message})
    with tracing.agent_span("frontdesk", history) as span, Toolbox.open(world) as toolbox:
        text = Conversation(toolbox, world.session).answer(message)
        history.append({"role": "assistant", "content": text})
        tracing.answer(span, text)
    return text


class Conversation:
    """One turn of a conversation. The session keeps `intent` and `draft` (unfinished) and `held` (the guest's own)."""

    def __init__(self, toolbox: Toolbox, session: dict[str, Any]) -> None:
        self._call = toolbox.call
        self._today = toolbox.desk.hotel.today
        self._session = session

    def answer(self, message: str) -> str:
        """Act on a message and return the answer."""
        message = message[:MAX_MESSAGE]
        said = read_request(message, self._today)
        intent = read_intent(message)
        topics = read_topics(message)
        unfinished: Intent | None = self._session.get("intent")
        asks = "?" in message or unfinished is None
        if intent in {None, Intent.QUOTE} and topics and asks and not said.arrival:
            return " ".join(self._call("hotel_information", {"topic": topic})["text"] for topic in topics)
        if unfinished and intent is Intent.DECLINE:
            self._forget()
            return replies.NOTHING_DONE
        if unfinished and intent in {None, Intent.AGREE, Intent.LOOK_UP, Intent.BOOK, unfinished}:
            said = self._session["draft"].updated(said)
            agreed = unfinished is Intent.QUOTE and intent in {Intent.AGREE, Intent.BOOK}
            intent = Intent.BOOK if agreed else unfinished
        handle = self._handlers().get(intent) if intent else None
        if handle is None or intent is None:
            return replies.HELP
        self._session["intent"], self._session["draft"] = intent, said
        return handle(said)

    def _handlers(self) -> dict[Intent, Callable[[Request], str]]:
        return {
            Intent.ABOUT_OTHERS: self._protect,
            Intent.HUMAN: lambda _: self._transfer("The guest asks for a person or an exception."),
            Intent.REFUND_QUESTION: self._explain_refund,
            Intent.CANCEL: self._cancel,
            Intent.CHANGE: self._change,
            Intent.LOOK_UP: self._look_up,
            Intent.QUOTE: self._quote,
            Intent.BOOK: self._book,
        }

    def _protect(self, request: Request) -> str:
        self._forget()
        return replies.PRIVATE

    def _transfer(self, reason: str) -> str:
        self._forget()
        self._call("transfer_to_human", {"reason": reason})
        return f"{reason} {replies.TRANSFERRED}"

    def _refused(self, result: dict[str, Any]) -> str:
        if result["needs_human"]:
            return self._transfer(result["message"])
        return str(result["message"])

    def _book(self, request: Request) -> str:
        try:
            policy.check_group(request.guests, request.rooms)
        except RefusedError as refusal:
            return self._transfer(refusal.message)
        offer = None
        if request.arrival and request.leaves and request.guests:
            found = self._call("search_availability", _search(request))
            if "error" in found:
                return self._refused(found)
            if not found["rooms"]:
                return replies.none_free(request.room_type, *_dates(request))
            offer = found["rooms"][0]
        missing = _missing(request)
        if missing or offer is None:
            return replies.ask(missing, offer)
        stay = {key: value for key, value in _search(request).items() if key != "max_nightly_cents"}
        who = {"guest_name": request.name, "email": request.email}
        booked = self._call("book_room", stay | {"room_number": offer["room_number"]} | who)
        if "error" in booked:
            return self._refused(booked)
        self._confirm(booked, "booked")
        return replies.confirmed("Booked", booked)

    def _quote(self, request: Request) -> str:
        if not (request.arrival and request.leaves):
            return replies.ask(["the dates of your stay"], None)
        found = self._call("search_availability", _search(request))
        if "error" in found:
            return self._refused(found)
        if not found["rooms"]:
            return replies.none_free(request.room_type, *_dates(request))
        return replies.quoted(found["rooms"][0], *_dates(request))

    def _look_up(self, request: Request) -> str:
        found = self._verified(request)
        if isinstance(found, str):
            return found
        self._forget()
        return f"{found['confirmation']} ({found['status']}, {found['rate_plan']} rate): {replies.stay(found)}."

    def _explain_refund(self, request: Request) -> str:
        if not request.confirmation:
            self._forget()
            return str(self._call("hotel_information", {"topic": "cancellation"})["text"])
        found = self._verified(request)
        if isinstance(found, str):
            return found
        self._forget()
        return replies.refund(found)

    def _cancel(self, request: Request) -> str:
        found = self._verified(request)
        if isinstance(found, str):
            return found
        result = self._call("cancel_reservation", _key(found))
        if "error" in result:
            self._forget()
            return self._refused(result)
        self._confirm(result, "cancelled")
        return replies.cancelled(result)

    def _change(self, request: Request) -> str:
        found = self._verified(request)
        if isinstance(found, str):
            return found
        changes = _changes(request, found)
        if not changes:
            return replies.ASK_CHANGE
        result = self._call("modify_reservation", _key(found) | changes)
        if "error" in result:
            self._forget()
            return self._refused(result)
        self._confirm(result, "changed")
        return replies.confirmed("Changed", result)

    def _verified(self, request: Request) -> dict[str, Any] | str:
        """Return the reservation that the guest has proven to hold, or what to say instead."""
        held = self._session.get("held", {})
        confirmation = request.confirmation or held.get("confirmation")
        email = request.email or (held.get("email") if confirmation == held.get("confirmation") else None)
        if not confirmation or not email:
            wanted = ([] if confirmation else ["your confirmation number"]) + ([] if email else ["your e-mail address"])
            return replies.ask(wanted, None)
        found = self._call("look_up_reservation", {"confirmation": confirmation, "email": email})
        if "error" in found:
            return self._refused(found)
        self._session["held"] = _key(found)
        return found

    def _confirm(self, reservation: dict[str, Any], kind: str) -> None:
        self._call("send_confirmation", _key(reservation) | {"kind": kind})
        self._forget()
        self._session["held"] = _key(reservation)

    def _forget(self) -> None:
        self._session.pop("intent", None)
        self._session.pop("draft", None)


def _key(reservation: dict[str, Any]) -> dict[str, Any]:
    return {"confirmation": reservation["confirmation"], "email": reservation["email"]}


def _dates(request: Request) -> tuple[str, str]:
    """Arrival and departure of a request that has both."""
    if request.arrival is None or request.leaves is None:
        raise ValueError("the request has no dates")
    return request.arrival.isoformat(), request.leaves.isoformat()


def _search(request: Request) -> dict[str, Any]:
    """Return the arguments of a search; a price does not depend on the guests, so a quote may do without them."""
    arrival, departure = _dates(request)
    wishes = {name: True for name in ("quiet", *_EXTRAS) if getattr(request, name)}
    stay: dict[str, Any] = {"arrival": arrival, "departure": departure, "guests": request.guests or 1} | wishes
    if request.room_type:
        stay["room_type"] = request.room_type
    if request.max_nightly_cents:
        stay["max_nightly_cents"] = request.max_nightly_cents
    return stay


def _missing(request: Request) -> list[str]:
    asked = {
        "the day of arrival": request.arrival,
        "the number of nights": request.leaves or request.nights,
        "the number of guests": request.guests,
        "your full name": request.name,
        "your e-mail address": request.email,
    }
    return [question for question, known in asked.items() if not known]


def _changes(request: Request, found: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a change: only what the guest has named."""
    from_day = request.arrival.isoformat() if request.arrival else None
    leaves = request.leaves
    if request.extra_nights:
        leaves = date.fromisoformat(found["departure"]) + timedelta(days=request.extra_nights)
    elif request.nights and not request.arrival:
        leaves = date.fromisoformat(found["arrival"]) + timedelta(days=request.nights)
    changes = {"arrival": from_day, "departure": leaves.isoformat() if leaves else None, "guests": request.guests}
    extras = {name: getattr(request, name) for name in _EXTRAS}
    return {name: value for name, value in (changes | extras).items() if value is not None}
