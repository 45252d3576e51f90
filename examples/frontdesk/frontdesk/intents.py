"""What a guest wants: one intent a message, the first whose pattern occurs.

A second request in the same message is therefore lost, and a question that mentions an action ("what would it cost me
to cancel?") is taken for the action unless one of the question patterns knows it.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Intent(StrEnum):
    """The things the desk can do for a guest."""

    AGREE = "agree"
    DECLINE = "decline"
    ABOUT_OTHERS = "about_others"
    HUMAN = "human"
    REFUND_QUESTION = "refund_question"
    CANCEL = "cancel"
    CHANGE = "change"
    LOOK_UP = "look_up"
    QUOTE = "quote"
    BOOK = "book"


_HELD = r"(?:(?:my|our|the|this|that) (?:reservation|booking|stay|room)|hb[\s-]?\d{4}|it to|it by)"
_PATTERNS = {
    Intent.DECLINE: r"^\s*(?:no,? thanks?|no,? thank you|never ?mind|forget it|leave it|keep it|don't)\b",
    Intent.AGREE: r"^\s*(?:yes|yeah|ok|okay|sure|please do|go ahead|perfect|great|sounds good|book it|that works)\b",
    Intent.ABOUT_OTHERS: (
        r"\b(?:which|what) room is (?!it\b|this\b|that\b|mine\b)|\bis (?:[a-z]+ ){1,2}staying\b|"
        r"\bwho(?: else)? (?:is|are|has) (?:staying|in room|arriving|booked)|\bin room \d{3}\b|"
        r"\b(?:all|other|list of|list the) (?:guests|reservations|bookings)\b|\bphone number of\b"
    ),
    Intent.HUMAN: (
        r"\bexception\b|\bwaive|\bfull refund\b|\bmanager\b|\b(?:speak|talk) (?:to|with) (?:a|some|the)\b|\bcomplain"
    ),
    Intent.REFUND_QUESTION: r"\bif (?:i|we) cancel|\b(?:cancellation|refund) policy\b|\bhow much .*\bback\b",
    Intent.CANCEL: r"\bcancel|\bcall off\b|\bwon't be (?:coming|able to come)\b",
    Intent.CHANGE: (
        rf"\b(?:change|move|modify|extend|shorten|reschedule|update|switch|push|postpone)\b.*\b{_HELD}|"
        rf"\b{_HELD}.*\b(?:change|move|modify|extend|shorten|reschedule|update|switch|postpone)|"
        rf"\b(?:add|remove|drop|include)\b.*\b(?:to|from) {_HELD}|\badd\b.*\bhb[\s-]?\d{{4}}|"
        rf"\b{_HELD}.*\badd\b|\b(?:stay|keep)\b.*\b(?:more|another|extra) nights?\b"
    ),
    Intent.LOOK_UP: r"\b(?:my|our) (?:reservation|booking)\b|\bhb[\s-]?\d{4}\b",
    Intent.QUOTE: (
        r"\bhow much\b|\b(?:price|rate|cost)s?\b|\bquote\b|\bavailab|\bdo you have\b|\bare there\b|\bis there\b|"
        r"\banything free\b"
    ),
    Intent.BOOK: (
        r"\bbook\b|\breserve\b|\b(?:need|want|would like|'d like|take|looking for)\b.*\b(?:room|single|double|twin|suite)|"
        r"\b(?:room|single|double|twin|suite)\b.*\bplease\b"
    ),
}
_TOPICS = {
    "cancellation": r"cancellation policy|refund policy",
    "check_in": r"check[\s-]?in(?! date)",
    "check_out": r"check[\s-]?out time|(?:when|what time|how late|until when).*(?:check[\s-]?out|leave)|late check[\s-]?out",
    "breakfast": r"breakfast",
    "pets": r"\bpets?\b|\bdogs?\b|\bcats?\b",
    "parking": r"\bpark(?:ing)?\b",
    "internet": r"\bwi-?fi\b|\binternet\b",
    "quiet": r"\bquiet",
    "payment": r"\bpay(?:ment)?\b|\bcredit card\b|\bcard number\b",
    "reception": r"\breception\b|\bfront desk\b",
}


def read_intent(text: str) -> Intent | None:
    """Return the first intent whose pattern occurs, in the order of the table; None if there is none."""
    return next((intent for intent, pattern in _PATTERNS.items() if re.search(pattern, text, re.IGNORECASE)), None)


def read_topics(text: str) -> list[str]:
    """Return the facts about the house that a message asks for."""
    return [topic for topic, pattern in _TOPICS.items() if re.search(pattern, text, re.IGNORECASE)]
