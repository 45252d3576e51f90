"""What an engine runs: a job opens a session in every worker, the session turns items into results."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Session(Protocol):
    """The state of one worker; many items run on its event loop at once."""

    async def run(self, key: int, payload: bytes) -> bytes:
        """Turn one item into its result. Must not raise: an exception here takes the worker down."""
        ...

    async def close(self) -> None:
        """Release what the worker holds."""
        ...


class Job(Protocol):
    """Opens sessions. Inherited by forked workers; pickled where a fork is not safe."""

    async def open(self) -> Session:
        """Open a session inside a worker."""
        ...


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How one item ended."""

    key: int
    """The item."""
    payload: bytes | None = None
    """Its result; None when there is none."""
    recalled: bool = False
    """Given back without having been started."""
    death: Death | None = None
    """How the worker that held it died."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a worker process."""

    status: int
    """Exit code, or minus the signal number; 0 when unknown."""
    alone: bool
    """Whether the item was the only one that the worker ever held: then the item is to blame."""
    log: str
    """The last of what the worker printed."""

    def __str__(self) -> str:
        how = f"was killed by signal {-self.status}" if self.status < 0 else f"exited with code {self.status}"
        return f"the worker process {how}" + (f": {self.log.strip()[-500:]}" if self.log.strip() else "")
