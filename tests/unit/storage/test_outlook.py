"""What is told of the lag's way, and of the workers that it wants."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.storage.stats.outlook import Moment, Outlook, outlook

START = datetime(2026, 2, 20, 12, tzinfo=UTC)
STEP = 10
PARTITIONS = 8


def moments(
    lags: list[float | None], pace: float, workers: int = 1, start: datetime = START
) -> list[Moment]:
    """A moment each ten seconds, in which ``workers`` apply ``pace`` records a second together."""
    return [
        Moment(
            at=start + timedelta(seconds=STEP * number),
            seconds=STEP,
            lag=lag,
            applied=round(pace * STEP),
            worker_seconds=STEP * workers,
        )
        for number, lag in enumerate(lags)
    ]


def told(
    found: list[Moment],
    most: int = PARTITIONS,
    later: float = 15,
    lag: float | None = None,
    workers: int | None = 1,
) -> Outlook:
    now = START if not found else found[-1].at + timedelta(seconds=later)
    return outlook(found, lag, most, now, workers)


def untold(found: Outlook) -> str:
    """Why nothing is known: nothing but that is there."""
    assert found == Outlook(advice=found.advice)
    assert found.trend == "unknown"
    return found.advice


def line(first: float, a_second: float, number: int = 10) -> list[float | None]:
    return [first + a_second * STEP * each for each in range(number)]


TABLE = [
    # lags, pace, workers, most -> trend, seconds to the end, wanted, advice
    (line(0, 0), 20, 1, 8, "steady", None, None, "The workers keep up."),
    (line(40, 0), 40_000, 1, 8, "steady", None, None, "The workers keep up."),
    (
        line(300_000, -1_200),
        41_200,
        1,
        8,
        "falling",
        160.0,
        None,
        "The lag falls by 1,200 records/s: caught up in about 3 min.",
    ),
    (
        line(300_000, 1_200),
        40_000,
        1,
        8,
        "growing",
        None,
        2,
        "The lag grows by 1,200 records/s; one worker applies about 40,000/s: 2 workers would "
        "hold it.",
    ),
    (
        line(300_000, 100_000),
        80_000,
        2,
        8,
        "growing",
        None,
        5,
        "The lag grows by 100,000 records/s; one worker applies about 40,000/s: 5 workers would "
        "hold it.",
    ),
    (
        line(300_000, 100_000),
        80_000,
        2,
        4,
        "growing",
        None,
        4,
        "The lag grows by 100,000 records/s; one worker applies about 40,000/s: 4 workers, as many "
        "as a topic has partitions, would not hold it.",
    ),
    (
        line(300_000, 1_200),
        40_000,
        8,
        8,
        "growing",
        None,
        None,
        "The lag grows by 1,200 records/s; one worker applies about 5,000/s, and more than 8 "
        "workers have no partition to read: see what slows them, or make more partitions.",
    ),
    (
        line(300_000, 0),
        10_000,
        2,
        8,
        "steady",
        None,
        3,
        "The lag stays at about 300,000 records; one worker applies about 5,000/s: 3 workers would "
        "catch up.",
    ),
    (
        line(300_000, 500),
        0,
        1,
        8,
        "growing",
        None,
        None,
        "The lag grows by 500 records/s; nothing is applied.",
    ),
]


@pytest.mark.parametrize(
    ("lags", "pace", "workers", "most", "trend", "end", "wanted", "advice"), TABLE
)
def test_the_outlook_follows_from_the_last_minutes(
    lags: list[float | None],
    pace: float,
    workers: int,
    most: int,
    trend: str,
    end: float | None,
    wanted: int | None,
    advice: str,
) -> None:
    found = told(moments(lags, pace, workers), most)
    assert found.trend == trend
    assert found.caught_up_seconds == end
    assert found.workers_wanted == wanted
    assert found.advice == advice


@pytest.mark.parametrize(
    "found",
    [
        [],
        moments([500_000.0] * 3, 1000),
        moments([None] * 10, 1000),
        moments([1_000.0, None, None, None, 200_000.0], 1000),
    ],
)
def test_from_too_little_nothing_is_told(found: list[Moment]) -> None:
    assert untold(told(found)).startswith("Not known: Kafka does not tell")
    assert untold(told(found, lag=3)).startswith("Not known yet: it takes what workers")


def test_of_samples_that_are_old_nothing_is_told() -> None:
    assert untold(told(moments(line(300_000, 1_200), 40_000), later=60, lag=7))


@pytest.mark.parametrize("later", [15, 60])
def test_without_a_worker_that_is_what_is_told(later: float) -> None:
    for found in ([], moments(line(0, 0), 20)):
        says = untold(told(found, later=later, lag=5, workers=0))
        assert says == "Nothing is applied: no worker runs."


def test_one_odd_measurement_changes_nothing() -> None:
    lags = line(300_000, -1_200)
    lags[4] = 0.0
    found = told(moments(lags, 41_200))
    assert (found.trend, found.lag_per_second) == ("falling", -1200)


def test_what_waits_at_the_moment_counts() -> None:
    found = moments(line(300_000, -1_200), 41_200)
    assert told(found, lag=180_000).caught_up_seconds == pytest.approx(150, abs=2)
    assert told(found, lag=3).advice == "The workers keep up."
    # A burst that has come and gone between two samples is no lag that stays.
    burst = moments([*line(0, 0), 16_641], 7_186)
    assert told(burst, lag=1).advice == "The workers keep up."


def test_what_was_before_an_outage_tells_nothing_of_the_time_after_it() -> None:
    before = moments(line(0, 0, 6), 20)
    after = moments(line(250_000, -4_000, 3), 4_000, start=START + timedelta(seconds=100))
    assert untold(told([*before, *after]))
    more = moments(line(250_000, -4_000, 5), 4_000, start=START + timedelta(seconds=100))
    assert told([*before, *more]).lag_per_second == -4_000


def test_of_what_has_only_just_come_nothing_is_told() -> None:
    assert untold(told(moments([*line(0, 0), 500_000], 7_186))).endswith("have only just come.")


def test_where_next_to_nothing_is_applied_no_number_of_workers_is_told() -> None:
    found = told(moments(line(500_000, 0), 0.4, workers=20))
    assert found.workers_wanted is None
    assert (
        found.advice
        == "The lag stays at about 500,000 records; what one worker can do is not known yet."
    )
    assert told(moments(line(500_000, 0), 0)).advice.endswith("; nothing is applied.")


_PACES = st.floats(10, 100_000)


@given(
    lags=st.lists(st.none() | st.floats(0, 1e9), max_size=15),
    pace=st.floats(0, 1e6),
    workers=st.integers(1, 20),
    most=st.integers(0, 20),
)
def test_whatever_was_the_answer_holds_together(
    lags: list[float | None], pace: float, workers: int, most: int
) -> None:
    found = told(moments(lags, pace, workers), most)
    assert (found.trend == "unknown") == (found.applied_per_second is None)
    assert found.advice.endswith(".")
    assert (found.trend == "falling") == (found.caught_up_seconds is not None)
    if found.workers_wanted is not None:
        assert found.trend in ("growing", "steady")
        assert workers < found.workers_wanted <= most
    if found.trend == "falling":
        assert found.lag_per_second is not None
        assert found.lag_per_second <= 0


@given(
    arriving=_PACES,
    each=_PACES,
    workers=st.integers(1, 8),
    backlog=st.floats(1e6, 1e8),
)
def test_as_many_workers_as_are_wanted_would_hold_what_comes(
    arriving: float, each: float, workers: int, backlog: float
) -> None:
    pace = each * workers
    found = told(moments(line(backlog, arriving - pace), pace, workers), most=10**9)
    if found.trend != "growing":
        return
    assert found.workers_wanted is not None
    # Rates are told to a tenth of a record.
    assert found.workers_wanted * each >= arriving - found.workers_wanted * 0.2
    assert (found.workers_wanted - 2) * each <= arriving + 1 or found.workers_wanted == workers + 1


@given(slope=st.floats(-1000, 1000), backlog=st.floats(200_000, 1e6))
def test_the_slope_of_a_line_is_its_slope(slope: float, backlog: float) -> None:
    found = told(moments(line(backlog, slope), 5_000))
    assert found.lag_per_second is not None
    assert math.isclose(found.lag_per_second, slope, abs_tol=0.06)
