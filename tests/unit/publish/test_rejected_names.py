"""The error of a change that is not right says which change it is."""

from __future__ import annotations

import pytest

from nova_stream.errors import RejectedError
from nova_stream.testing.fake_publisher import FakeChangePublisher

GOOD = {"entity": "tasks", "after": {"id": "t-1", "agent": "MARS", "status": "done"}}


@pytest.mark.parametrize("many", [list, iter])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"entity": "tasks", "after": {"id": "t-2", "agent": "MARS"}}, "tasks 't-2': $.status is "),
        ({"entity": "tasks", "after": {"agent": "MARS"}}, "tasks without an id: "),
        ({"entity": "tasks", "op": "d", "before": {"id": 7.5}}, "tasks 7.5: $.before.id is "),
        ({"entity": "tasks", "op": "x", "after": {"id": "t-2"}}, "tasks 't-2': $.op is 'x'"),
        ({"entity": "trees", "after": {"id": "t-2"}}, "trees 't-2': $.entity is 'trees'"),
        ({"after": {"id": "t-2"}}, "$.entity is "),
        ([], "this is "),
        (
            {"entity": "users", "after": {"id": "u-1", "tier": "x" * 11_000_000}},
            "users 'u-1' makes a record of ",
        ),
    ],
)
async def test_of_many_changes_it_is_named_by_its_place(many: type, bad: object, says: str) -> None:
    async with FakeChangePublisher() as publisher:
        with pytest.raises(RejectedError) as raised:
            await publisher.publish(many([GOOD, bad]))

    assert str(raised.value).startswith(f"changes[1]: {says}")
    assert raised.value.reason


async def test_a_single_change_is_named_by_entity_and_id() -> None:
    async with FakeChangePublisher() as publisher:
        with pytest.raises(RejectedError) as raised:
            await publisher.task({"id": "t-2", "status": "done?"})
        with pytest.raises(RejectedError) as deleted:
            await publisher.delete("tasks", "t-2", seq=-1)

    assert str(raised.value).startswith("tasks 't-2': $.status is 'done?'")
    assert str(deleted.value).startswith("tasks 't-2': $.seq is ")
