"""Alembic's entry point; ``storage.migrate`` hands over the connection."""

from __future__ import annotations

from alembic import context

from nova_stream.storage.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
