"""Cron expressions: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.clock import from_millis
from nova_stream.errors import SettingsError
from nova_stream.events.documents import snake_case
from nova_stream.jobs.engine.cron import offset_of, parse, schedule_of
from nova_stream.jobs.engine.job import Job, JobContext, Policy
from nova_stream.jobs.registry import job_names
from nova_stream.settings import Settings, load_settings

NOON = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)  # a Friday


async def _nothing(context: JobContext) -> Job:
    raise AssertionError(context)


JOB = Job("computeAgentStats", "*/5 * * * *", "", Policy(timeout=1), _nothing)


@pytest.mark.parametrize(
    ("text", "previous", "following"),
    [
        ("*/5 * * * *", "2026-02-20 12:00", "2026-02-20 12:05"),
        ("0 * * * *", "2026-02-20 12:00", "2026-02-20 13:00"),
        ("0 1 * * *", "2026-02-20 01:00", "2026-02-21 01:00"),
        ("59 23 31 12 *", "2025-12-31 23:59", "2026-12-31 23:59"),
        ("0 0 29 feb *", "2024-02-29 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 */7", "2004-02-29 00:00", "2032-02-29 00:00"),  # also a Sunday
        ("0 12 13 * fri", "2026-02-20 12:00", "2026-02-27 12:00"),  # the 13th, or a Friday
        ("0 0 */2 * 1", "2026-02-09 00:00", "2026-02-23 00:00"),  # a Monday of odd date
        ("30 6 * * sat-sun", "2026-02-15 06:30", "2026-02-21 06:30"),
        ("0 0 * * 7", "2026-02-15 00:00", "2026-02-22 00:00"),
        ("1,31 8-10/2 * * *", "2026-02-20 10:31", "2026-02-21 08:01"),
    ],
)
def test_neighbours(text: str, previous: str, following: str) -> None:
    schedule = parse(text)
    assert f"{schedule.previous(NOON):%Y-%m-%d %H:%M}" == previous
    assert f"{schedule.next(NOON):%Y-%m-%d %H:%M}" == following


@given(
    st.sampled_from(["*/5 * * * *", "7 3 * * *", "0 0 1 * *", "30 2 * * 0", "0 0 29 2 *"]),
    st.integers(0, 4_000_000_000_000).map(from_millis),
)
def test_next_and_previous_agree(text: str, at: datetime) -> None:
    schedule = parse(text)
    following, last = schedule.next(at), schedule.previous(at)
    assert last <= at < following
    assert schedule.previous(following - timedelta(microseconds=1)) == last
    assert schedule.previous(following) == following
    assert schedule.next(last) == following


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it has 0 fields"),
        ("* * * * * *", "it has 6 fields"),
        ("60 * * * *", "outside of 0-59"),
        ("* * 0 * *", "outside of 1-31"),
        ("* * * 13 *", "outside of 1-12"),
        ("* * * * 8", "outside of 0-7"),
        ("5-1 * * * *", "runs backwards"),
        ("*/0 * * * *", "outside"),
        ("5/2 * * * *", "step without a range"),
        ("* * * * mond", "cannot be read"),
        ("-1 * * * *", "cannot be read"),
        ("1,,2 * * * *", "cannot be read"),
        ("* * * foo *", "cannot be read"),
        ("٣ * * * *", "cannot be read"),
        ("0 0 30 2 *", "never comes"),
        ("*/60 * * * *", "larger than its range"),
        ("*/90 * * * *", "larger than its range"),
        ("*/999999999 * * * *", "larger than its range"),
        ("0 */24 * * *", "larger than its range"),
        ("0 0 */31 * *", "larger than its range"),
        ("0 0 * */12 *", "larger than its range"),
        ("0 0 * * */8", "larger than its range"),
        ("0-10/11 * * * *", "larger than its range"),
        ("5-5/2 * * * *", "larger than its range"),
        ("0 0 * * fri-mon", "runs backwards"),
        ("0 0 * 11-2 *", "runs backwards"),
        ("0 24 * * *", "outside of 0-23"),
        ("@reboot", "none of the names"),
        ("@every 5m", "none of the names"),
        ("0 0 12 * * ?", "as Quartz has it"),
        ("0 0 0 1 1 * 2027", "seconds and years are not possible"),
        ("0 0 L * *", "as Quartz has it"),
        ("0 0 L-3 * *", "as Quartz has it"),
        ("0 0 15W * *", "as Quartz has it"),
        ("0 0 * * 5L", "as Quartz has it"),
        ("0 0 * * FRI#2", "as Quartz has it"),
        ("H/15 * * * *", "use a spread"),
        ("0~30 * * * *", "use a spread"),
        ("CRON_TZ=Europe/Rome 0 5 * * *", "schedules are in UTC"),
        ("TZ=UTC 0 5 * * *", "schedules are in UTC"),
    ],
)
def test_errors_name_variable_value_and_what_is_allowed(text: str, what: str) -> None:
    settings = load_settings(schedule_compute_agent_stats=text)
    with pytest.raises(SettingsError) as raised:
        schedule_of(settings, JOB)
    message = str(raised.value)
    assert message.startswith(f"NOVA_SCHEDULE_COMPUTE_AGENT_STATS={text!r}: ")
    assert what in message
    assert "five cron fields in UTC are allowed" in message


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@DAILY", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("0 0 * JAN-MAR MON-FRI", "0 0 * 1-3 1-5"),
        ("*/59 * * * *", "0,59 * * * *"),
    ],
)
def test_names_are_what_they_stand_for(name: str, fields: str) -> None:
    assert parse(name).next(NOON) == parse(fields).next(NOON)
    assert parse(name).previous(NOON) == parse(fields).previous(NOON)


FIELD = st.text("0123456789*/-,", min_size=1, max_size=6)


@given(FIELD)
def test_a_minute_that_is_read_means_what_its_parts_say(field: str) -> None:
    """Whatever is not refused is exactly the minutes that its parts name: no step lost."""
    try:
        found = parse(f"{field} * * * *").minutes
    except ValueError:
        return
    wanted = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-59" if span == "*" else span).partition("-")
        every = range(int(first), int(last or first) + 1, int(step or 1))
        assert len(every) > 1 or not step or step == "1" or step.strip("0") == "1"
        wanted |= set(every)
    assert set(found) == wanted


def test_settings_come_before_the_job() -> None:
    assert schedule_of(load_settings(), JOB).text == "*/5 * * * *"
    settings = load_settings(schedule_compute_agent_stats=" 1  *  * * *")
    assert schedule_of(settings, JOB).text == "1 * * * *"


def test_spread() -> None:
    assert offset_of(load_settings(), JOB) == 0
    settings = load_settings(spread_compute_agent_stats=60)
    assert 0 < offset_of(settings, JOB) < 60
    assert offset_of(settings, JOB) == offset_of(settings, JOB)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_the_hosts_zone_changes_nothing(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots over a year, with all its changes of daylight saving time, are the same."""
    schedule, at = parse("30 1,2 * * *"), datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for _ in range(2 * 365):
            following = schedule.next(at.astimezone())
            assert following.utcoffset() == timedelta(0)
            assert following.minute == 30
            assert following - at <= timedelta(hours=23)
            at = following
        assert at == datetime(2026, 12, 31, 2, 30, tzinfo=UTC)
    finally:
        os.environ.pop("TZ", None)
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("prefix", ["schedule_", "spread_"])
def test_the_settings_have_a_schedule_and_a_spread_of_each_job_of_the_registry(prefix: str) -> None:
    found = {name for name in Settings.model_fields if name.startswith(prefix)}
    assert found == {prefix + snake_case(name) for name in job_names()}
