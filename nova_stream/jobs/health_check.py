"""healthCheck: whether the database answers, how large its tables are, and what else goes well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

import msgspec

from nova_stream.errors import NovaStreamError
from nova_stream.events.times import time_text
from nova_stream.jobs.engine.job import JobContext
from nova_stream.kafka.lag import Backlog, read_backlog
from nova_stream.kafka.model import AppliedPosition, HeldBackRecords, Key
from nova_stream.storage.faults import DATABASE_ERRORS
from nova_stream.storage.maintenance.health import DatabaseHealth, database_health

#: Its name in the registry; alerts read its results.
NAME = "healthCheck"
#: Seconds for Kafka and the archive.
_OTHERS_S = 5.0


class Result(msgspec.Struct, rename="camel"):
    """Sizes count live entities, None where the database does not tell.

    ``status`` is ``error`` when the database does not answer within NOVA_HEALTH_SECONDS,
    ``warning`` when a table is above its threshold, Kafka or the archive does not answer, records
    wait and no worker runs, the lag is above NOVA_LAG_WARNING, or a transaction has long been open,
    else ``healthy``; ``problems`` says what. ``growth_per_day`` is how many rows a table gained a
    day in the last 7, None while less than a day is known. ``last_run_age_seconds`` says how long
    ago each job last ended well, None where it never has.
    """

    build_table_size: int | None
    task_table_size: int | None
    execution_table_size: int | None
    activity_table_size: int | None
    user_table_size: int | None
    timestamp: str
    status: str
    problems: list[str]
    lag: int | None
    open_dead_letters: int | None
    last_run_age_seconds: dict[str, float | None]
    growth_per_day: dict[str, float | None]


async def run_once(context: JobContext, jobs: Sequence[str]) -> Result:
    """Look at everything, and at when each of ``jobs`` last ended well; what does not answer is in
    the result. Raises SettingsError.
    """
    archive = asyncio.create_task(_archive(context))
    try:
        found = await _database(context, jobs)
        error = None
    except (*DATABASE_ERRORS, NovaStreamError) as raised:
        found = None
        limit = context.settings.health_seconds
        what = f"it did not answer within {limit:g} s" if _is_late(raised) else str(raised)
        error = f"database: {what}"
    backlog, away = await _kafka(context, found.positions if found else {})
    behind = backlog.lag if found and backlog else None
    problems = [error] if error else _too_large(context, found)
    workers = found.workers if found else None
    stands = (away, _nobody(behind, workers), _far(context, behind))
    problems += [problem for problem in stands if problem]
    problems += _held_back(context, backlog.held if backlog else ())
    problems += [problem for problem in (await archive,) if problem]
    sizes = found.sizes if found else {}
    return Result(
        build_table_size=sizes.get("build_table_size"),
        task_table_size=sizes.get("task_table_size"),
        execution_table_size=sizes.get("execution_table_size"),
        activity_table_size=sizes.get("activity_table_size"),
        user_table_size=sizes.get("user_table_size"),
        timestamp=time_text(context.now),
        status="error" if error else "warning" if problems else "healthy",
        problems=problems,
        lag=behind,
        open_dead_letters=found.dead_letters if found else None,
        last_run_age_seconds=found.last_run_age_seconds if found else {},
        growth_per_day={_camel(name): day for name, day in found.growth.items()} if found else {},
    )


async def _database(context: JobContext, jobs: Sequence[str]) -> DatabaseHealth:
    async with asyncio.timeout(context.settings.health_seconds):
        connection = await context.connect()
        try:
            return await database_health(connection, jobs, NAME, context.now)
        finally:
            # No farewell: a server that does not answer must not hold us.
            connection.terminate()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _is_late(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)


def _too_large(context: JobContext, found: DatabaseHealth | None) -> list[str]:
    settings = context.settings
    sizes = found.sizes if found else {}
    limits = {
        "task_table_size": settings.task_table_warning,
        "activity_table_size": settings.activity_table_warning,
    }
    return [
        f"{name} is {sizes[name]}, above {limit}"
        for name, limit in limits.items()
        if sizes.get(name, 0) > limit
    ]


async def _kafka(
    context: JobContext, positions: Mapping[Key, AppliedPosition]
) -> tuple[Backlog | None, str | None]:
    try:
        return await read_backlog(context.settings, positions, _OTHERS_S), None
    except NovaStreamError as error:
        return None, f"kafka: {error}"


def _nobody(behind: int | None, workers: int | None) -> str | None:
    if not behind or workers != 0:
        return None
    wait = "1 record waits" if behind == 1 else f"{behind} records wait"
    return f"{wait} and no worker runs: start one with nova-stream worker"


def _far(context: JobContext, behind: int | None) -> str | None:
    limit = context.settings.lag_warning
    if behind is None or behind <= limit:
        return None
    return f"the stream is {behind} records behind, more than {limit}"


def _held_back(context: JobContext, held: Sequence[HeldBackRecords]) -> list[str]:
    """Transactions that have written nothing for a while, or hold back more than a lag may be."""
    limit = context.settings.lag_warning
    return [str(found) for found in held if found.records > limit or found.stands(context.now)]


async def _archive(context: JobContext) -> str | None:
    async def check() -> None:
        from nova_stream.jobs.archive.object_store import Archive  # noqa: PLC0415 - only when a job needs it

        await Archive(context.settings.archive_url).check()

    return await _told(check())


async def _told(work: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(_OTHERS_S):
            await work
    except NovaStreamError as error:
        return str(error)
    except TimeoutError:
        return f"the archive does not answer within {_OTHERS_S:g} s"
    return None
