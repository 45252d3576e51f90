"""What of an episode is judged and what it is compared with: paths into JSON, and values as text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from assay.core.codec import canonical_json
from assay.core.episode import Episode


class Missing:
    """The type of `MISSING`: there is nothing at a path (null would be something)."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()
TEXTS = ("text", "replies", "conversation")
SUBJECTS = ("output", *TEXTS)
_SHOWN_CHARS = 120
_SPACE = re.compile(r"\s+")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def subject(episode: Episode, on: str) -> Any:
    """Return what `on` selects, or `MISSING`.

    `output`: the final answer as it is. `text`: the final answer as text. `replies`: all answers as text, a line each.
    `conversation`: what user and agent said, a line each with the role. A JSON Pointer (`/total`): the value there in
    the final answer, which is read as JSON when it is text.
    """
    if on == "output":
        return episode.output
    if on == "text":
        return as_text(episode.output)
    if on == "replies":
        return "\n".join(map(as_text, episode.outputs))
    if on == "conversation":
        return "\n".join(_conversation(episode))
    return value_at(parsed(episode.output), on)


def subject_problem(on: str) -> str:
    """Say what is wrong with an `on` setting; empty if nothing is."""
    if on in SUBJECTS or on.startswith("/"):
        return ""
    return f"must be one of {', '.join(SUBJECTS)} or a JSON Pointer such as /{on}"


def value_at(value: Any, path: str) -> Any:
    """Return the value at a JSON Pointer (RFC 6901, `/a/0/b`) or dotted path (`a.0.b`), or `MISSING`."""
    for part in _parts(path):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def parsed(value: Any) -> Any:
    """Read text as JSON; other values are themselves. `MISSING` for text that is no JSON or nests too deeply."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return MISSING


def as_text(value: Any) -> str:
    """Turn any value into text: text is itself, None is empty, the rest is JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return canonical_json(value).decode()
    except (TypeError, ValueError, RecursionError):
        return f"<{type(value).__name__} that is no JSON>"


def normalized(text: str, *, ignore_case: bool, ignore_space: bool) -> str:
    """Bring text into the form that is compared: composed Unicode (NFC); on demand without case and runs of space."""
    text = unicodedata.normalize("NFC", text)
    if ignore_case:
        text = unicodedata.normalize("NFC", text.casefold())
    return _SPACE.sub(" ", text).strip() if ignore_space else text


def shown(value: Any) -> str:
    """Show a value in a reason: as JSON, cut where it is long."""
    text = as_text([value])[1:-1] if not isinstance(value, Missing) else "nothing"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _parts(path: str) -> list[str]:
    if not path:
        return []
    if path.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    return path.split(".")


def _conversation(episode: Episode) -> Iterator[str]:
    said = [message for message in episode.trace.messages if message.role in {"user", "assistant"} and message.text]
    if said:
        yield from (f"{message.role}: {message.text}" for message in said)
        return
    turns = episode.case.turns
    for number in range(max(len(turns), len(episode.outputs))):
        if number < len(turns):
            yield f"user: {as_text(turns[number])}"
        if number < len(episode.outputs):
            yield f"assistant: {as_text(episode.outputs[number])}"
