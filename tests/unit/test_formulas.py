"""The formulas against values that JavaScript computes."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.formulas import js_round, mean_duration, success_rate


@pytest.mark.parametrize(
    ("number", "rounded"),
    [(0.0, 0), (0.4, 0), (0.5, 1), (1.5, 2), (2.5, 3), (-0.5, 0), (-1.5, -1), (-2.6, -3)],
)
def test_halves_go_up(number: float, rounded: int) -> None:
    assert js_round(number) == rounded


# node -e 'console.log(Math.round(c/t*100 * 100)/100)'
@pytest.mark.parametrize(
    ("completed", "total", "rate"),
    [
        (63, 71, 88.73),
        (186, 218, 85.32),
        (388, 500, 77.6),
        (1, 3, 33.33),
        (2, 3, 66.67),
        (1, 8, 12.5),
        (1, 800, 0.13),  # 0.125 goes up
        (57, 160, 35.63),
        (0, 9, 0),
        (9, 9, 100),
        (0, 0, 0),
    ],
)
def test_success_rate(completed: int, total: int, rate: float) -> None:
    assert success_rate(completed, total) == rate


@given(st.integers(1, 10**9), st.data())
def test_success_rate_is_a_percentage(total: int, data: st.DataObject) -> None:
    completed = data.draw(st.integers(0, total))
    assert 0 <= success_rate(completed, total) <= 100


def test_mean_of_nothing_is_zero() -> None:
    assert mean_duration(0, 0) == 0
    assert mean_duration(Decimal("1.5"), 0) == 0


def test_mean_divides_doubles_and_rounds_halves_up() -> None:
    assert mean_duration(5, 2) == 3
    assert mean_duration(Decimal("0.3"), 3) == 0
    assert mean_duration(Fraction(29, 2), 1) == 15


def test_an_exact_sum_does_not_depend_on_the_order() -> None:
    durations = [Fraction(Decimal(repr(d))) for d in (1e16, 1.0, -1e16, 0.1)]
    assert mean_duration(sum(durations, Fraction(0)) * 10, 1) == 11
    assert mean_duration(sum(reversed(durations), Fraction(0)) * 10, 1) == 11
