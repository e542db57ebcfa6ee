"""Times on the command line: one that no job can believe in is named, in one line."""

from __future__ import annotations

import pytest

from nova_stream.cli.main import run

BELIEVED = "a time from 1970 to 9998 is allowed"


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("0001-01-01T00:00:00Z", BELIEVED),
        ("0001-01-01T00:00:00+05:00", BELIEVED),
        ("9999-12-31T23:59:59Z", BELIEVED),
        ("9999-12-31T23:59:59.999999-12:00", BELIEVED),
        ("9999-01-01", BELIEVED),
        ("1969-12-31T23:59:59.999Z", BELIEVED),
        ("1970-01-01T00:00:00+00:01", BELIEVED),
        ("10000-01-01", BELIEVED),
        ("-0001-01-01", BELIEVED),
        ("infinity", BELIEVED),
        ("1771588800000", "is not a time"),
        ("", "is not a time"),
        ("now", "is not a time"),
    ],
)
@pytest.mark.parametrize("job", ["cleanupOldActivity", "computeAgentStats", "healthCheck"])
def test_an_extreme_time_is_refused(
    capsys: pytest.CaptureFixture[str], job: str, at: str, says: str
) -> None:
    assert run(["jobs", "run", job, "--dry-run", f"--at={at}"]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert f"--at {at!r}" in told
    assert len(told.splitlines()) == 1
