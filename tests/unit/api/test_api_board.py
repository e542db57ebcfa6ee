"""The board: every reader gets the newest state of what it has not seen, and nothing twice."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.api.live.broadcaster import Broadcaster, Client
from nova_stream.api.live.event_log import EventFilter, EventLog
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.problems import problem_of
from nova_stream.errors import TryAgainError

ALL = EventFilter()


def events(frame: bytes) -> list[tuple[str, str, Any]]:
    found = re.findall(r"id: (.*)\nevent: (.*)\ndata: (.*)\n\n", frame.decode())
    return [(id_, event, msgspec.json.decode(data)) for id_, event, data in found]


def whole(board: EventLog) -> bytes:
    """The full picture as a client is sent it."""
    text, seen = b"", 0
    while seen < board.number:
        piece, seen = board.since(seen, ALL, gone_after=board.number)
        text += piece
    return text + board.snapshot()


def test_a_row_is_shown_once_with_its_newest_state() -> None:
    board = EventLog()
    for number in range(5):
        board.put("a", "agent", number, "A")
        board.put("b", "agent", 10 + number, "B")
    assert [data for _, _, data in events(board.since(0, ALL).text)] == [4, 14]
    seen = board.number
    assert board.since(seen, ALL).text == b""
    board.put("a", "agent", 4, "A")  # as it is
    assert board.number == seen


def test_any_event_can_be_gone_on_from() -> None:
    board = EventLog()
    for number in range(10):
        board.put(f"{number}", "agent", number, "A")
    frame = events(whole(board))
    assert frame[-1][1] == "snapshot"
    for place, (id_, _, _) in enumerate(frame[:-1], 1):
        found = board.place(id_)
        assert found is not None
        assert [data for _, _, data in events(board.since(found, ALL).text)] == list(
            range(place, 10)
        )
    assert board.place(frame[-1][0]) == board.number


def test_ids_of_others_cannot_be_gone_on_from() -> None:
    board, other = EventLog(), EventLog()
    board.put("a", "agent", 1, "A")
    other.put("a", "agent", 1, "A")
    for id_ in (events(whole(other))[0][0], "", "x", "1", "-1"):
        assert board.place(id_) is None
    own, _, _ = events(whole(board))[0]
    assert board.place(own.replace("-1", "-2")) is None


def test_what_is_gone_is_told_to_those_who_saw_it_and_forgotten_in_the_end() -> None:
    board = EventLog()
    board.put("a", "agent", 1, "A")
    seen = board.number
    id_, _, _ = events(whole(board))[0]
    board.put("a", "agent-gone", {}, "A")
    assert [event for _, event, _ in events(board.since(seen, ALL).text)] == ["agent-gone"]
    assert [event for _, event, _ in events(whole(board))] == ["snapshot"]
    assert board.place(id_) == seen
    for number in range(1001):
        board.put(f"{number}", "agent-gone", {}, "A")
    assert board.place(id_) is None


def test_lists_keep_their_newest_rows() -> None:
    board = EventLog()
    for number in range(200):
        board.put(f"{number}", "activity", number, "A")
    assert [d for _, _, d in events(board.since(0, ALL).text)] == list(range(150, 200))


def test_filters() -> None:
    board = EventLog()
    board.put("a", "agent", 1, "A")
    board.put("b", "agent", 2, "B")
    board.put("overview", "overview", 3)
    board.put("state", "state", 4)

    def shown(events_: set[str] | None, agents: set[str] | None) -> list[int]:
        wanted = EventFilter(
            None if events_ is None else frozenset(events_),
            None if agents is None else frozenset(agents),
        )
        return [data for _, _, data in events(board.since(0, wanted).text)]

    assert shown(None, None) == [1, 2, 3, 4]
    assert shown({"agent"}, None) == [1, 2, 4]
    assert shown({"agent"}, {"B"}) == [2, 4]
    assert shown({"overview"}, {"B"}) == [3, 4]


_STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 3)) | st.sampled_from(["slow", "fast"])
)


@given(_STEPS)
def test_whoever_reads_and_whenever_ends_with_the_last_values(steps: list[Any]) -> None:
    board = EventLog()
    truth: dict[str, int] = {}
    seen = {"slow": 0, "fast": 0}
    states: dict[str, dict[str, int]] = {"slow": {}, "fast": {}}

    def look(reader: str) -> None:
        for _, _, (key, value) in events(board.since(seen[reader], ALL).text):
            states[reader][key] = value
        seen[reader] = board.number

    for step in steps:
        if isinstance(step, str):
            look(step)
        else:
            key, value = step
            truth[key] = value
            board.put(key, "agent", [key, value], key)
    look("slow")
    look("fast")
    assert states == {"slow": truth, "fast": truth}


async def test_a_client_that_takes_nothing_costs_nothing() -> None:
    board = EventLog()
    client = Client(ALL, None, lambda: True)
    for number in range(1000):
        board.put("a", "agent", number, "A")
        assert not client.serve(board, whole=True, recheck=False)
    taking = asyncio.create_task(client.frame())
    await asyncio.sleep(0)
    assert client.serve(board, whole=True, recheck=False)
    assert [data for _, event, data in events(await taking) if event == "agent"] == [999]


async def test_a_large_picture_goes_out_in_pieces_and_ends_with_the_newest_state() -> None:
    board = EventLog()
    for number in range(5000):
        board.put(f"{number}", "agent", {"n": number, "text": "x" * 200}, "A")
    board.put("7", "agent-gone", {"n": 7}, "A")
    client = Client(ALL, None, lambda: True)
    taking = asyncio.create_task(client.frame())
    await asyncio.sleep(0)
    assert client.serve(board, whole=True, recheck=False)
    frames = [await taking]
    changed = False
    while b"event: snapshot" not in frames[-1]:
        if len(frames) == 5:
            board.put("0", "agent", {"n": "changed"}, "A")
            board.put("1", "agent-gone", {"n": 1}, "A")  # which it has been sent
            changed = True
        frames.append(await asyncio.wait_for(client.frame(), 1))
    assert changed
    assert max(map(len, frames)) < 70_000
    found = [event for frame in frames for event in events(frame)]
    newest = {data["n"]: event for _, event, data in found if "n" in data}
    assert 7 not in newest  # gone before it could be seen
    assert newest[1] == "agent-gone"
    assert "changed" in newest
    assert len(newest) == 5000


async def test_nothing_is_taken_while_a_look_is_under_way() -> None:
    board = EventLog()
    for number in range(2000):
        board.put(f"{number}", "agent", {"n": number, "text": "x" * 200}, "A")
    client = Client(ALL, None, lambda: True)
    taking = asyncio.create_task(client.frame())
    await asyncio.sleep(0)
    client.serve(board, whole=True, recheck=False)
    await taking
    board.settled = False
    taking = asyncio.create_task(client.frame())
    await asyncio.sleep(0)
    assert not taking.done()
    taking.cancel()


class NoTokens:
    """What a broadcaster asks tokens, where there are none that change."""

    fresh, open, version = True, False, 0


async def test_many_who_want_little_of_many_rows_cost_little() -> None:
    changes = Broadcaster(None, ApiMetrics(), 500, NoTokens())  # type: ignore[arg-type]
    for number in range(20_000):
        changes._event_log.put(f"{number}", "agent", number, f"A-{number}")
    changes._marker = ()  # type: ignore[assignment]
    clients = [
        Client(EventFilter(agents=frozenset({f"none-{number}"})), None, lambda: True)
        for number in range(200)
    ]
    changes._clients = set(clients)
    frames = [asyncio.create_task(client.frame()) for client in clients]
    await asyncio.sleep(0)
    worked = time.thread_time()
    await changes._serve()
    assert {events(frame)[-1][1] for frame in await asyncio.gather(*frames)} == {"snapshot"}
    assert time.thread_time() - worked < 0.5  # who looks at all rows for each takes some seconds


async def test_one_caller_leaves_streams_to_others() -> None:
    changes = Broadcaster(None, ApiMetrics(), 8, NoTokens())  # type: ignore[arg-type]

    def join(caller: str) -> int:
        try:
            changes.join(ALL, None, lambda: True, caller)
        except TryAgainError as error:
            assert error.kind == "too-many-streams"
            return problem_of(error).status
        return 200

    assert [join("greedy") for _ in range(8)] == [200] * 6 + [429] * 2
    assert [join("other") for _ in range(4)] == [200] * 2 + [503] * 2
    await changes.close()
