"""A histogram of how old changes were: percentiles within 5 %, sums that lose nothing."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nova_stream.storage.stats.histogram import FRESHNESS, histogram_of
from tests.sent_numbers import sent

_TIMES = st.lists(st.floats(1, 9e13), min_size=1, max_size=200)


def histogram(times: list[float]) -> int:
    return int(histogram_of(Counter(map(FRESHNESS.bin_of, times))))


def percentiles(times: list[float], *percents: int) -> list[float]:
    return FRESHNESS.percentiles(sent(histogram(times)), len(times), percents)


@given(_TIMES)
def test_percentiles_are_within_a_twentieth(times: list[float]) -> None:
    ordered = sorted(times)
    found = percentiles(times, 50, 99)
    for percent, value in zip((50, 99), found, strict=True):
        exact = ordered[-(-percent * len(ordered) // 100) - 1]
        assert abs(value / exact - 1) < 0.05


@given(_TIMES, _TIMES)
def test_the_sum_of_histograms_is_that_of_all(some: list[float], others: list[float]) -> None:
    assert histogram(some) + histogram(others) == histogram(some + others)


def test_the_ends_stand_for_what_is_beyond() -> None:
    assert percentiles([0, 0.99], 50, 99) == [0, 0]
    assert percentiles([0.5, 1e14, 1e15], 1, 99) == [0, 1e14]
