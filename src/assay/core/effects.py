"""Effects: what an episode changed in its world, captured when the world is taken down."""

from __future__ import annotations

from typing import Any

import msgspec


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row before and after."""

    key: dict[str, Any]
    """Primary key columns and their values."""
    before: dict[str, Any]
    """The whole row at open."""
    after: dict[str, Any]
    """The whole row at close."""


class TableDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of one table that differ between open and close."""

    database: str
    """Name of the database in the world."""
    table: str
    """Name of the table."""
    added: tuple[dict[str, Any], ...] = ()
    """Rows that were not there at open."""
    removed: tuple[dict[str, Any], ...] = ()
    """Rows that are gone at close."""
    changed: tuple[RowChange, ...] = ()
    """Rows with the same key and other values."""
    dropped: int = 0
    """Further differing rows beyond the bound, counted and not kept."""


class FileChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of the workspace that differs between open and close."""

    path: str
    """Relative to the workspace, with forward slashes."""
    change: str
    """`added`, `changed` or `removed`."""
    kind: str = "file"
    """What it is at close, for removed ones at open: `file`, `link`, `fifo`, `socket` or `device`."""
    size: int = 0
    """Bytes at close; 0 for removed files."""
    digest: str = ""
    """BLAKE2b-128 of the content at close."""
    text: str | None = None
    """Content at close where it is text, cut at the bound (for links: the target); None for binary or removed files."""
    truncated: bool = False
    """Whether `text` was cut."""


class Effects(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that the episode changed in its world."""

    tables: tuple[TableDiff, ...] = ()
    """Tables with a difference, sorted by database and name."""
    files: tuple[FileChange, ...] = ()
    """Files with a difference, sorted by path."""
    dropped_files: int = 0
    """Further files beyond the bound, counted and not kept."""
    problems: tuple[str, ...] = ()
    """What the episode left behind that could not be compared, and why (such as a database replaced by garbage)."""

    def table(self, name: str) -> TableDiff:
        """Return the difference of one table (`name` or `database.name`); an empty one if nothing changed."""
        for diff in self.tables:
            if name in {diff.table, f"{diff.database}.{diff.table}"}:
                return diff
        database, _, table = name.rpartition(".")
        return TableDiff(database=database, table=table)


NO_EFFECTS = Effects()
