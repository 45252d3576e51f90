"""The world as the agent sees it: its second argument."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a handle is made of, as plain data that travels into the agent's process."""

    workspace: str
    """Path of the workspace as the agent sees it."""
    databases: dict[str, str]
    """Database name -> path of its file."""
    clock: datetime
    """The world's now."""
    seed: int
    """Seed of the attempt."""
    env: dict[str, str]
    """Variables of the world."""


class WorldHandle:
    """The episode's world.

    >>> def agent(request, world):
    ...     world.session["asked"] = world.session.get("asked", 0) + 1
    ...     return f"turn {world.session['asked']} on {world.clock:%A}"
    """

    __slots__ = ("clock", "databases", "env", "seed", "session", "workspace")

    def __init__(self, surroundings: Surroundings) -> None:
        self.workspace = Path(surroundings.workspace)
        """The agent's files; what it writes here is an effect."""
        self.databases = dict(surroundings.databases)
        """Database name -> path of its SQLite file."""
        self.clock = surroundings.clock
        """The world's now, with its offset from UTC. The system clock is not changed."""
        self.seed = surroundings.seed
        """Seed for everything random: equal for equal attempts."""
        self.env = dict(surroundings.env)
        """Variables that the world passes on."""
        self.session: dict[str, Any] = {}
        """Scratch memory that lives as long as the episode: the same for all turns, new for every episode."""
