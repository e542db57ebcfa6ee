"""Files of changes: every bad line is named, good ones come through whole."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import PublishError
from nova_stream.publish.files import BadLine, LineCounts, LineFile, publish_changes
from nova_stream.testing.fake_publisher import FakeChangePublisher

from .helpers import TASK

GOOD = json.dumps({"entity": "tasks", "after": TASK}).encode()
BAD = b'{"entity": "tasks", "after": {"id": "t-1", "status": "perhaps"}}'


def check(data: bytes) -> tuple[LineCounts, list[BadLine]]:
    bad: list[BadLine] = []
    return LineFile(BytesIO(data)).check(on_bad=bad.append), bad


@given(
    st.lists(st.sampled_from([GOOD, BAD, b"", b"  ", b"{", b"7", b"\xff", GOOD + b"\r", GOOD * 2])),
    st.booleans(),
    st.booleans(),
)
def test_every_line_is_good_or_named(
    lines: list[bytes], ends_with_newline: bool, byte_order_mark: bool
) -> None:
    data = b"\n".join(lines) + (b"\n" if ends_with_newline else b"")
    data = b"\xef\xbb\xbf" + data if byte_order_mark else data

    checked, bad = check(data)

    good = [number for number, line in enumerate(lines, 1) if line.rstrip() == GOOD]
    empty = [number for number, line in enumerate(lines, 1) if not line.strip()]
    assert checked == LineCounts(len(good), len(bad))
    assert sorted([*good, *empty, *(line.number for line in bad)]) == [*range(1, len(lines) + 1)]
    assert [change.after for change in LineFile(BytesIO(data)).changes()] == [TASK] * len(good)


def test_a_bad_line_is_named_with_its_number_and_reason() -> None:
    _, bad = check(GOOD + b"\n\n" + BAD + b"\n" + GOOD)

    assert [str(line) for line in bad] == [
        "line 3: bad_status: $.status is 'perhaps'; allowed is pending, ready, running, done, "
        "failed, blocked"
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"entity": "planets"}, "bad_entity"),
        ({"op": "x"}, "bad_op"),
        ({"op": "d"}, "missing_id"),
        ({"op": "d", "before": {"id": "\x00"}}, "unstorable_text"),
        ({"seq": "seven"}, "bad_version"),
        ({"ts_ms": "noon"}, "bad_time"),
        ({"ts_ms": 5}, "bad_time"),
        ({"after": 7}, "wrong_type"),
    ],
)
def test_what_can_be_wrong_with_a_line(fields: dict[str, Any], reason: str) -> None:
    line = {"entity": "tasks", "after": TASK, **fields}

    _, bad = check(json.dumps(line).encode())

    assert [found.reason for found in bad] == [reason]


def test_lines_of_any_length_are_read_in_little_memory() -> None:
    large = json.dumps({"entity": "tasks", "after": TASK | {"output": "x" * 9_000_000}}).encode()
    too_large = json.dumps({"entity": "tasks", "after": TASK | {"output": "x" * 10_500_000}})
    endless = b"x" * 50_000_000

    checked, bad = check(b"\n".join([large, too_large.encode(), endless, GOOD]))

    assert checked == LineCounts(2, 2)
    assert [(line.number, line.reason) for line in bad] == [(2, "too_large"), (3, "too_large")]


def test_progress_is_told_in_bytes() -> None:
    told: list[int] = []
    data = (GOOD + b"\n") * 2500

    LineFile(BytesIO(data)).check(on_bad=lambda bad: None, progress=told.append)

    line = len(GOOD) + 1
    assert told == [1000 * line, 2000 * line, 2500 * line]


async def test_changes_are_published_in_their_order_batch_by_batch() -> None:
    async with FakeChangePublisher() as publisher:
        lines = [json.dumps({"entity": "users", "after": {"id": f"u-{n}"}}) for n in range(25)]
        changes = LineFile(BytesIO("\n".join(lines).encode())).changes()

        published, token = await publish_changes(publisher, changes, batch=10)

    assert published == 25
    assert [change.id for change in publisher.changes] == [f"u-{n}" for n in range(25)]
    assert token.positions == {"nova.users": {0: 25}}


async def test_a_failure_says_how_much_is_safe() -> None:
    class Failing(FakeChangePublisher):
        async def publish(self, changes: Any) -> Any:
            if self.changes:
                raise PublishError("Kafka went away")
            return await super().publish(changes)

    changes = LineFile(BytesIO((GOOD + b"\n") * 25)).changes()

    with pytest.raises(PublishError, match=r"Kafka went away\. The first 10 changes are published"):
        await publish_changes(Failing(), changes, batch=10)
