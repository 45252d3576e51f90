"""Runs and their manifests: what was executed, named by digests."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.usage import Limits


class JudgeRef(msgspec.Struct, frozen=True, kw_only=True):
    """A judge as a run used it."""

    name: str
    """Name shown in reports; unique within the run."""
    digest: str
    """Content address: a changed judge has another one."""


class GateRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a run must satisfy. No rule at all means the decision is not made."""

    minimum: float | None = None
    """Pass rate (all judges) whose lower confidence bound must be reached, in [0, 1]."""
    judges: dict[str, float] = {}
    """The same per judge name."""
    baseline: str = ""
    """Run that must not be regressed against: a run id, or `latest`, the previous finished run of this eval."""
    margin: float = 0.05
    """Drop that must be ruled out for a PASS, in [0, 1]; a significant drop fails whatever its size."""
    max_infra: float = 0.05
    """Share of episodes lost to infrastructure above which the run is INVALID."""
    confidence: float = 0.95
    """Confidence of the bounds."""


class RunManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run was made of. Immutable once the run exists."""

    run_id: str
    """Sorts by creation time."""
    eval_name: str
    """The eval that was run."""
    kind: str
    """`run` or `rejudge`."""
    created_at: float
    """Unix time in seconds."""
    dataset: str
    """Name of the dataset."""
    tier: str
    """Tier of the dataset."""
    dataset_digest: str
    """Content address of the dataset (after the tag filter)."""
    dataset_path: str
    """Where it was read from; empty for datasets made in Python."""
    cases: int
    """Cases in the run."""
    attempts: int
    """Attempts per case."""
    harness: str
    """Name of the harness."""
    harness_kind: str
    """`function`, `command`, `http` or `recorded`."""
    harness_digest: str
    """Digest of the harness configuration, world included."""
    fingerprint: str
    """The agent's static fingerprint; empty when none can be had."""
    judges: tuple[JudgeRef, ...]
    """Judges, in report order."""
    isolation: str
    """The kind of isolation that the run uses."""
    isolation_note: str = ""
    """One line: why this kind, and what was verified."""
    guarantees: tuple[str, ...] = ()
    """What the isolation was seen to give: `fs`, `pids`, `net`, `ipc`, `env`."""
    limits: Limits = Limits()
    """Limits per episode."""
    retries: int = 2
    """Retries after infrastructure failures."""
    seed: int = 0
    """Seed of the run."""
    tags: tuple[str, ...] = ()
    """Tags that the dataset was filtered by; empty for all cases."""
    gate: GateRules | None = None
    """Rules that decide it; None when there are none."""
    parent: str = ""
    """For `rejudge`: the run whose episodes are judged again."""
    commit: str = ""
    """Git commit of the project, `-dirty` appended when the tree was."""
    version: str = ""
    """assay's version."""
    host: dict[str, Any] = {}
    """Python, platform, cores."""


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store lists it."""

    manifest: RunManifest
    """What it was made of."""
    status: str
    """`running`, `interrupted` or `finished`."""
    done: int
    """Ledger rows settled."""
    total: int
    """Ledger rows planned."""
    finished_at: float | None = None
    """Unix time in seconds; None while unfinished."""
