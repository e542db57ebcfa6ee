"""What happens in the source: rows of every kind, and changes of every kind, from a seed."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

BUILD = ("pending", "running", "completed", "failed")
TASK = ("pending", "ready", "running", "done", "failed", "blocked")
AGENTS = ("architect", "coder", "reviewer", "tester", "nobody's")

#: Table, how many rows at most, and what happens to them.
_CHANGES = (
    ("tasks", 3, "UPDATE tasks SET status = '{task_status}'"),
    ("tasks", 1, "UPDATE tasks SET agent = '{agent}'"),
    ("tasks", 1, "UPDATE tasks SET agent = NULL"),
    ("tasks", 2, "UPDATE tasks SET attempts = coalesce(attempts, 0) + 1"),
    ("tasks", 1, "UPDATE tasks SET output = output || '+', ticket_numbers[2] = 5"),
    ("tasks", 1, "UPDATE tasks SET id = id + 50000000"),
    ("tasks", 1, "DELETE FROM tasks"),
    ("executions", 1, "UPDATE executions SET agent = '{agent}'"),
    ("executions", 1, "UPDATE executions SET duration = duration * 1.5"),
    ("executions", 1, "UPDATE executions SET response = NULL"),
    ("executions", 1, "DELETE FROM executions"),
    ("builds", 1, "UPDATE builds SET status = '{build_status}', completed_at = started_at + '9 h'"),
    ("builds", 1, "UPDATE builds SET completed_at = started_at + '1 h 0.0305 s'"),
    ("builds", 1, "UPDATE builds SET completed_at = 'infinity'"),
    ("builds", 1, "DELETE FROM builds"),
    ("agents", 1, "UPDATE agents SET name = name || ' (II)'"),
    ("agents", 1, "UPDATE agents SET role = 'another'"),
    ("users", 1, "UPDATE users SET last_active_at = '2026-03-01 12:00:00.123456'"),
    ("activities", 1, "UPDATE activities SET timestamp = timestamp + 1"),
    ("activities", 1, "DELETE FROM activities"),
)

_START = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


async def traffic(
    source: str, seed: int, *, rows: int, changes: int, large_keys: bool = False
) -> None:
    """Insert ``rows`` of each kind, then make ``changes`` transactions; see ``Traffic``."""
    connection = await asyncpg.connect(source)
    try:
        writer = Traffic(connection, seed, large_keys=large_keys)
        await writer.insert_rows(rows)
        await writer.change_rows(changes)
    finally:
        await connection.close()


class Traffic:
    """Writes to the source with one connection; the same seed does the same.

    ``large_keys`` says whether rows with large values may get another key.
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], seed: int, *, large_keys: bool = False
    ) -> None:
        self._large_keys = large_keys
        self._connection = connection
        self._random = random.Random(seed)
        self._number = seed * 100_000

    async def insert_rows(self, count: int) -> None:
        """``count`` rows of each kind, in one transaction; the agents once."""
        async with self._connection.transaction():
            if not await self._connection.fetchval("SELECT count(*) FROM agents"):
                for name in AGENTS[:-1]:
                    await self._insert("agents", self._agent(name))
            for _ in range(count):
                await self._insert("builds", self._build())
                await self._insert("tasks", self._task())
                await self._insert("executions", self._execution())
                await self._insert("activities", self._activity())
                await self._insert("users", self._user())

    async def change_rows(self, count: int) -> None:
        """``count`` transactions: updates, moves, new keys, deletions, and one in nine undone."""
        for place in range(count):
            transaction = self._connection.transaction()
            await transaction.start()
            for _ in range(self._random.randint(1, 4)):
                await self._connection.execute(self._change())
            if place % 9 == 8:
                await transaction.rollback()
            else:
                await transaction.commit()

    def _change(self) -> str:
        table, rows, statement = self._random.choice(_CHANGES)
        words = {
            "task_status": self._random.choice(TASK),
            "build_status": self._random.choice(BUILD),
            "agent": self._name().replace("'", "''"),
        }
        where = self._pick(table, rows, large="SET id" not in statement or self._large_keys)
        return f"{statement.format(**words)} {where}"

    def _pick(self, table: str, count: int, *, large: bool) -> str:
        """A condition that holds for some rows, always the same ones for one seed.

        Not ``large``: tasks whose known values are in the row itself. Under another key Debezium
        sends only those: what Postgres keeps out of the row is not in the change, and nobody
        knows it under the new key.
        """
        salt = self._random.randint(0, 10**6)
        which = "" if large else "WHERE output = 'short'"
        return (
            f"WHERE id IN (SELECT id FROM {table} {which} "
            f"ORDER BY md5(id::text || '{salt}') LIMIT {count})"
        )

    async def _insert(self, table: str, row: dict[str, Any]) -> None:
        """Insert a row, as far as the table has its columns (tests take some away)."""
        query = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"
        there = {found["attname"] for found in await self._connection.fetch(query, table)}
        row = {name: value for name, value in row.items() if name in there}
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await self._connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values()
        )

    # -- rows ------------------------------------------------------------------------------------

    def _agent(self, name: str) -> dict[str, Any]:
        return {
            "id": self._uuid(),
            "name": name,
            "role": "engineer",
            "domain": "code",
            "model": "a-model",
            "system_prompt": self._large(),
            "gates": json.dumps([{"gate": n, "text": "é" * 30} for n in range(60)]),
            "created_at": self._time(),
            "hourly_rate": Decimal("12.50"),
            "tags": [self._large(100) for _ in range(30)],
        }

    def _build(self) -> dict[str, Any]:
        status = self._random.choice(BUILD)
        started = self._time().replace(tzinfo=None)
        took = timedelta(seconds=self._random.randint(1, 9999), microseconds=1)
        return {
            "id": self._next(),
            "prd_id": self._uuid(),
            "prd_name": "Ein Plan — ☂",
            "status": status,
            "started_at": started,
            "completed_at": started + took if status in {"completed", "failed"} else None,
            "error": "it's broken" if status == "failed" else None,
            "due": date(2026, 4, 1),
            "window_start": self._time().time(),
        }

    def _task(self) -> dict[str, Any]:
        chosen = self._random
        big = chosen.random() < 0.5
        return {
            "id": Decimal(self._next()),
            "build_id": chosen.randint(1, 50),
            "task_id": f"T-{self._next()}",
            "title": "do it",
            "agent": self._name(),
            "status": chosen.choice(TASK),
            "dependencies": [self._uuid() for _ in range(200 if big else 2)],
            "phase": chosen.randint(0, 5),
            "attempts": Decimal(chosen.randint(0, 900)),
            "created_at": self._time(),
            "output": self._large() if big else "short",
            "error": None,
            "watchers": [self._large(60) for _ in range(80)] if big else [],
            "ticket_numbers": [chosen.randint(0, 2**60) for _ in range(500)],
            "counts": list(range(900)),
            "codes": [f"code-{n}" for n in range(400)],
            "checksums": bytes(range(256)) * 12,
            "notes": json.dumps({"a": self._large()}),
            "plan": json.dumps([self._large()]),
        }

    def _execution(self) -> dict[str, Any]:
        duration = timedelta(
            microseconds=self._random.choice(
                (0, 1, 929_000, 1_122_000, 5_250_000, 59_999_999, 86_400_000_001)
            )
        )
        return {
            "id": Decimal(self._next()),
            "task_id": Decimal(self._random.randint(1, 10**6)),
            "agent": self._name(),
            "model": "a-model",
            "prompt": self._large(),
            "response": self._large(5000),
            "gates_passed": self._random.choice((True, False, None)),
            "duration": self._random.choice((None, duration, duration)),
            "timestamp": self._time(),
            "error": None,
            "cost": Decimal("0.000123"),
        }

    def _activity(self) -> dict[str, Any]:
        return {
            "id": f"activity/{self._next()}",
            "user_id": self._random.randint(1, 2**40),
            "agent_name": self._name(),
            "event_type": "done",
            "task_id": Decimal(self._random.randint(1, 10**6)),
            "details": self._large(),
            "timestamp": date(2026, 1, 1) + timedelta(days=self._random.randint(0, 90)),
        }

    def _user(self) -> dict[str, Any]:
        return {
            "id": self._next(),
            "user_id": self._uuid(),
            "email": "someone@example.com",
            "tier": "free",
            "global_wisdom_opt_in": self._random.choice((True, False)),
            "created_at": date(2025, 12, 24),
            "last_active_at": self._time().replace(tzinfo=None),
        }

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _name(self) -> str:
        return self._random.choice(AGENTS)

    def _quoted(self) -> str:
        return "'" + self._name().replace("'", "''") + "'"

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def _time(self) -> datetime:
        return _START + timedelta(microseconds=self._random.randint(0, 10**13))

    def _large(self, size: int = 3000) -> str:
        """A text that Postgres keeps out of the row when it is large enough."""
        return "".join(self._random.choices("abcdefghijklmnop qrstuvwxyzäöü", k=size))
