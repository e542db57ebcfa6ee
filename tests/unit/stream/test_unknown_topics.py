"""Topics that aiokafka does not know are told once, however long that lasts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from nova_stream.stream.transport import ChunkConsumer


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([[], [], []], []),
        ([["tasks"], [], []], [["tasks"]]),
        ([["tasks"]] * 5, [["tasks"]]),
        ([["builds", "tasks"], ["tasks"], ["tasks"]], [["builds", "tasks"], ["tasks"]]),
        ([["tasks"], [], ["tasks"]], [["tasks"], ["tasks"]]),
    ],
)
async def test_what_is_not_known_is_told_when_it_changes(
    answers: list[list[str]], told: list[list[str]]
) -> None:
    left = iter(answers)

    async def learn(partitions: dict[str, int]) -> list[str]:
        assert partitions == {"tasks": 8, "builds": 8}
        return next(left)

    consumer: Any = ChunkConsumer.__new__(ChunkConsumer)
    consumer._unknown, consumer._thread = [], SimpleNamespace(learn=learn)
    with capture_logs() as lines:
        for _ in answers:
            await consumer.follow_topics({"tasks": 8, "builds": 8})
    assert [line["topics"] for line in lines] == told
