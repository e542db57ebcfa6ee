"""``storage/database.py`` is the one door to Postgres: nobody else has a way of their own to
connect, to begin a transaction, or to tell an outage from a broken statement.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nova_stream

ROOT = Path(nova_stream.__file__).parent
DOOR = "storage/database.py"
#: Who may, and why.
ALLOWED = {
    "connects": {
        "local/sql.py",  # one-off statements on a server of this machine, without settings
    },
    "begins": {
        "source_audit/postgres.py",  # the source's database, whose end must not hide ours
    },
    "judges": {
        "storage/faults.py",
        "api/problems.py",  # what is told of a fault of the set-up
        "local/sql.py",
        "storage/migrate.py",  # a privilege that is missing
    },
}


def _uses(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            words = ast.unparse(node.func)
            if words in {"asyncpg.connect", "asyncpg.create_pool"}:
                yield "connects"
            if words.endswith(".transaction") and not words.endswith("store.transaction"):
                yield "begins"
        if isinstance(node, ast.ExceptHandler) and "asyncpg." in ast.unparse(node.type or node):
            yield "judges"
        if isinstance(node, ast.Call) and ast.unparse(node).startswith(
            ("isinstance(error, asyncpg.", "contextlib.suppress(asyncpg.", "suppress(asyncpg.")
        ):
            yield "judges"


@pytest.mark.parametrize("what", ALLOWED)
def test_there_is_one_door(what: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if what in set(_uses(path))
    }
    assert found - {DOOR} == ALLOWED[what]
