"""Alembic's entry: the connection comes from `assay.store.migrate`, its transaction with it."""

from __future__ import annotations

from alembic import context

from assay.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
