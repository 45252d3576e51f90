"""The store: runs, ledger, episodes, verdicts and traces in SQLite or PostgreSQL.

Importing this package loads no database library; `open_store` and `SqlStore` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.store.open import open_store

if TYPE_CHECKING:
    from assay.store.sql import SqlStore

__all__ = ["SqlStore", "open_store"]


def __getattr__(name: str) -> Any:
    if name != "SqlStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from assay.store.sql import SqlStore

    return SqlStore
