"""summarizeEngagement: the figures are those of all activities ever seen, also after cleanups."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from nova_stream.errors import UsageError
from nova_stream.events.times import time_text
from nova_stream.jobs import cleanup_old_activity, summarize_engagement
from nova_stream.settings import Settings
from nova_stream.storage.database import connect, read_committed
from nova_stream.storage.maintenance import engagement
from tests.integration.jobs.engagement import Memory
from tests.integration.jobs.work import ApplyLines, Runs
from tests.recount_engagement import (
    CohortFigures,
    DayFigures,
    Engagement,
    MonthFigures,
    Visit,
    recount_engagement,
)

pytestmark = pytest.mark.integration

TWO = datetime(2026, 2, 20, 2, tzinfo=UTC)
DAY = timedelta(days=1)
USERS = ("u0", "u1", "u2", "u3", "system", "x" * 1024, "y" * 1025)
EMPTY = """
TRUNCATE agent_activity_feed, activity_archive, user_profiles, user_activity_daily,
    user_activity_cleaned, user_activity_archive, engagement_floors"""


@pytest.fixture
def runs(nova_settings: Settings) -> Runs:
    return Runs(nova_settings)


def activity(id_: str, user: str | None, time: datetime, **more: Any) -> dict[str, Any]:
    fields = {"id": id_, "userId": user, "details": "", "timestamp": time_text(time)}
    return {"entity": "activities", "after": fields, **more}


def user(user_id: str, **more: Any) -> dict[str, Any]:
    fields = {"id": f"id-{user_id}"[:100], "userId": user_id}
    return {"entity": "users", "after": fields, **more}


def deleted(line: dict[str, Any], seq: int) -> dict[str, Any]:
    before = {"id": line["after"]["id"]}
    return {"entity": line["entity"], "op": "d", "before": before, "seq": seq}


async def visits(runs: Runs) -> set[Visit]:
    rows = await runs.fetch("SELECT day, user_id FROM user_activity_daily")
    return {Visit(**row) for row in rows}


async def figures(runs: Runs) -> Engagement:
    days = await runs.fetch(f"SELECT {', '.join(DayFigures._fields)} FROM engagement_daily")
    cohorts = await runs.fetch("SELECT * FROM engagement_retention")
    months = await runs.fetch("SELECT * FROM engagement_churn")
    return Engagement(
        sorted(DayFigures(**row) for row in days),
        sorted(CohortFigures(**row) for row in cohorts),
        sorted(MonthFigures(**row) for row in months),
    )


async def holds(runs: Runs, expected: set[Visit], now: datetime) -> None:
    assert await visits(runs) == expected
    assert await figures(runs) == recount_engagement(expected, now.date())


# -- any history -----------------------------------------------------------------------------------

CHANGES = st.one_of(
    st.tuples(
        st.just("store"),
        st.integers(0, 9),
        st.sampled_from(USERS),
        st.one_of(st.integers(-30, 24 * 9), st.integers(24 * 5, 24 * 9), st.integers(0, 24 * 90)),
    ),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("register"), st.sampled_from(USERS)),
    st.tuples(st.just("leave"), st.sampled_from(USERS)),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.lists(CHANGES, max_size=8),
        st.lists(st.sampled_from(["cleanup", "undo", "run"]), max_size=3),
    ),
    min_size=1,
    max_size=5,
)


async def live_through(runs: Runs, apply_lines: ApplyLines, steps: list[Any], seq: Any) -> None:
    await runs.execute(EMPTY)
    memory, now, cleanups = Memory(), TWO, [0]
    start = [("register", name) for name in USERS[:5]]
    end: list[Any] = [(24, [], ["cleanup", "run"]), (24, [], ["run"])]
    for hours, changes, actions in [(0, start, []), *steps, *end]:
        now += timedelta(hours=hours)
        lines = [change(memory, now, next(seq), *details) for details in changes]
        await apply_lines(lines)
        for action in actions:
            if action == "cleanup":
                found = await runs.run(cleanup_old_activity.run_once, now)
                assert found["deleted"] == memory.clean(runs.last, now)
                if found["deleted"]:
                    cleanups.append(runs.last)
            elif action == "undo" and cleanups[1:]:
                memory.undo(cleanups[-1])
                await cleanup_old_activity.undo(runs.settings, cleanups.pop())
            elif action == "run":
                await runs.run(summarize_engagement.run_once, now)
                await holds(runs, memory.summarize(now), now)


def change(
    memory: Memory, now: datetime, seq: int, kind: str, subject: Any, *more: Any
) -> dict[str, Any]:
    note(f"{now} {kind} {subject!s:.10} {more}")
    if kind == "store":
        name, hours = more
        time = now - timedelta(hours=hours)
        memory.store(f"a{subject}", name, time)
        return activity(f"a{subject}", name, time, seq=seq)
    if kind == "delete":
        memory.delete(f"a{subject}")
        return deleted(activity(f"a{subject}", "u", now), seq)
    if kind == "register":
        if len(subject) <= 1024:
            memory.registered.add(subject)
        return user(subject, seq=seq)
    memory.registered.discard(subject)
    return deleted(user(subject), seq)


def test_in_any_history_the_figures_are_those_of_all_activities_ever_seen(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    """With cleanups, what they put back, deletions of activities and users, and skipped days."""
    runs = Runs(nova_settings.model_copy(update={"undo_days": 3650, "engagement_days": 3660}))
    seq = iter(range(1, 10**9))

    @settings(
        max_examples=max(6, settings().max_examples // 10),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(STEPS)
    def check(steps: list[Any]) -> None:
        asyncio.run(live_through(runs, apply_lines, steps, seq))

    check()


# -- each rule -------------------------------------------------------------------------------------


async def summarized(runs: Runs, now: datetime = TWO, **more: Any) -> dict[str, Any]:
    return await runs.run(summarize_engagement.run_once, now, **more)


async def test_the_result_and_the_figures_of_a_few_days(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [
            user("ann"),
            user("bob"),
            user("system"),
            activity("a1", "ann", TWO - 40 * DAY),
            activity("a2", "ann", TWO - DAY),
            activity("a3", "ann", TWO - DAY),
            activity("b1", "bob", TWO - 2 * DAY),
            activity("n", None, TWO - DAY),
            activity("s", "system", TWO - DAY),
            activity("unknown", "zoe", TWO - DAY),
            activity("today", "bob", TWO),
            activity("midnight", "bob", TWO - timedelta(hours=2)),
        ]
    )
    assert await summarized(runs) == {
        "days": 3,
        "users": 2,
        "timestamp": "2026-02-20T02:00:00.000Z",
        "added": 3,
        "removed": 0,
        "retired": 0,
    }
    found = await figures(runs)
    assert found == recount_engagement(await visits(runs), TWO.date())
    assert found.days[-1] == DayFigures(date(2026, 2, 19), 1, 2, 2, 0, 1, 1)
    assert found.cohorts[-1] == CohortFigures(date(2026, 1, 5), 5, 1, 0)
    assert found.months == [MonthFigures(date(2026, 1, 1), 1, 0, 0.0, 0)]


async def test_every_gap_between_two_visits(runs: Runs, apply_lines: ApplyLines) -> None:
    """The bounds of weeks, months and 30 days are where the definitions have them."""
    first = (TWO - 100 * DAY).date()
    expected = {
        Visit(first + days * DAY, f"user-{gap}") for gap in range(1, 70) for days in (0, gap)
    }
    await apply_lines([user(f"user-{gap}") for gap in range(1, 70)])
    rows = ",".join(f"('{day}', '{name}', true)" for day, name in expected)
    await runs.execute(f"INSERT INTO user_activity_daily VALUES {rows}")
    await summarized(runs)
    await holds(runs, expected, TWO)


async def test_an_empty_database(runs: Runs) -> None:
    assert (await summarized(runs))["days"] == 0
    assert await figures(runs) == Engagement([], [], [])


async def test_a_dry_run_leaves_all_as_it_was(runs: Runs, apply_lines: ApplyLines) -> None:
    await apply_lines([user("ann"), activity("a", "ann", TWO - DAY)])
    assert (await summarized(runs, dry_run=True))["added"] == 1
    assert await visits(runs) == set()
    assert await figures(runs) == Engagement([], [], [])


async def test_who_was_cleaned_up_before_any_summary_counts_once_registered(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    old = TWO - 9 * DAY
    await apply_lines([user("ann"), activity("a", "ann", old), activity("z", "zoe", old)])
    assert (await runs.run(cleanup_old_activity.run_once, TWO))["deleted"] == 2
    await summarized(runs)
    await holds(runs, {Visit(old.date(), "ann")}, TWO)
    await apply_lines([user("zoe")])
    await summarized(runs, TWO + 3 * DAY)
    await holds(runs, {Visit(old.date(), "ann"), Visit(old.date(), "zoe")}, TWO + 3 * DAY)


async def test_nothing_is_noted_for_ever_of_who_is_nobody(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines([activity("z", "zoe", TWO - 9 * DAY), activity("s", "system", TWO - 9 * DAY)])
    await runs.run(cleanup_old_activity.run_once, TWO)
    noted = "SELECT user_id FROM user_activity_cleaned"
    await summarized(runs, TWO + 5 * DAY)
    assert await runs.fetch(noted) == [{"user_id": "zoe"}]
    await summarized(runs, TWO + 6 * DAY)
    assert await runs.fetch(noted) == []


async def test_a_deleted_user_is_gone_and_no_undo_brings_them_back(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    lines = [user("ann"), user("bob")]
    for name in ("ann", "bob"):
        for ago in (1, 9, 500, 600):
            lines.append(activity(f"{name}{ago}", name, TWO - ago * DAY))
    await apply_lines(lines)
    await runs.run(cleanup_old_activity.run_once, TWO)
    cleaned = runs.last
    assert (await summarized(runs))["retired"] == 2
    retired = runs.last
    await apply_lines([deleted(user("ann"), 99)])
    await cleanup_old_activity.undo(runs.settings, cleaned)
    assert await summarize_engagement.undo(runs.settings, retired) == 1
    await summarized(runs, TWO + timedelta(hours=1))
    assert {visit.user_id for visit in await visits(runs)} == {"bob"}
    assert await runs.fetch("SELECT FROM user_activity_archive WHERE user_id = 'ann'") == []


async def test_a_deletion_at_the_source_takes_young_activities_out_and_leaves_old_ones(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    """A main app that cleans up its own table tells the same deletions."""
    young, old = activity("young", "ann", TWO - 3 * DAY), activity("old", "ann", TWO - 7 * DAY)
    await apply_lines([user("ann"), young, old])
    await summarized(runs)
    await apply_lines([deleted(young, 8), deleted(old, 8)])
    assert (await summarized(runs, TWO + timedelta(hours=1)))["removed"] == 1
    await holds(runs, {Visit((TWO - 7 * DAY).date(), "ann")}, TWO)


async def test_days_older_than_the_retention_go_but_each_users_first(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    """Figures are told only where every day that they need is kept; an undo brings them back."""
    everything = {Visit((TWO - ago * DAY).date(), "ann") for ago in range(1, 140, 3)}
    everything |= {Visit((TWO - ago * DAY).date(), "bob") for ago in range(2, 140, 9)}
    rows = ",".join(f"('{day}', '{name}', true)" for day, name in everything)
    await apply_lines([user("ann"), user("bob")])
    await runs.execute(f"INSERT INTO user_activity_daily VALUES {rows}")
    await summarized(runs)
    await holds(runs, everything, TWO)

    edge = TWO - 81 * DAY
    result = await summarized(runs, engagement_days=81)
    old = {visit for visit in everything if visit.day < edge.date()}
    firsts = {min(visit for visit in old if visit.user_id == name) for name in ("ann", "bob")}
    assert await visits(runs) == everything - old | firsts
    assert result["retired"] == len(old - firsts)
    plain, found = recount_engagement(everything, TWO.date()), await figures(runs)
    assert found.days == [row for row in plain.days if row.day >= (edge + 30 * DAY).date()]
    assert found.cohorts == [row for row in plain.cohorts if row.cohort_week >= edge.date()]
    assert found.months == plain.months[-1:]
    # A longer retention cannot know again what is gone.
    assert await summarized(runs, TWO + timedelta(hours=1)) == {
        **result,
        "timestamp": "2026-02-20T03:00:00.000Z",
        "retired": 0,
    }
    assert await figures(runs) == found

    retired = runs.last - 1
    assert await summarize_engagement.undo(runs.settings, retired) == result["retired"]
    assert await summarize_engagement.undo(runs.settings, retired) == 0
    assert (await summarized(runs, engagement_days=81))["retired"] == 0
    await holds(runs, everything, TWO)
    await runs.execute("UPDATE user_activity_archive SET kept_until = now() - interval '1 s'")
    assert (await summarized(runs, engagement_days=81))["retired"] == result["retired"]
    await runs.execute("UPDATE user_activity_archive SET archived_at = now() - interval '8 days'")
    await summarized(runs)
    with pytest.raises(UsageError, match="NOVA_UNDO_DAYS"):
        await summarize_engagement.undo(runs.settings, runs.last - 1)
    assert await figures(runs) == found


async def test_a_run_that_believes_in_the_past_loses_nothing(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [user("ann"), *(activity(f"a{ago}", "ann", TWO - ago * DAY) for ago in range(1, 30))]
    )
    await summarized(runs)
    await runs.run(cleanup_old_activity.run_once, TWO)
    everything = await visits(runs)
    past = TWO - 10 * DAY
    await summarized(runs, past)
    before = {visit for visit in everything if visit.day < past.date()}
    assert await figures(runs) == recount_engagement(before, past.date())
    await summarized(runs)
    await holds(runs, everything, TWO)


async def test_cleanup_and_summary_do_not_wait_for_each_other(
    runs: Runs, apply_lines: ApplyLines
) -> None:
    """What is noted while a summary is under way is left for the next one."""
    await apply_lines(
        [user("ann"), activity("a8", "ann", TWO - 8 * DAY), activity("a9", "ann", TWO - 9 * DAY)]
    )
    await runs.run(cleanup_old_activity.run_once, TWO - DAY)
    connection = await connect(runs.settings, "summary")
    try:
        async with read_committed(connection):
            await engagement.lock(connection)
            await engagement.summarize(connection, runs.settings, TWO)
            async with asyncio.timeout(5):
                done = await runs.run(cleanup_old_activity.run_once, TWO)
            assert done["deleted"] == 1
    finally:
        await connection.close()
    await summarized(runs, TWO + DAY)
    await holds(runs, {Visit((TWO - ago * DAY).date(), "ann") for ago in (8, 9)}, TWO + DAY)
