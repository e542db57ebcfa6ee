"""Histograms as Postgres adds and sends them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import asyncpg
import pytest

from nova_stream.storage.database import Connection
from nova_stream.storage.stats import ranges
from nova_stream.storage.stats.buckets import Range, buckets_of
from nova_stream.storage.stats.histogram import DURATIONS, SENT, histogram_of
from tests.sent_numbers import sent

pytestmark = pytest.mark.integration

_HOURS = 1000
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
#: A name with so many hours that are counted.
_COUNTED = [
    "INSERT INTO agent_stats_partials (agent, topic, partition) VALUES ('MARS', 't', 0)",
    "INSERT INTO execution_days_until (agent, until) VALUES ('MARS', '2027-01-01Z')",
    f"""
INSERT INTO execution_hours (agent, hour, executions, timed, duration_sum, histogram)
SELECT 'MARS', '2026-01-01Z'::timestamptz + n * interval '1 hour', 2, 2, 2e12, 1e6300 + 1e15714
FROM generate_series(0, {_HOURS - 1}) n""",
]
_SUM = f"SELECT {SENT.format('sum(h)')} FROM unnest($1::numeric[]) AS h"


@pytest.fixture
async def session(migrated_database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(migrated_database)
    yield connection
    await connection.close()


@pytest.mark.parametrize("most", [1, 12, 9_999, 10_000, 10**9 - 1])
async def test_sums_are_sent_as_the_tests_of_histograms_make_them(
    session: Connection, most: int
) -> None:
    dice = random.Random(most)
    for _ in range(20):
        bins = dice.sample(range(DURATIONS.top + 1), dice.choice([1, 2, 50]))
        counts = Counter({number: dice.randint(1, most) for number in bins})
        some = Counter({number: count // 2 for number, count in counts.items()})
        given = [histogram_of(some), histogram_of(counts - some)]
        assert await session.fetchval(_SUM, given) == sent(histogram_of(counts))


async def test_nothing_is_sent_as_nothing(session: Connection) -> None:
    assert await session.fetchval(_SUM, [histogram_of({})]) == sent(0)


async def test_what_fails_midway_leaves_the_connection_as_it_was(
    session: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in _COUNTED:
        await session.execute(statement)
    asked = Range(_BEGIN, _BEGIN + timedelta(hours=_HOURS))
    names = {"bucket": "1h", "zone": "UTC"}
    buckets = buckets_of(asked, "1h", UTC)

    found = await ranges.agent_series(session, buckets, None, unregistered=False, **names)
    assert found is not None
    assert {item.p99_duration for item in found.items} == {1e12}

    with monkeypatch.context() as patched:
        patched.setattr(ranges, "DURATIONS", Mock(percentiles=Mock(side_effect=ZeroDivisionError)))
        with pytest.raises(ZeroDivisionError):
            await ranges.agent_series(session, buckets, None, unregistered=False, **names)
    assert not session.is_in_transaction()
    assert await ranges.agent_series(session, buckets, None, unregistered=False, **names) == found
