"""What callers are told of what is away: no address of it."""

from __future__ import annotations

import pytest

from nova_stream.api import problems
from nova_stream.errors import (
    BadCursorError,
    DatabaseUnavailableError,
    KafkaUnavailableError,
    PositionNotReachedError,
    TryAgainError,
)

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


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (TryAgainError("busy", "In use."), (503, "busy", "In use.", {"Retry-After": "2"}, {})),
        (
            TryAgainError("too-many-requests", "Too many.", retry_after=7, own_share=True),
            (429, "too-many-requests", "Too many.", {"Retry-After": "7"}, {}),
        ),
        (
            PositionNotReachedError("Behind.", "p", [{"topic": "t"}]),
            (
                504,
                "position-not-reached",
                "Behind.",
                {},
                {"position": "p", "behind": [{"topic": "t"}]},
            ),
        ),
        (
            BadCursorError(),
            (422, "bad-cursor", "cursor: not a nextCursor or prevCursor of this list", {}, {}),
        ),
    ],
)
def test_an_error_of_the_domain_is_one_answer(error: Exception, answer: tuple[object, ...]) -> None:
    problem = problems.problem_of(error)
    told = (problem.status, problem.kind, problem.detail, problem.headers, problem.more)
    assert told == answer
