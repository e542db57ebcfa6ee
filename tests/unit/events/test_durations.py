"""Intervals of Postgres as Debezium's interval.handling.mode=string writes them."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.durations import length_of_text


@given(micros=st.integers(-59_999_999, 59_999_999), hours=st.integers(-2000, 2000))
def test_an_interval_is_read_to_the_microsecond_although_its_seconds_were_cut_off(
    micros: int, hours: int
) -> None:
    written = Decimal(micros / 1e6).quantize(Decimal("1E-9"), ROUND_DOWN).normalize()

    found = length_of_text(f"P0Y0M0DT{hours}H0M{written:f}S")

    assert found == hours * 3_600_000 + Decimal(micros) / 1000
