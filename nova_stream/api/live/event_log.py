"""The newest state of every row that streams show, in the order in which they changed.

Nothing queues: a reader asks for what changed after the number that it has seen, and gets each
row's newest state once. A row is written out once, however many readers there are.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

#: Rows of a kind that are kept at most; the oldest go. A ``agent-gone`` that is forgotten ends the
#: resume of those who have not seen it, the other kinds are the newest of more.
_KEPT = {"agent-gone": 1000, "build": 100, "activity": 50}
#: Frames that are kept for others who ask for the same, until the next change, and bytes of one: a
#: reader that takes nothing holds no more than that.
_FRAMES = 100
_FRAME = 64 * 1024
#: What every reader is told, whatever it asked for.
_ALWAYS = "state"

_EVENT_ID = re.compile(r"([0-9a-f]{8})-(\d{1,18})")


class EventFilter(NamedTuple):
    """What a reader asked for: kinds of events and names of agents (None = all)."""

    events: frozenset[str] | None = None
    agents: frozenset[str] | None = None

    def has(self, event: str, agent: str | None) -> bool:
        """Whether it asked for ``event`` about ``agent`` (None = about no agent)."""
        if event == _ALWAYS:
            return True
        kinds = {event, "agent"} if event == "agent-gone" else {event}
        if self.events is not None and kinds.isdisjoint(self.events):
            return False
        return agent is None or self.agents is None or agent in self.agents


class _Row(NamedTuple):
    number: int
    event: str
    agent: str | None
    start: int  # of the data in the text
    text: bytes


class Frame(NamedTuple):
    """Events, and the number of the newest change that whoever was sent them has seen."""

    text: bytes
    seen: int


def _number(row: _Row) -> int:
    return row.number


class EventLog:
    """Rows by key. Numbers rise with every change; those of another event log mean nothing here."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._number = 0
        self._floor = 0
        self._rows: dict[str, _Row] = {}  # in the order of their numbers
        self._of_agents: dict[str | None, dict[str, None]] = {}  # the rows' keys, by agent
        self._kinds: Counter[str] = Counter()
        self._order: list[_Row] | None = None
        self._frames: dict[tuple[int, EventFilter, int], Frame] = {}
        #: Whether all of a look is here; while it comes, nobody should go by it.
        self.settled = True

    @property
    def number(self) -> int:
        """The number of the newest change."""
        return self._number

    @property
    def floor(self) -> int:
        """The number from which on everything that is gone is still told."""
        return self._floor

    def put(self, key: str, event: str, value: Any, agent: str | None = None) -> None:
        """Set a row; nothing happens where it is so already."""
        data = msgspec.json.encode(value)
        old = self._rows.get(key)
        if old is not None and old.event == event and old.text[old.start : -2] == data:
            return
        self._forget(key)
        self._number += 1
        self._frames.clear()
        self._order = None
        head = b"id: %b\nevent: %b\ndata: " % (self._id(self._number), event.encode())
        self._rows[key] = _Row(self._number, event, agent, len(head), b"%b%b\n\n" % (head, data))
        self._of_agents.setdefault(agent, {})[key] = None
        self._kinds[event] += 1
        if self._kinds[event] > _KEPT.get(event, self._kinds[event]):
            self._drop_oldest(event)

    def keys(self, event: str) -> list[str]:
        """The keys of all rows of a kind."""
        return [key for key, row in self._rows.items() if row.event == event]

    def agent_of(self, key: str) -> str | None:
        """The agent that a row is about."""
        row = self._rows.get(key)
        return None if row is None else row.agent

    def since(self, number: int, wanted: EventFilter, gone_after: int = 0) -> Frame:
        """The rows that changed after ``number`` as events, in their order, as many as a frame has;
        what was gone by ``gone_after`` is left out, since its reader has never seen it.
        """
        asked = (number, wanted, gone_after)
        made = self._frames.get(asked)
        if made is None:
            made = self._frame(number, wanted, gone_after)
            if len(self._frames) >= _FRAMES:
                self._frames.clear()
            self._frames[asked] = made
        return made

    def snapshot(self) -> bytes:
        """The event that closes the full picture."""
        return b"id: %b\nevent: snapshot\ndata: {}\n\n" % self._id(self._number)

    def _frame(self, number: int, wanted: EventFilter, gone_after: int) -> Frame:
        if number == self._number:
            return Frame(b"", number)
        found: list[bytes] = []
        size, before = 0, number
        for row in self._after(number, wanted):
            if row.event == "agent-gone" and row.number <= gone_after:
                continue
            if wanted.has(row.event, row.agent):
                if found and size + len(row.text) > _FRAME:
                    return Frame(b"".join(found), before)
                found.append(row.text)
                size += len(row.text)
                before = row.number
        return Frame(b"".join(found), self._number)

    def _after(self, number: int, wanted: EventFilter) -> Iterable[_Row]:
        """The rows that changed after ``number``, in their order; of agents that nobody wants none
        is looked at.
        """
        if wanted.agents is not None:
            names = (None, *wanted.agents)
            rows = [self._rows[key] for name in names for key in self._of_agents.get(name, ())]
            return sorted((row for row in rows if row.number > number), key=_number)
        if self._order is None:
            self._order = list(self._rows.values())
        return self._order[bisect_right(self._order, number, key=_number) :]

    def place(self, event_id: str) -> int | None:
        """The number that an event's id names; None where it cannot be gone on from."""
        match = _EVENT_ID.fullmatch(event_id)
        if match is None or match[1] != self._name:
            return None
        number = int(match[2])
        return number if self._floor <= number <= self._number else None

    def _id(self, number: int) -> bytes:
        return f"{self._name}-{number}".encode()

    def _forget(self, key: str) -> None:
        self._order = None
        row = self._rows.pop(key, None)
        if row is not None:
            self._kinds[row.event] -= 1
            keys = self._of_agents[row.agent]
            del keys[key]
            if not keys:
                del self._of_agents[row.agent]

    def _drop_oldest(self, event: str) -> None:
        key, row = next((key, row) for key, row in self._rows.items() if row.event == event)
        self._forget(key)
        if event == "agent-gone":
            self._floor = row.number
