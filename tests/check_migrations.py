"""`make check`: the models have the columns and keys that the migrations make, every view has a
model, and schema.sql has all that they make. ``python -m tests.check_migrations --write`` writes it
anew.
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
    """Where the models are not what the migrated database has."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_differences)
    finally:
        await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    database = inspect(connection)
    views = set(database.get_view_names())
    tables = views | set(database.get_table_names())
    models = Base.metadata.tables
    found: list[Any] = [("no model", view) for view in sorted(views - models.keys())]
    found += [("not there", name) for name in sorted(models.keys() - tables)]
    for name in sorted(models.keys() & tables):
        there, modelled = database.get_columns(name), list(map(vars, models[name].columns))
        if name in views:  # Postgres takes any column of a view for one that may be null
            modelled = [{**column, "nullable": True} for column in modelled]
        elif (key := set(database.get_pk_constraint(name)["constrained_columns"])) != set(
            models[name].primary_key.columns.keys()
        ):
            found.append(("key", name, key))
        columns = _columns(connection, there) ^ _columns(connection, modelled)
        found += [("column", name, *column) for column in sorted(columns)]
    return found


def _columns(
    connection: Connection, columns: Iterable[Mapping[str, Any]]
) -> set[tuple[str, str, bool]]:
    return {
        (column["name"], column["type"].compile(connection.dialect), column["nullable"])
        for column in columns
    }


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
