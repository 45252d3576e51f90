"""Cases and datasets: what the agent is asked and what is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from assay.core.codec import canonical_json, digest, digest_bytes


class Tier(StrEnum):
    """How far a dataset can be trusted."""

    golden = "golden"
    """Every case verified by a named person who can defend it."""
    synthetic = "synthetic"
    """Made by a program or model; quarantined until spot-checked."""
    candidate = "candidate"
    """Promoted from production, not yet verified."""
    traffic = "traffic"
    """Recorded production traces."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One row of a dataset."""

    id: str
    """Unique within the dataset."""
    input: Any
    """Text, a list of user turns (list of strings, played one by one), messages, or any JSON."""
    expected: Any = None
    """What judges compare with; any JSON."""
    world: dict[str, Any] = {}
    """Overrides of the world's seed for this case."""
    tags: tuple[str, ...] = ()
    """Slices that reports break down by."""
    source: dict[str, Any] = {}
    """Where the case comes from (provenance)."""
    cluster: str | None = None
    """Cases that share an origin share a cluster; statistics never count them as independent."""
    oracle: Any = None
    """A known-good action script or expected effects, for preflight."""

    @property
    def digest(self) -> str:
        """Content address of the whole case."""
        return digest(self)

    @property
    def turns(self) -> tuple[Any, ...]:
        """The user turns: a list of strings is played turn by turn, anything else is one turn."""
        if isinstance(self.input, list) and self.input and all(isinstance(turn, str) for turn in self.input):
            return tuple(self.input)
        return (self.input,)


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A named, content-addressed collection of cases. `cases` may be lazy (decoded when indexed)."""

    name: str
    """Short name, shown in reports."""
    tier: Tier
    """How far it can be trusted."""
    cases: Sequence[Case]
    """The cases, in file order; ids are unique."""
    digests: Sequence[str]
    """`Case.digest` of each case, in the same order."""
    purpose: str = ""
    """What the dataset is for, in a sentence."""
    path: str = ""
    """Folder or file it was read from; empty for datasets made in Python."""

    @property
    def digest(self) -> str:
        """Content address of the collection: it changes when any case changes, not when rows move."""
        return digest_bytes("\n".join(sorted(self.digests)).encode())

    @classmethod
    def of(cls, cases: Sequence[Case], *, name: str = "inline", tier: Tier = Tier.candidate) -> Dataset:
        """Make a dataset from cases in memory; an unverified list is a `candidate` unless told otherwise."""
        return cls(name=name, tier=tier, cases=cases, digests=[digest_bytes(canonical_json(case)) for case in cases])
