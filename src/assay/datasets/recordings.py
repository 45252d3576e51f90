"""Recorded episodes as a file: JSON lines that the `recorded` harness plays back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from assay.core.effects import NO_EFFECTS, Effects
from assay.core.episode import Failure, Outcome
from assay.core.trace import Trace
from assay.datasets.files import write_lines

RECORDINGS_FILE = "recordings.jsonl"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at one case that happened before. What judges may know of it is in trace, outputs and effects."""

    case: str
    """Id of the case."""
    attempt: int
    """Which of the case's attempts, from 0."""
    outcome: Outcome
    """How it ended."""
    outputs: tuple[Any, ...]
    """What the agent answered, one per user turn that it answered."""
    trace: Trace
    """What the agent did."""
    effects: Effects = NO_EFFECTS
    """What it changed in its world, where that is known."""
    failure: Failure | None = None
    """Present unless the outcome is `finished`."""
    meta: dict[str, Any] = {}
    """Whatever else is known of it; no judge sees it."""


def write_recordings(path: Path, recordings: Iterable[Recording]) -> int:
    """Write recordings, a line each, to a file that appears complete or not at all; returns how many."""
    return write_lines(path, map(_encode, recordings))
