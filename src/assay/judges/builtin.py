"""What the built-in judges share: settings that are values, a digest of them, and mistakes found when they are made."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import ClassVar

import msgspec

from assay.core.codec import digest, to_jsonable
from assay.core.episode import Episode
from assay.core.errors import ConfigError, Problem
from assay.core.verdict import Verdict


class BuiltIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """A judge that is configured and not written. Raises `ConfigError` when its settings cannot work."""

    kind: ClassVar[str]
    """The key that names it in TOML."""
    shorthand: ClassVar[str]
    """The setting that `{ kind = ... }` sets when the value is no table."""
    revision: ClassVar[int] = 1
    """Part of the digest: raised whenever the same settings come to mean something else."""

    name: str = ""
    """Shown in reports; the kind when it is not given."""
    timeout_s: float = 10.0
    """Seconds after which the episode is unjudged."""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.kind)
        problems = list(self.problems())
        if not self.timeout_s > 0.0:
            problems.append(Problem(message="must be above 0", key="timeout_s"))
        if problems:
            raise ConfigError(problems)

    @property
    def digest(self) -> str:
        """Content address of the settings; the timeout is none of them."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        settings = to_jsonable(self)
        settings.pop("timeout_s", None)
        return digest({"judge": self.kind, "revision": self.revision, "settings": settings})

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong with the settings; keys are those of the settings."""
        return ()

    def judge(self, episode: Episode) -> Verdict:
        """Return the verdict."""
        raise NotImplementedError


def unjudged(reason: str) -> Verdict:
    """Say that the judge cannot tell."""
    return Verdict(passed=None, reason=reason)
