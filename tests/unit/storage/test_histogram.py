"""A histogram of durations: exact counts, percentiles within 1 %."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nova_stream.storage.stats.histogram import DURATIONS, histogram_of
from tests.sent_numbers import sent


def percentiles(counts: dict[int, int], *percents: int) -> list[float]:
    """Of a histogram with these counts by place."""
    digits = "".join(f"{counts.get(place, 0):09}" for place in range(max(counts), -1, -1))
    return DURATIONS.percentiles(sent(Decimal(digits)), sum(counts.values()), percents)


def test_digits_are_counts_from_the_right() -> None:
    for digits, percents, found in (
        (12_000000003, (20, 21), [0, 0.00100995]),
        (3_000000000, (1, 100), [0.00100995, 0.00100995]),
    ):
        count = sum(divmod(digits, 10**9))
        assert DURATIONS.percentiles(sent(digits), count, percents) == found


@given(st.dictionaries(st.integers(1, 1745), st.integers(1, 10**9 - 1), min_size=1), st.data())
def test_every_count_of_the_digits_counts(counts: dict[int, int], data: st.DataObject) -> None:
    percent = data.draw(st.integers(1, 100))
    rank = -(-percent * sum(counts.values()) // 100)
    passed = 0
    for place in sorted(counts):
        passed += counts[place]
        if passed >= rank:
            break
    (found,) = percentiles(counts, percent)
    assert abs(found / (0.001 * 1.02 ** (place - 0.5)) - 1) < 1e-5


@given(st.lists(st.integers(1, 1745), min_size=1), st.floats(0, 0.999))
def test_percentiles_are_within_a_hundredth(places: list[int], share: float) -> None:
    durations = sorted(0.001 * 1.02 ** (place - 1 + share) for place in places)
    found = percentiles(Counter(places), 50, 95, 99)
    for percent, value in zip((50, 95, 99), found, strict=True):
        exact = durations[-(-percent * len(durations) // 100) - 1]
        assert abs(Fraction(value) - Fraction(exact)) <= Fraction(exact) / 100


def test_the_ends_stand_for_what_is_beyond() -> None:
    assert percentiles({0: 1, 1746: 1}, 50, 99) == [0, 1e12]


def test_a_histogram_with_fewer_than_its_count_ends_at_its_shortest_time() -> None:
    stored = sent(histogram_of({100: 2, 200: 1}))
    assert DURATIONS.percentiles(stored, 30, (1, 99)) == DURATIONS.percentiles(stored, 3, (1, 99))
