"""What counts as lag: records that wait, and not what the consumer has stepped over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.unit.stream.test_fetching import PLACE, Log, records


class Place:
    """Where aiokafka reads on, as its thread tells it."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0
        monkeypatch.setattr(
            log.consumer, "_thread", SimpleNamespace(seek_wait=log._seek, position=self._position)
        )

    async def _position(self, _: object) -> int:
        return self.at


@pytest.fixture
async def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch, chunks=True)


async def lags(log: Log, looks: int) -> list[int]:
    return [(await log.consumer.lag())[tuple(PLACE)] for _ in range(looks)]


async def applied(log: Log, first: int, last: int) -> None:
    """Records have been fetched, and Postgres has them."""
    log.fetched = [records(first, last)]
    await log.messages()
    log.consumer.intakes[PLACE].take(1000)
    log.consumer.acknowledge(tuple(PLACE), last + 1)


async def test_a_marker_is_no_lag_from_the_second_look_on(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(log, monkeypatch)
    await log.consumer.seek_to_committed()
    await applied(log, 0, 9)
    log.end = place.at = 11
    assert await lags(log, 3) == [1, 0, 0]
    log.end = 15
    assert await lags(log, 1) == [4], "what came after the marker waits"


async def test_what_was_fetched_and_is_not_applied_stays_lag(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(log, monkeypatch)
    await log.consumer.seek_to_committed()
    await applied(log, 0, 9)
    log.end = place.at = 20
    # Fetched by the thread between two looks, and not in the intake at the first of them.
    assert await lags(log, 1) == [10]
    log.fetched = [records(10, 19)]
    await log.messages()
    assert await lags(log, 3) == [10, 10, 10]


async def test_a_partition_that_was_sought_anew_begins_anew(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(log, monkeypatch)
    await log.consumer.seek_to_committed()
    await applied(log, 0, 9)
    log.end = place.at = 20
    assert await lags(log, 1) == [10]
    log.position = 10
    await log.consumer.seek_to_committed()
    assert await lags(log, 1) == [10]
