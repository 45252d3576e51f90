"""Open the store that a path or URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from assay.store.sql import SqlStore


def open_store(url_or_path: str | PathLike[str]) -> SqlStore:
    """Open a store, made or migrated where that is due: a path (SQLite), `sqlite:///PATH` or `postgresql://HOST/NAME`.

    Raises `ConfigError` for a URL that names no store, `MissingExtraError` without the PostgreSQL driver, `StoreError`
    when the database cannot be used or was written by a newer assay.
    """
    from assay.store.sql import SqlStore

    return SqlStore(url_or_path)
