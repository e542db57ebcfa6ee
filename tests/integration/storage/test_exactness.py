"""Whatever is delivered, however: the caches equal the recount in every snapshot, and at the end.

More examples: ``pytest --hypothesis-profile=thorough tests/integration/storage/test_exactness.py``.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.integration.storage.conftest import WORKERS, Stage
from tests.integration.storage.histories import History, histories

pytestmark = pytest.mark.integration

as_configured = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@as_configured
@given(histories())
def test_one_worker_equals_the_recount_after_every_commit(stage: Stage, history: History) -> None:
    assert stage.play(history, 1) == []


@pytest.mark.long
@as_configured
@given(histories())
def test_workers_at_once_equal_the_recount_after_every_commit(
    stage: Stage, history: History
) -> None:
    assert stage.play(history, WORKERS) == []
