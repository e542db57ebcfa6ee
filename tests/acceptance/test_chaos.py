"""The kill matrix in short: its hardest scenario (``make chaos`` plays them all)."""

from __future__ import annotations

import pytest

from tests.chaos import judge, matrix
from tests.chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]


async def test_nothing_is_lost_doubled_unseen_or_wrong_when_all_is_killed_at_once() -> None:
    scenario = next(s for s in SCENARIOS if s.name == "all killed at once")
    verdict = await matrix.run(scenario, seed=1, audits=False)
    assert {count: verdict[count] for count in judge.COUNTS} == dict.fromkeys(judge.COUNTS, 0), (
        verdict["told"]
    )
    assert verdict["snapshots"] > 10
