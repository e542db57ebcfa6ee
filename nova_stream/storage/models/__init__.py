"""The tables of nova-stream (contract section 4) as SQLAlchemy models.

The migrations make them; ``make check`` compares the two. The hot path does not use the
models: it speaks to asyncpg with the statements of ``storage.sql``.
"""

from nova_stream.storage.models import api, entities, jobs, sources, stream
from nova_stream.storage.models.base import Base

__all__ = ["Base", "api", "entities", "jobs", "sources", "stream"]
