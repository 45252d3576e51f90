"""What the agent needs from its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path


class World(Protocol):
    """The handle that comes with every message of a conversation."""

    @property
    def databases(self) -> Mapping[str, str]:
        """Name -> path of a SQLite file; the desk uses `hotel`."""
        ...

    @property
    def workspace(self) -> Path:
        """Folder for files; mail goes to `outbox` in it."""
        ...

    @property
    def clock(self) -> datetime:
        """The hotel's now, with its time zone."""
        ...

    @property
    def session(self) -> dict[str, Any]:
        """What the agent remembers between the messages of one conversation."""
        ...
