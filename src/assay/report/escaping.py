"""Text from agents and judges, made inert before a person sees it.

Such text is hostile until shown otherwise: it may carry terminal commands, characters that reorder a line, invisible letters,
markup and megabytes. `visible` serves every medium; `line`, `markdown` and `xml` add what theirs needs. HTML is escaped by the
template engine after `visible`.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import Any

TEXT_LIMIT = 20_000
"""Characters of one text that are shown; the rest is cut and the cut is marked."""

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colors, cursor movement, erasing
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # OSC, DCS and the like: titles, links, clipboard
    r"|\x1b[ -/]{0,2}[0-OQ-WYZ\\`-~]"  # two-character escapes: reset, charset
    r"|\x9b[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI in one byte
)
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # bidi controls and invisible characters
    "\ufff9-\ufffb\U000e0000-\U000e0fff"  # annotations; tags, which spell invisible ASCII
    "\ud800-\udfff\ufffe\uffff]"  # lone surrogates and noncharacters: no encoding holds them
)
_BREAKS = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\x85": "\n"})
_MARKDOWN = re.compile(r"[\\`*_\[\]|~$]|^[#+\-=]")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")
_AUTOLINK = re.compile(r"(@|#|://|www\.|GH-)", re.IGNORECASE)
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BARRIER = "\u200b"


def visible(text: str) -> str:
    """Return text without terminal sequences, and with controls, invisible and direction characters spelled out.

    Tabs and newlines stay; other line breaks become newlines. The result is idempotent and encodes in UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").translate(_BREAKS)
    return _UNSAFE.sub(_spelled, _SEQUENCE.sub("", text))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\u27e8U+{code:04X}\u27e9"


def cut(text: str, limit: int = TEXT_LIMIT) -> tuple[str, int]:
    """Return at most `limit` characters of a text and the number of characters left out."""
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)


def line(text: str, limit: int = 200) -> str:
    """Return a text as one visible line of at most `limit` characters, an ellipsis marking the cut."""
    head, _ = cut(text, 4 * limit)
    flat = " ".join(visible(head).split())
    return flat if len(flat) <= limit and len(head) == len(text) else flat[: limit - 1].rstrip() + "\u2026"


def columns(text: str) -> int:
    """Return the number of terminal columns that a visible line takes: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def markdown(text: str, limit: int = 200) -> str:
    """Return a text as one line of Markdown without effect: no markup, HTML, table cells, links, mentions or references.

    A zero-width space behind `@`, `#` and `://` keeps code forges from notifying people and linking issues.
    """
    split = _AUTOLINK.sub(lambda match: match.group() + _BARRIER, line(text, limit))
    safe = _MARKDOWN.sub(lambda match: "\\" + match.group(), split)
    return _NUMBERED.sub(r"\1\\\2", safe).translate(_HTML)


def code(text: str, limit: int = 200) -> str:
    """Return a text as a Markdown code span that also holds in a table cell."""
    flat = line(text, limit).replace("`", "\u02cb").replace("|", "\u00a6")
    return f"`{flat}`" if flat else ""


def xml(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text with only characters that XML 1.0 allows, cut at `limit`; the XML writer escapes the markup."""
    head, left_out = cut(text, limit)
    return visible(head) + (f"\n[{left_out:,} more characters cut]" if left_out else "")


def pretty(value: Any, limit: int = TEXT_LIMIT) -> tuple[str, bool]:
    """Return a JSON value as indented text of about `limit` characters at most, and whether anything was left out.

    A string is shown as it is. Work stays proportional to `limit`, whatever the size and depth of the value.
    """
    if isinstance(value, str):
        head, left_out = cut(value, limit)
        return head, bool(left_out)
    printer = _Printer(limit)
    printer.write(value, 0)
    return "".join(printer.parts), printer.is_cut


class _Printer:
    """Writes JSON until its budget is spent."""

    _DEEPEST = 40
    _WIDEST = 8_192

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.left = limit
        self.is_cut = False

    def write(self, value: Any, depth: int) -> None:
        if isinstance(value, dict):
            self._collection("{}", [(str(key), item) for key, item in self._some(value.items())], depth)
        elif isinstance(value, (list, tuple)):
            self._collection("[]", [(None, item) for item in self._some(value)], depth)
        else:
            self._put(self._scalar(value))

    def _some(self, items: Any) -> list[Any]:
        """Take no more items than the budget could show."""
        kept = list(islice(items, max(0, self.left // 2) + 1))
        if len(kept) < len(items):
            self.is_cut = True
        return kept

    def _collection(self, brackets: str, items: list[tuple[str | None, Any]], depth: int) -> None:
        if not items:
            self._put(brackets)
            return
        if depth >= self._DEEPEST or self.left <= 0:
            self.is_cut = True
            self._put("\u2026")
            return
        self._put(brackets[0])
        for position, (key, item) in enumerate(items):
            if self.left <= 0:
                self.is_cut = True
                self._put("\n\u2026")
                break
            self._put((",\n" if position else "\n") + "  " * (depth + 1))
            if key is not None:
                self._put(self._scalar(key) + ": ")
            self.write(item, depth + 1)
        self._put("\n" + "  " * depth + brackets[1])

    def _scalar(self, value: Any) -> str:
        if isinstance(value, str):
            head, left_out = cut(value, max(self.left, 0))
            self.is_cut = self.is_cut or bool(left_out)
            return (
                '"'
                + head.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                + ('"' if not left_out else "\u2026")
            )
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, int) and value.bit_length() > self._WIDEST:  # Python refuses to print longer ones
            return f"an integer of {value.bit_length()} bits"
        return str(value)

    def _put(self, text: str) -> None:
        self.left -= len(text)
        self.parts.append(text)
