"""What a world is made of: the `[harness.NAME.world]` table, and a case's overrides of it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

DEFAULT_CLOCK = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
"""The world's now when none is configured: fixed, so that a case about "next Friday" means the same on every day."""


class DatabaseSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One SQLite database of the world."""

    seed: tuple[str, ...]
    """`.sql` files run in order, a `.db` file to start from, or folders of them; relative to the project."""
    volatile: tuple[str, ...] = ()
    """Columns (`table.column`) that differ between equal runs; never compared, never kept."""
    path: str = ""
    """File name in the workspace; `NAME.db` by default."""


class WorldSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The seed of every episode's world."""

    files: str = ""
    """Folder whose content is copied into the workspace; relative to the project."""
    databases: dict[str, DatabaseSpec] = {}
    """Databases by name."""
    clock: datetime = DEFAULT_CLOCK
    """The world's now, handed to the agent (UTC where it names no offset); the system clock is not changed."""
    env: tuple[str, ...] = ()
    """Names of host variables that the agent may see."""
    fixed: dict[str, str] = msgspec.field(default_factory=dict, name="set")
    """Variables with fixed values."""


class DatabaseOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one case changes in a database."""

    sql: tuple[str, ...] = ()
    """SQL run after the seed."""


class CaseWorld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one case changes in its world (`Case.world`)."""

    files: dict[str, str | None] = {}
    """Workspace path -> text; None removes the file."""
    databases: dict[str, DatabaseOverride] = {}
    """Database name -> changes."""
    clock: datetime | None = None
    """The case's now."""


def utc(moment: datetime) -> datetime:
    """Return the moment with an offset: one that names none is UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
