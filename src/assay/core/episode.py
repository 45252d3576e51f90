"""Episodes: one attempt at one case, with all that a judge may look at."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from assay.core.case import Case
from assay.core.effects import NO_EFFECTS, Effects
from assay.core.trace import Trace
from assay.core.usage import NO_USAGE, Usage


class Outcome(StrEnum):
    """How an episode ended."""

    finished = "finished"
    """The agent returned; judges decide."""
    agent_error = "agent_error"
    """The agent crashed, timed out or passed a limit: counts against the agent."""
    infra_error = "infra_error"
    """World, harness, model provider or store failed: never counts against the agent."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an episode did not finish, attributed to the boundary that was crossed."""

    boundary: str
    """`agent`, `limit`, `world`, `harness`, `model`, `store` or `worker`."""
    kind: str
    """Short machine-readable name: an exception type, `timeout`, `exit_code`, `tokens`."""
    message: str
    """What happened, in a sentence."""
    detail: str = ""
    """Traceback or log tail, bounded."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one case: the only thing that a judge sees."""

    id: str
    """Unique id of this try."""
    case: Case
    """The case that was attempted."""
    outcome: Outcome
    """How it ended."""
    trace: Trace
    """What the agent did."""
    outputs: tuple[Any, ...] = ()
    """What the agent answered, one per user turn that was played."""
    effects: Effects = NO_EFFECTS
    """What it changed in its world."""
    failure: Failure | None = None
    """Present unless the outcome is `finished`."""
    usage: Usage = NO_USAGE
    """Tokens, calls and money seen in the trace."""
    attempt: int = 0
    """Which of the case's attempts, from 0."""
    retry: int = 0
    """How many infrastructure failures came before, of the same attempt."""
    seed: int = 0
    """Seed given to the agent and its world."""
    started_at: float = 0.0
    """Unix time in seconds."""
    duration_s: float = 0.0
    """Seconds from world open to agent end."""
    isolation: str = ""
    """The kind of isolation that held: `jail`, `process`, `task`, `remote`, `recorded`."""
    world_digest: str = ""
    """Digest of the world at open."""
    logs: str = ""
    """Tail of stdout and stderr, bounded."""

    @property
    def output(self) -> Any:
        """The final answer: the output of the last turn, None if there is none."""
        return self.outputs[-1] if self.outputs else None
