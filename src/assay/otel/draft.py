"""What has been understood of one span so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from assay.core.trace import Message
from assay.core.usage import Usage
from assay.otel.messages import MessageReader
from assay.otel.raw import RawEvent, RawSpan

_EMPTY: tuple[Any, ...] = (None, "", (), {})
_ANY_VALUE = frozenset({"arguments", "result", "entered", "left"})
"""Fields that hold any JSON: only None is nothing there."""


@dataclass(slots=True)
class Draft:
    """One span while the dialects read it, each in its turn of precedence.

    A dialect offers what it understood together with the attribute keys it came from. The first offer for a field wins;
    a later one that says the same only gives up its keys, one that differs keeps them in `attributes`.
    """

    raw: RawSpan
    attributes: dict[str, Any]
    """What nobody has understood yet."""
    reader: MessageReader
    """Reads conversations, and remembers those of the same trace."""
    events: list[RawEvent]
    """Events that nobody has understood yet."""
    taken: dict[str, str] = field(default_factory=dict)
    """Attribute key -> the field that it was understood as."""
    kind: str = ""
    model: str = ""
    requested: str = ""
    provider: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    system: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""
    arguments: Any = None
    result: Any = None
    tool_error: str = ""
    entered: Any = None
    """What went in, as one value."""
    left: Any = None
    """What came out, as one value."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None

    @classmethod
    def of(cls, raw: RawSpan, reader: MessageReader) -> Draft:
        """Start with nothing understood."""
        return cls(raw=raw, attributes=dict(raw.attributes), reader=reader, events=list(raw.events))

    def offer(self, name: str, value: Any, *keys: str) -> None:
        """Offer a value for a field; empty values are no offer."""
        if not self.take(name, value):
            return
        for key in keys:
            if key in self.attributes:
                del self.attributes[key]
                self.taken[key] = name

    def offer_text(self, name: str, key: str) -> None:
        """Offer the text of one attribute."""
        value = self.attributes.get(key)
        if isinstance(value, str):
            self.offer(name, value, key)

    def take(self, name: str, value: Any) -> bool:
        """Offer a value that came from no attribute; return whether it is what the field now holds."""
        empty = (None,) if name in _ANY_VALUE else _EMPTY
        if value in empty:
            return False
        current = getattr(self, name)
        if current in empty:
            setattr(self, name, value)
            return True
        return bool(current == value)

    def give_up(self, events: list[RawEvent], keys: frozenset[str] | None = None) -> None:
        """Drop events that were understood; with `keys`, only those attributes where the rest says something new."""
        ids = {id(event) for event in events}
        kept: list[RawEvent] = []
        for event in self.events:
            if id(event) not in ids:
                kept.append(event)
            elif keys is not None:
                rest = {key: value for key, value in event.attributes.items() if key not in keys}
                if not rest.items() <= self.raw.attributes.items():
                    kept.append(msgspec.structs.replace(event, attributes=rest))
        self.events = kept

    def restored(self, used: frozenset[str]) -> dict[str, Any]:
        """Return the remaining attributes plus those that were understood as a field not in `used`, as sent."""
        if all(name in used for name in self.taken.values()):
            return self.attributes
        rest = self.attributes | {key: self.raw.attributes[key] for key, name in self.taken.items() if name not in used}
        return {key: rest[key] for key in self.raw.attributes if key in rest}

    @property
    def is_model(self) -> bool:
        """Whether the span is a model call by its own word."""
        return self.kind in {"llm", "embedding"}

    @property
    def usage(self) -> Usage:
        """Tokens and money of the span, with parts never larger than their whole.

        Instrumentations that count cached input or reasoning beside the whole give themselves away when a part exceeds
        it; then the parts are added, as OpenTelemetry wants it.
        """
        read, write = self.cache_read_tokens or 0, self.cache_write_tokens or 0
        reasoning = self.reasoning_tokens or 0
        sent, received = self.input_tokens or 0, self.output_tokens or 0
        return Usage(
            input_tokens=sent if read + write <= sent else sent + read + write,
            output_tokens=received if reasoning <= received else received + reasoning,
            cache_read_tokens=read,
            cache_write_tokens=write,
            reasoning_tokens=reasoning,
            cost_usd=self.cost_usd,
        )
