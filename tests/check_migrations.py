"""`make check`: the models have what the migrations make and nothing else, and so has schema.sql,
which ``python -m tests.check_migrations --write`` writes anew.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from nova_stream.local.postgres_config import binaries, environment
from nova_stream.models import Base
from nova_stream.settings import load_settings
from nova_stream.storage import migrate
from nova_stream.testing.servers import postgres_server

SCHEMA = Path(migrate.__file__).parent / "migrations" / "schema.sql"
COMMAND = "python -m tests.check_migrations --write"
HEAD = f"""\
-- What the migrations make: for readers, nothing runs it.
-- Written by: {COMMAND}

"""


async def model_differences(url: str) -> list[Any]:
    """What the models have that the migrated database lacks, or the other way round."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_differences)
    finally:
        await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    def is_table(found: Any, _name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or "view" not in found.info

    options = {"compare_type": True, "include_object": is_table}
    context = MigrationContext.configure(connection, opts=options)
    found = list(compare_metadata(context, Base.metadata))
    views = {table.name: table for table in Base.metadata.tables.values() if "view" in table.info}
    database = inspect(connection)
    for name in sorted(views.keys() | database.get_view_names()):
        there = database.get_columns(name) if name in database.get_view_names() else []
        modelled = map(vars, views[name].columns) if name in views else ()
        found += [
            ("view", name, *column)
            for column in _columns(connection, there) ^ _columns(connection, modelled)
        ]
    return found


def _columns(connection: Connection, columns: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(column["name"], column["type"].compile(connection.dialect)) for column in columns}


def dumped(url: str) -> str:
    """The database's schema as SQL, without what differs from server to server."""
    command = (binaries() / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", url)
    dump = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    text = re.sub(r"(?m)^(--.*|\\.*|SET .*;|SELECT pg_catalog\.set_config.*)\n", "", dump.stdout)
    text = re.sub(r"\bpublic\.", "", text).replace("timestamp with time zone", "timestamptz")
    return HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main(*words: str) -> int:
    with postgres_server() as url:
        asyncio.run(migrate.migrate(load_settings(database_url=url)))
        found = asyncio.run(model_differences(url))
        schema = dumped(url)
    for difference in found:
        sys.stderr.write(f"models and migrations differ: {difference}\n")
    if "--write" in words:
        SCHEMA.write_text(schema, encoding="utf-8")
    lines = SCHEMA.read_text(encoding="utf-8").splitlines(), schema.splitlines()
    different = "\n".join(difflib.unified_diff(*lines, str(SCHEMA), "migrated", lineterm=""))
    if different:
        sys.stderr.write(f"{different}\n{SCHEMA.name} is out of date, run: {COMMAND}\n")
    if not found and not different:
        sys.stdout.write(f"models, {SCHEMA.name} and migrations agree\n")
    return 1 if found or different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
