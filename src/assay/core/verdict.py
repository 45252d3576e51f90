"""Verdicts: a judge's word on an episode."""

from __future__ import annotations

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one judge says of one episode. `passed=None` is *unjudged*: it never counts as failed."""

    passed: bool | None
    """True, False, or None when the judge could not tell."""
    reason: str = ""
    """Why, in a sentence a person can check."""
    score: float | None = None
    """Optional grade in [0, 1]."""
    evidence: tuple[str, ...] = ()
    """Span ids that the reason rests on."""
    cost_usd: float | None = 0.0
    """What judging cost; None means unknown."""
    latency_s: float = 0.0
    """Seconds that judging took."""
    judge: str = ""
    """Name of the judge; filled in by the runner."""
    judge_digest: str = ""
    """Content address of the judge; filled in by the runner."""
