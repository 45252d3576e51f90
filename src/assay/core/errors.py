"""The error tree.

AssayError
├── ConfigError          the user's files or arguments are wrong (exit code 2); carries every Problem found
├── MissingExtraError    a feature needs an optional extra that is not installed (exit code 2)
├── IsolationUnavailableError   the isolation that was asked for cannot be had on this machine (exit code 2)
├── HarnessError         a harness could not reach or start the agent: infrastructure, never the agent's fault
├── WorldError           a world could not be built, verified or taken down: infrastructure
├── StoreError           the store failed: the run fails with it, nothing is dropped
│   └── StoreFullError   no space left; what was committed is intact
└── NotFoundError        a run, episode or trace with that id is not in the store (exit code 2)

Failures *inside* an episode are values (`assay.core.episode.Failure`), not exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake in the user's files, placed so that an editor can jump to it."""

    message: str
    """What is wrong, in one sentence."""
    path: str = ""
    """File it stands in; empty for arguments given in Python or on the command line."""
    line: int | None = None
    """1-based line in the file, where it is known."""
    key: str = ""
    """Dotted key in the file, such as `harness.booking.timeout_s`."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        where = self.path + (f":{self.line}" if self.line is not None else "")
        prefix = ": ".join(part for part in (where, self.key) if part)
        text = f"{prefix}: {self.message}" if prefix else self.message
        return f"{text} ({self.hint})" if self.hint else text


class AssayError(Exception):
    """Every error that assay raises on purpose."""


class ConfigError(AssayError):
    """The user's configuration, dataset or arguments are wrong; `problems` lists all mistakes at once."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = (
            (Problem(message=problems),) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingExtraError(AssayError):
    """A feature needs an optional extra; the message says how to install it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'assay[{extra}]'")


class IsolationUnavailableError(AssayError):
    """The isolation that was asked for cannot be had here; never silently downgraded."""


class HarnessError(AssayError):
    """The harness could not reach or start the agent."""


class WorldError(AssayError):
    """The episode's world could not be built, verified or taken down."""


class StoreError(AssayError):
    """The store failed; a run whose store fails is a failed run."""


class StoreFullError(StoreError):
    """No space left on the store's device; everything committed before is intact."""


class NotFoundError(AssayError):
    """Nothing with that id is in the store."""
