"""A partition stops before most of its topic goes among the dead letters, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import DatabaseUnavailableError, RevokedError
from nova_stream.kafka.model import Key
from nova_stream.settings import load_settings
from nova_stream.stream import letter_limit
from nova_stream.stream.letter_limit import LetterLimit
from nova_stream.stream.metrics import Metrics

KEY = ("t", 0)
#: How many records and letters a chunk has, and the seconds since the one before.
CHUNKS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30)).map(
        lambda chunk: (chunk[0] + chunk[1], chunk[1], chunk[2])
    ),
    max_size=40,
)


class Bench:
    """A limit with its own clock, and what it has noted."""

    def __init__(self, **settings: float) -> None:
        self.now = 0.0
        self.notes: list[tuple[Key, str | None]] = []
        self.away = 0
        self.metrics = Metrics()
        given = {f"dead_letter_limit{name}": value for name, value in settings.items()}
        self.limit = LetterLimit(load_settings(**given), self.metrics, self._note, lambda: self.now)

    async def _note(self, key: Key, why: str | None) -> None:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("away")
        self.notes.append((key, why))

    def stands(self, records: int, letters: int, key: Key = KEY) -> bool:
        """Whether the partition stands for this chunk; it is taken away after a moment then."""
        return self.run(records, letters, _times(3), key)

    def run(self, records: int, letters: int, wanted: Callable[[], bool], key: Key = KEY) -> bool:
        try:
            asyncio.run(self.limit.admit(key, records, letters, wanted))
        except RevokedError:
            return True
        return False


def _times(number: int) -> Callable[[], bool]:
    left = iter(range(number))
    return lambda: next(left, None) is not None


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letter_limit, "_PAUSE_S", 0)


@given(CHUNKS)
def test_it_stands_exactly_where_the_window_says(chunks: list[tuple[int, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(letter_limit, "_PAUSE_S", 0)
        bench = Bench(**{"": 50, "_records": 30, "_seconds": 60})
        seen: list[tuple[float, int, int]] = []
        for records, letters, pause in chunks:
            bench.now += pause
            seen.append((bench.now, records, letters))
            last = [chunk for chunk in seen if bench.now - chunk[0] <= 60]
            total, bad = sum(c[1] for c in last), sum(c[2] for c in last)
            expected = letters > 0 and total >= 30 and bad * 2 > total
            assert bench.stands(records, letters) is expected
            if expected:
                seen.clear()


def test_without_a_limit_it_never_stands() -> None:
    bench = Bench(**{"": 0, "_records": 1})
    assert not bench.stands(10_000, 10_000)


def test_a_partition_is_judged_by_its_own_records() -> None:
    bench = Bench(**{"": 50, "_records": 10})
    assert bench.stands(10, 10, ("t", 0))
    assert not bench.stands(10, 0, ("t", 1))
    assert bench.stands(10, 10, ("u", 0))


def test_why_it_stands_is_noted_as_soon_as_postgres_answers() -> None:
    bench = Bench(**{"": 25, "_records": 10})
    bench.away = 2
    assert bench.run(20, 10, _times(4))
    ((key, why),) = bench.notes
    assert key == KEY
    assert why == (
        "10 of the last 20 records would be dead letters, more than 25 % (NOVA_DEAD_LETTER_LIMIT)"
    )


def test_that_it_moves_is_noted_once_and_again_after_it_stood() -> None:
    bench = Bench(**{"": 50, "_records": 10})
    for _ in range(3):
        assert not bench.stands(10, 0)
    assert bench.notes == [(KEY, None)]
    assert bench.stands(90, 90)
    assert not bench.stands(10, 0)
    assert [why is None for _, why in bench.notes] == [True, False, True]


def test_steps_without_a_record_are_free() -> None:
    bench = Bench(**{"": 50, "_records": 1})
    assert not bench.stands(0, 0)
    assert bench.notes == []


def test_the_metric_counts_partitions_that_stand_now() -> None:
    bench = Bench(**{"": 50, "_records": 10})
    seen: list[float] = []

    def wanted() -> bool:
        seen.append(bench.metrics.stopped.labels("t")._value.get())
        return len(seen) < 3

    assert bench.run(10, 10, wanted)
    assert seen == [1, 1, 1]
    assert bench.metrics.stopped.labels("t")._value.get() == 0
