"""What a run owes: the ledger's rows and what a worker is handed and gives back."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from assay.core.episode import Episode
from assay.core.verdict import Verdict


class Action(StrEnum):
    """What must happen for one attempt at one case."""

    reuse = "reuse"
    """Episode and verdicts exist under the same locks."""
    rejudge = "rejudge"
    """The episode exists; at least one verdict is owed."""
    run = "run"
    """The episode must be run."""


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger row: one attempt at one case in one run."""

    seq: int
    """Position in the run, from 0; unique within it."""
    case_id: str
    """Case to attempt."""
    case_index: int
    """Position of the case in the dataset."""
    attempt: int
    """Which attempt, from 0."""
    lock: str
    """Digest of everything that the episode depends on; empty when nothing can be reused."""
    action: Action
    """What must happen."""
    episode_id: str = ""
    """The existing episode for `reuse` and `rejudge`."""
    cluster: str = ""
    """Cluster of the case; empty when it has none."""
    tags: tuple[str, ...] = ()
    """Tags of the case."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger row that one worker holds a lease on."""

    seq: int
    """Position in the run."""
    case_index: int
    """Position of the case in the dataset."""
    attempt: int
    """Which attempt, from 0."""
    retry: int
    """How many tries were recorded before (infrastructure failures)."""
    crashes: int
    """How many times a worker died while holding this row."""
    lock: str
    """Lock to store with the episode."""
    action: Action
    """`run` or `rejudge`."""
    episode_id: str = ""
    """For `rejudge`: the episode to judge."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that ended, with its verdicts."""

    seq: int
    """Ledger row it settles."""
    episode: Episode
    """The record."""
    verdicts: tuple[Verdict, ...]
    """One per judge."""
    settled: bool = True
    """False when an infrastructure failure will be retried: the try is kept, the row stays owed."""
