"""What callers are told of what is away: no address of it."""

from __future__ import annotations

import pytest

from nova_stream.api import problems
from nova_stream.errors import DatabaseUnavailableError, KafkaUnavailableError

SECRET = "db.internal.example:5432 refused nova_api"


@pytest.mark.parametrize("kind", [DatabaseUnavailableError, KafkaUnavailableError])
def test_callers_get_a_general_503_and_the_log_has_the_detail(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(problems._log, "info", lambda _, error: logged.append(error))
    problem = problems.problem_of(kind(SECRET))
    assert problem.status == 503
    assert not set(SECRET.split()) & set(problem.detail.split())
    assert logged == [SECRET]
