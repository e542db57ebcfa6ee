"""Which members of the group are taken for dead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest

from nova_stream.kafka.model import Group
from nova_stream.settings import load_settings
from nova_stream.storage import signs_of_life
from nova_stream.stream import dead_members
from nova_stream.stream.dead_members import DeadMembers

OTHER, THIRD = 7, 8


def client(number: int) -> str:
    return f"nova-stream-worker-{number}"


class Scene:
    """A worker that looks at members that others gave it, and at locks in Postgres."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.members: dict[str, str] = {}
        self.removed: list[str] = []
        self.connections: list[Scene.Session] = []
        self.watcher = DeadMembers(load_settings(), cast(Any, self), clock=lambda: self.now)
        self.own = int(self.watcher.client_id.rpartition("-")[2])
        self.alive: set[int] = {self.own}
        monkeypatch.setattr(signs_of_life, "held", self.held)
        monkeypatch.setattr(signs_of_life, "hold", self.hold)
        monkeypatch.setattr(dead_members, "connect", self.connect)

    class Session:
        closed = False

        def is_closed(self) -> bool:
            return self.closed

    async def connect(self, *_args: Any, **_given: Any) -> Session:
        self.connections.append(Scene.Session())
        return self.connections[-1]

    async def hold(self, _connection: Any, number: int) -> None:
        assert number == self.own

    async def held(self, _connection: Any) -> frozenset[int]:
        return frozenset(self.alive)

    async def group(self, _name: str) -> Group:
        return Group("Stable", len(self.members), dict(self.members))

    async def remove_member(self, _group: str, member: str) -> None:
        self.removed.append(member)
        self.members.pop(member, None)

    async def look(self, times: int = 1) -> list[str]:
        for _ in range(times):
            await self.watcher.begin()
            await self.watcher.look()
        return self.removed

    def join(self, *numbers: int, alive: Iterable[int]) -> None:
        self.members = {f"member-{number}": client(number) for number in numbers}
        self.alive = {self.own, *alive}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_a_member_without_a_lock_is_taken_out_at_the_second_look(scene: Scene) -> None:
    scene.join(scene.own, OTHER, THIRD, alive=[THIRD])
    assert await scene.look() == []
    assert await scene.look() == [f"member-{OTHER}"]
    assert await scene.look(3) == [f"member-{OTHER}"]


async def test_a_member_that_dies_later_is_found_as_well(scene: Scene) -> None:
    scene.join(scene.own, OTHER, alive=[OTHER])
    assert await scene.look(3) == []
    scene.alive.discard(OTHER)
    assert await scene.look(2) == [f"member-{OTHER}"]


async def test_a_member_that_has_its_lock_back_in_between_stays(scene: Scene) -> None:
    for _ in range(3):
        scene.join(scene.own, OTHER, alive=[])
        assert await scene.look() == []
        scene.alive.add(OTHER)
        assert await scene.look() == []


async def test_members_that_are_no_workers_of_ours_stay(scene: Scene) -> None:
    scene.join(scene.own, alive=[])
    scene.members |= {"a": "aiokafka-0.14.0", "b": "nova-stream-worker-", "c": client(1) + "x"}
    assert await scene.look(4) == []


async def test_who_has_no_lock_itself_takes_nobody_out(scene: Scene) -> None:
    scene.join(scene.own, OTHER, alive=[])
    scene.alive = set()
    assert await scene.look(4) == []


async def test_who_has_not_joined_yet_takes_nobody_out(scene: Scene) -> None:
    scene.join(OTHER, alive=[])
    assert await scene.look(4) == []
    scene.members["own"] = client(scene.own)
    assert await scene.look() == [f"member-{OTHER}"]


async def test_after_an_outage_of_postgres_all_have_time_to_come_back(scene: Scene) -> None:
    scene.join(scene.own, OTHER, alive=[OTHER])
    await scene.look()
    scene.connections[-1].closed = True
    scene.alive.discard(OTHER)
    assert await scene.look(5) == []
    scene.now += 14
    assert await scene.look(2) == []
    scene.now += 2
    assert await scene.look(2) == [f"member-{OTHER}"]


async def test_a_worker_that_lives_without_a_lock_is_taken_out_once_at_most(scene: Scene) -> None:
    scene.join(scene.own, OTHER, alive=[])
    assert await scene.look(2) == [f"member-{OTHER}"]
    scene.members["again"] = client(OTHER)
    assert await scene.look(5) == [f"member-{OTHER}"]
