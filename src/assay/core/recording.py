"""Recorded episodes: what happened elsewhere and is played back."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.effects import NO_EFFECTS, Effects
from assay.core.episode import Failure, Outcome
from assay.core.trace import Trace


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at one case that happened before: a line of a recordings file."""

    case: str
    """Id of the case."""
    attempt: int = 0
    """Which of the case's attempts, from 0."""
    outcome: Outcome = Outcome.finished
    """How it ended."""
    outputs: tuple[Any, ...] = ()
    """What the agent answered, one per user turn that it answered."""
    trace: Trace = Trace(trace_id="")
    """What the agent did; its trace id is replaced by the episode's."""
    effects: Effects = NO_EFFECTS
    """What it changed in its world, where that is known."""
    failure: Failure | None = None
    """Present unless the outcome is `finished`."""
    meta: dict[str, Any] = {}
    """Where it comes from and whatever else is known of it; no judge sees it."""
