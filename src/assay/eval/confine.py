"""Which isolation a run uses, and how workers open it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from assay.core.sandbox import Sandbox


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """The isolation of one run."""

    kind: str
    """`jail`, `process`, `task`, `remote` or `recorded`."""
    note: str
    """One line: why this kind, what was verified."""
    guarantees: tuple[str, ...]
    """What holds."""
    open_sandbox: Callable[[], Awaitable[Sandbox]] | None = None
    """Opens a worker's sandbox; None where there is none."""
