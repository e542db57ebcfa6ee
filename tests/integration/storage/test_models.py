"""The public models on a migrated database: what they read, and that nothing is written by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload

from nova_stream import models
from nova_stream.errors import UsageError
from nova_stream.models import (
    SNAPSHOT,
    AgentStats,
    AgentStatsRecount,
    Base,
    Build,
    BuildStats,
    BuildStatsRecount,
    Execution,
    Task,
)
from tests.integration.conftest import ApplyLines

pytestmark = pytest.mark.integration

TIME = "2026-02-20T12:00:00Z"
PUBLIC = [getattr(models, name) for name in models.__all__ if name not in {"Base", "SNAPSHOT"}]


@pytest.fixture
async def session(migrated_database: str, apply_lines: ApplyLines) -> AsyncIterator[AsyncSession]:
    task = {"buildId": "b-1", "agent": "NOVA", "createdAt": TIME}
    lines: list[tuple[str, str, dict[str, Any]]] = [
        ("c", "agents", {"id": "a-1", "name": "NOVA", "createdAt": TIME}),
        ("c", "builds", {"id": "b-1", "status": "completed", "startedAt": TIME}),
        ("c", "tasks", {"id": "t-1", "status": "done", "dependencies": ["t-0"], **task}),
        ("c", "tasks", {"id": "t-2", "status": "failed", **task}),
        ("c", "executions", {"id": "e-1", "taskId": "t-1", "agent": "NOVA", "duration": 0.5}),
    ]
    await apply_lines({"entity": entity, "op": op, "after": after} for op, entity, after in lines)
    await apply_lines([{"entity": "tasks", "op": "d", "seq": 9, "before": {"id": "t-2"}}])
    url = migrated_database.replace("postgresql:", "postgresql+asyncpg:", 1)
    engine = create_async_engine(url, execution_options=SNAPSHOT)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.__name__)
async def test_every_public_model_can_be_read(session: AsyncSession, model: type[Base]) -> None:
    (await session.scalars(select(model))).all()


async def test_caches_equal_their_recount(session: AsyncSession) -> None:
    for cache, recount in ((AgentStats, AgentStatsRecount), (BuildStats, BuildStatsRecount)):
        one = (await session.scalars(select(cache))).one()
        other = (await session.scalars(select(recount))).one()
        figures = recount.__table__.columns.keys()
        assert [getattr(one, name) for name in figures] == [
            getattr(other, name) for name in figures
        ]


async def test_rows_lead_to_each_other_and_deleted_ones_to_nothing(session: AsyncSession) -> None:
    loaded = selectinload(Build.tasks).selectinload(Task.executions).selectinload(Execution.task)
    build = (await session.scalars(select(Build).options(loaded))).one()
    (task,) = build.tasks
    (execution,) = task.executions
    assert (task.id, task.dependencies, execution.task) == ("t-1", ["t-0"], task)
    gone = (await session.scalars(select(Task).where(Task.id == "t-2"))).one()
    assert gone.deleted_at is not None
    assert gone.status is None
    assert gone.doc is None


async def test_a_session_writes_no_model(session: AsyncSession) -> None:
    task = await session.get_one(Task, "t-1")
    task.status = "failed"
    with pytest.raises(UsageError, match="tasks is for reading"):
        await session.flush()
    await session.rollback()
    await session.delete(await session.get_one(AgentStats, "a-1"))
    with pytest.raises(UsageError, match="agent_stats_cache is for reading"):
        await session.flush()
    await session.rollback()
    session.add(Task(id="t-9"))
    with pytest.raises(UsageError, match="tasks is for reading"):
        await session.flush()


@pytest.mark.parametrize(
    "statement",
    [
        update(AgentStats).values(total_tasks=0),
        delete(Task),
        insert(Build).values(id="b-9"),
    ],
)
async def test_a_snapshot_writes_nothing(session: AsyncSession, statement: Any) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        await session.execute(statement)
