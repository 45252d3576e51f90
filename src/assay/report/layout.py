"""Lines of styled text: laid out once, shown plain in a log or in color on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from assay.report import escaping

if TYPE_CHECKING:
    from rich.text import Text

Segment = tuple[str, str]
"""A text and its style: a style of rich such as `bold red`, or nothing."""

Line = Sequence[Segment]

BLANK: Line = ()


def plain(lines: Iterable[Line]) -> str:
    """Return lines as text without styles."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def styled(lines: Iterable[Line]) -> Text:
    """Return lines as text that rich prints in color. Nothing in them is read as markup."""
    from rich.text import Text

    return Text("\n", no_wrap=True, overflow="ignore", end="").join(
        Text.assemble(*((text, style) for text, style in line)) for line in lines
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Segment]], *, left: int = 1, indent: int = 2) -> list[Line]:
    """Lay out rows under a head: the first `left` columns flush left, the others flush right."""
    cells: list[list[Segment]] = [[(title, "dim") for title in head], *(list(row) for row in rows)]
    widths = [max(escaping.columns(row[column][0]) for row in cells) for column in range(len(head))]
    lines: list[Line] = []
    for row in cells:
        line: list[Segment] = [(" " * indent, "")]
        for column, (text, style) in enumerate(row):
            space = " " * (widths[column] - escaping.columns(text))
            gap = "  " if column + 1 < len(row) else ""
            line += [(text, style), (space + gap, "")] if column < left else [(space, ""), (text + gap, style)]
        lines.append(line)
    return lines


def fit(text: str, width: int) -> str:
    """Return a hostile text as one visible line that takes at most `width` terminal columns."""
    flat = escaping.line(text, max(width, 1))
    if escaping.columns(flat) <= width:
        return flat
    kept, used = "", 0
    for letter in flat:
        used += escaping.columns(letter)
        if used >= width:
            break
        kept += letter
    return kept + "\u2026"
