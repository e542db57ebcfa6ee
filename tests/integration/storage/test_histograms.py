"""Histograms as Postgres adds and sends them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from nova_stream.storage.database import Connection
from nova_stream.storage.stats.histogram import DURATIONS, SENT, histogram_of
from tests.sent_numbers import sent

pytestmark = pytest.mark.integration

_SUM = f"SELECT {SENT.format('sum(h)')} FROM unnest($1::numeric[]) AS h"


@pytest.fixture
async def session(nova_database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(nova_database)
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
