"""Token buckets."""

from __future__ import annotations

import pytest

from nova_stream.api.auth.rate_limit import RateLimit, counted_address
from nova_stream.api.problems import problem_of
from nova_stream.errors import TryAgainError


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, caller: str, times: int) -> int:
    """How many of so many requests at once are let through."""
    done = 0
    for _ in range(times):
        try:
            limit.take(caller)
        except TryAgainError as error:
            assert problem_of(error).status == 429
        else:
            done += 1
    return done


def test_a_burst_and_then_the_rate() -> None:
    seconds = Seconds()
    limit = RateLimit(2, 5, seconds)
    assert taken(limit, "a", 20) == 5
    assert taken(limit, "b", 20) == 5
    seconds.now += 1
    assert taken(limit, "a", 20) == 2
    seconds.now += 1000
    assert taken(limit, "a", 20) == 5


def test_retry_after_is_when_the_next_one_is_let_through() -> None:
    seconds = Seconds()
    limit = RateLimit(0.1, 1, seconds)
    limit.take("a")
    with pytest.raises(TryAgainError) as refused:
        limit.take("a")
    wait = int(problem_of(refused.value).headers["Retry-After"])
    assert wait == 10
    seconds.now += wait
    limit.take("a")


def test_callers_that_are_remembered_are_bounded() -> None:
    limit = RateLimit(1, 1, Seconds())
    for number in range(10_001):
        limit.take(f"{number}")
    assert taken(limit, "10000", 1) == 0
    assert taken(limit, "0", 1) == 1  # forgotten: it asked the longest ago


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_whoever_has_a_network_of_ipv6_is_one_caller(address: str, counted: str) -> None:
    assert counted_address(address) == counted


def test_no_limit() -> None:
    assert taken(RateLimit(0, 1), "a", 1000) == 1000
