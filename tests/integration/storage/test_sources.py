"""A source that moves to another server is noticed, told, and loses nothing; nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nova_stream.errors import UsageError
from nova_stream.events.change import COMPARED_MINOR, Entity
from nova_stream.events.forms import Forms
from nova_stream.republish import stated_version, versioned
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.sources import begin_source, noticed
from nova_stream.storage.dead_letters.store import DeadLetterStore
from tests.integration.storage.chunks import NOON_MS, value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS
OLD, NEW = 10**12, 3 * 10**7


def task(lsn: int, agent: str, ts: int | None, *, id_: str = "t", **more: Any) -> bytes:
    source: dict[str, Any] = {"connector": "postgresql", "lsn": lsn}
    if ts is not None:
        source["at"] = NOON_MS + ts
    return value_of({"id": id_, "status": "done", "agent": agent}, **source | more)


async def agents(desk: Desk) -> dict[str, str | None]:
    rows = await desk.connection.fetch("SELECT id, agent FROM tasks ORDER BY id")
    return {row["id"]: row["agent"] for row in rows}


async def reasons(desk: Desk) -> list[str]:
    query = "SELECT reason FROM dead_letters WHERE state = 'open' ORDER BY id"
    return [row["reason"] for row in await desk.connection.fetch(query)]


async def move(desk: Desk, starts: dict[int, int] | None = None) -> Any:
    return await begin_source(desk.connection, desk.settings.topic(TASKS), starts or {})


async def read_again(desk: Desk, partition: int = 0) -> None:
    start = (await desk.position(TASKS, partition)).next_offset
    if start < len(desk.logs[TASKS, partition]):
        await desk.flush(desk.chunk(TASKS, start, partition=partition))


async def publish_again(desk: Desk) -> None:
    """What ``republish`` publishes for the one letter that is open."""
    store = DeadLetterStore(desk.connection)
    (original,) = await store.originals(await store.open_ids())
    sources = await store.sources([original.topic])
    record = versioned(original, stated_version(original, Forms()), sources)
    await desk.put(TASKS, record.value, headers=record.headers)


@pytest.mark.parametrize(
    "change",
    [
        task(NEW, "new", 1),
        task(NEW, "new", 1, op="r"),
        task(OLD - 1, "new", 1),
        task(NEW, "new", 0),
        task(NEW, "new", None),
        value_of(None, before={"id": "t"}, connector="postgresql", lsn=NEW, at=NOON_MS + 1),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_later_change_with_a_lower_lsn_is_of_another_server(
    desk: Desk, change: bytes, one_by_one: bool
) -> None:
    if one_by_one:
        await desk.put(TASKS, task(OLD, "old", 0))
        applied = await desk.put(TASKS, change)
    else:
        applied = await desk.put(TASKS, task(OLD, "old", 0), change)
    assert (applied.moved, applied.dead) == (1, 1)
    assert await reasons(desk) == ["source_moved"]
    (found,) = await noticed(desk.connection)
    assert (found.topic, found.partition, found.offset, found.letters) == (
        desk.settings.topic(TASKS),
        0,
        1,
        1,
    )
    assert await agents(desk) == {"t": "old"}


INCREMENTAL = value_of(
    {"id": "t", "status": "done"}, op="r", connector="postgresql", lsn=None, at=NOON_MS + 9
)
OWN = task(OLD, "job", 9, minor=1, connector="nova", generation=0)


@pytest.mark.parametrize(
    "changes",
    [
        # a connector that repeats its tail
        [task(OLD, "a", 0), task(OLD + 9, "b", 5), task(OLD, "a", 0), task(OLD + 9, "b", 5)],
        # a long transaction of other rows, committed late with its low lsns
        [task(OLD, "a", 0), task(OLD - 10**9, "b", 9, id_="u"), task(OLD - 10**8, "c", 9, id_="u")],
        # two changes of one transaction, and the first of them once more
        [task(OLD, "a", 0), task(OLD + 2**25, "b", 0), task(OLD, "a", 0)],
        # a snapshot made anew, then the changes behind it
        [task(OLD, "a", 0), task(OLD + 5, "b", 9, op="r"), task(OLD + 5, "c", 2)],
        # a snapshot's rows are read after changes that are newer, and read from the log once more
        [task(OLD, "a", 9, op="r"), task(OLD + 5, "b", 2), task(OLD, "a", 9, op="r")],
        # rows of an incremental snapshot, and nova-stream's own changes
        [task(OLD, "a", 0), INCREMENTAL],
        [task(OLD, "a", 0), task(OLD + 1, "b", 1), OWN],
        # small numbers of tests and of young servers, of one time
        [task(9, "a", 0), task(2, "b", 0)],
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_ordinary_repetitions_and_long_transactions_are_not_taken_for_another_server(
    desk: Desk, changes: Sequence[bytes], one_by_one: bool
) -> None:
    for some in [[c] for c in changes] if one_by_one else [changes]:
        await desk.put(TASKS, *some)
    assert await reasons(desk) == []


async def test_a_new_source_is_read_from_where_it_was_noticed_and_outranks_the_old_one(
    desk: Desk,
) -> None:
    await desk.put(TASKS, task(OLD, "old", 0), task(OLD + 9, "old", 1, id_="u"))
    await desk.put(TASKS, task(NEW, "read", 9, op="r"), task(NEW, "read", 9, id_="u", op="r"))
    await desk.put(TASKS, task(NEW + 5, "new", 10))
    assert await agents(desk) == {"t": "old", "u": "old"}

    found = await move(desk)
    assert (found.generation, found.read_again, found.letters) == (1, {0: 2}, 3)
    assert (await desk.position(TASKS)).next_offset == 2
    await read_again(desk)
    assert await agents(desk) == {"t": "new", "u": "read"}
    assert await reasons(desk) == []
    await desk.put(TASKS, task(NEW + 6, "newest", 11), task(NEW + 5, "new", 10))
    assert await agents(desk) == {"t": "newest", "u": "read"}
    assert await reasons(desk) == []


async def test_a_second_move_is_noticed_as_the_first_one_was(desk: Desk) -> None:
    await desk.put(TASKS, task(OLD, "old", 0))
    await desk.put(TASKS, task(NEW, "second", 9))
    await move(desk)
    await read_again(desk)
    await desk.put(TASKS, task(NEW // 2, "third", 20))
    assert await reasons(desk) == ["source_moved"]
    await move(desk)
    await read_again(desk)
    assert await agents(desk) == {"t": "third"}
    row = await desk.row(TASKS, "t")
    assert (row["version_generation"], row["version"]) == (2, NEW // 2)


async def test_an_announced_source_begins_with_the_first_record_that_shows_it(desk: Desk) -> None:
    await desk.put(TASKS, task(OLD, "old", 0), task(OLD, "old", 0, id_="u"))
    await desk.put(TASKS, task(OLD, "old", 0, id_="v"), partition=1)
    found = await move(desk)
    assert (found.generation, found.read_again) == (1, {})
    await desk.put(
        TASKS,
        task(OLD + 5, "late old", 1, id_="u"),
        task(NEW, "new", 9),
        task(NEW, "n", 9, id_="u"),
    )
    assert await agents(desk) == {"t": "new", "u": "n", "v": "old"}
    await desk.put(TASKS, task(OLD + 6, "late old", 2, id_="v"), partition=1)
    assert (await agents(desk))["v"] == "late old"
    await desk.put(TASKS, task(NEW, "new", 9, id_="v"), partition=1)
    assert (await agents(desk))["v"] == "new"
    assert await reasons(desk) == []


async def test_letters_whose_records_are_gone_from_the_log_stay_open_and_find_their_source(
    desk: Desk,
) -> None:
    await desk.put(TASKS, task(OLD, "old", 0), task(OLD, "old", 0, id_="u"))
    await desk.put(TASKS, task(NEW, "new", 9), task(NEW + 1, "new", 9, id_="u"))
    found = await move(desk, {0: 3})
    assert found.letters == 1
    assert await reasons(desk) == ["source_moved"]
    await desk.flush(desk.chunk(TASKS, 2))  # as where retention took the first of them
    assert (await agents(desk))["u"] == "new"
    await publish_again(desk)
    assert (await agents(desk))["t"] == "new"


async def test_a_letter_that_is_published_again_too_soon_is_a_letter_again(desk: Desk) -> None:
    await desk.put(TASKS, task(OLD, "old", 0), task(NEW, "new", 9))
    await publish_again(desk)
    assert await reasons(desk) == ["source_moved", "source_moved"]


async def test_nova_streams_own_changes_keep_the_source_of_the_row(desk: Desk) -> None:
    await desk.put(TASKS, task(OLD, "old", 0), task(OLD, "old", 0, id_="u"), task(NEW, "new", 9))
    await move(desk)
    await read_again(desk)
    own = task(OLD, "job", 20, id_="u", minor=1, connector="nova", generation=0)
    await desk.put(TASKS, own)
    assert (await agents(desk))["u"] == "job"
    await desk.put(TASKS, task(NEW, "new", 9, id_="u"))
    assert (await agents(desk))["u"] == "new"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seconds", [-60, 0, 60])
async def test_a_repair_by_the_new_source_begins_it_and_hides_no_change_behind_it(
    desk: Desk, known: bool, seconds: int
) -> None:
    await desk.put(TASKS, task(OLD, "old", 0, id_="t" if known else "u"))
    await move(desk)
    repair = task(NEW, "repaired", 9, op="r", minor=COMPARED_MINOR, connector="nova", generation=1)
    # Committed while the repair was under way, or by a server with another clock.
    await desk.put(TASKS, repair, task(NEW + 1, "new", 9 + 1000 * seconds))
    assert (await agents(desk))["t"] == "new"
    await desk.put(TASKS, task(NEW + 2, "newer", 10 + 1000 * seconds))
    assert (await agents(desk))["t"] == "newer"
    assert await reasons(desk) == []


async def test_a_truncation_hides_no_other_server(desk: Desk) -> None:
    await desk.put(TASKS, value_of(None, op="t", connector="postgresql", lsn=OLD, at=NOON_MS))
    await desk.put(TASKS, task(OLD - 1, "late", -1, id_="u"), task(NEW, "new", 9))
    assert await reasons(desk) == ["source_moved"]
    await move(desk)
    await read_again(desk)
    assert await agents(desk) == {"t": "new"}


async def test_a_topic_made_again_is_of_the_present_source(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, task(OLD, "old", 0), task(NEW, "new", 9))
    await move(desk)
    await read_again(desk)
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    desk.add(TASKS, task(NEW + 1, "newer", 10))
    await desk.flush(desk.chunk(TASKS, generation=1))
    assert await agents(desk) == {"t": "newer"}


@pytest.mark.parametrize("seq", [None, 1])
async def test_only_lsns_have_a_server(desk: Desk, seq: int | None) -> None:
    await desk.put(TASKS, value_of({"id": "t", "status": "done"}, seq=seq))
    with pytest.raises(UsageError, match="only lsns belong to a server"):
        await move(desk)
