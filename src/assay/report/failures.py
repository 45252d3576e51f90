"""Failures as people read them: one entry per episode, and the command that opens it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from assay.core.report import FailureItem
from assay.report import escaping

_WEB = re.compile(r"https?://[^\s\"'<>\\\x00-\x20\x7f-\x9f]{1,2000}")


def by_episode(failures: Iterable[FailureItem]) -> list[list[FailureItem]]:
    """Group failures by episode, in order of first appearance."""
    groups: dict[str, list[FailureItem]] = {}
    for item in failures:
        groups.setdefault(item.episode_id, []).append(item)
    return list(groups.values())


def show_command(episode_id: str) -> str:
    """Return the command that opens an episode, safe to paste into a shell."""
    return f"assay show {shlex.quote(escaping.line(episode_id, 80))}"


def safe_link(link: str) -> str:
    """Return a link if it leads to the web, an empty text otherwise: no script, no file, nothing that ends an attribute."""
    return link if _WEB.fullmatch(link) else ""
