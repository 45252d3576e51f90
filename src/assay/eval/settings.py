"""How an eval runs: everything beyond its three arguments, with defaults that fit most."""

from __future__ import annotations

import os

import msgspec

from assay.core.run import GateRules
from assay.core.usage import Limits


class EvalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of one eval; the same keys stand in `assay.toml` under `[defaults]` and in `evals/NAME.toml`."""

    attempts: int = 1
    """Attempts per case; more than one gives pass@k and pass^k."""
    tags: tuple[str, ...] = ()
    """Only cases with at least one of these tags; all cases when empty."""
    limits: Limits | None = None
    """What one episode may use, instead of what the harness says."""
    gate: GateRules | None = None
    """Rules that decide a run; no decision without them."""
    retries: int = 2
    """Retries of an attempt after infrastructure failures."""
    isolation: str = ""
    """Kind of isolation instead of what the harness says: `auto`, `jail`, `process` or `task`."""
    seed: int = 0
    """Seed that every attempt's seed is derived from."""
    concurrency: int | None = None
    """Episodes at once; by default 100 for `task`, 16 for `http`, 4 per core otherwise."""
    workers: int | None = None
    """Worker processes; by default one per core, at most as many as there are episodes at once."""
    link: str = ""
    """URL template for links to traces, with {trace_id}, {episode_id} and {run_id}."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, least in (("attempts", 1), ("retries", 0), ("concurrency", 1), ("workers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")

    def width(self, isolation: str) -> tuple[int, int]:
        """Return (worker processes, episodes at once in each) for a kind of isolation."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        concurrency = self.concurrency or {"task": 100, "remote": 16, "recorded": 100}.get(isolation, 4 * cores)
        workers = min(self.workers or cores, concurrency)
        return workers, -(-concurrency // workers)
