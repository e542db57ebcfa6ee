"""The newest state of every row that streams show, in the order in which they changed.

Nothing queues: a reader asks for what changed after the number that it has seen, and gets each
row's newest state once. A row is written out once, however many readers there are.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from typing import Any, NamedTuple

import msgspec

#: Rows of a kind that are kept at most; the oldest go. A ``agent-gone`` that is forgotten ends the
#: resume of those who have not seen it, the other kinds are the newest of more.
_KEPT = {"agent-gone": 1000, "build": 100, "activity": 50}
#: Frames that are kept for others who ask for the same, until the next change.
_FRAMES = 100
#: What every reader is told, whatever it asked for.
_ALWAYS = "state"

_EVENT_ID = re.compile(r"([0-9a-f]{8})-(\d{1,18})")


class Wanted(NamedTuple):
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
    data: bytes
    text: bytes


class Board:
    """Rows by key. Numbers rise with every change; those of another board mean nothing here."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._number = 0
        self._floor = 0
        self._rows: dict[str, _Row] = {}  # in the order of their numbers
        self._kinds: Counter[str] = Counter()
        self._frames: dict[tuple[int, Wanted], bytes] = {}

    @property
    def number(self) -> int:
        """The number of the newest change."""
        return self._number

    def put(self, key: str, event: str, value: Any, agent: str | None = None) -> None:
        """Set a row; nothing happens where it is so already."""
        data = msgspec.json.encode(value)
        old = self._rows.get(key)
        if old is not None and (old.event, old.data) == (event, data):
            return
        self._forget(key)
        self._number += 1
        self._frames.clear()
        text = b"id: %b\nevent: %b\ndata: %b\n\n" % (self._id(self._number), event.encode(), data)
        self._rows[key] = _Row(self._number, event, agent, data, text)
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

    def whole(self, wanted: Wanted) -> bytes:
        """The full picture as events, closed by the event ``snapshot``."""
        made = self._frames.get((-1, wanted))
        if made is None:
            rows = (row for row in self._rows.values() if row.event != "agent-gone")
            closed = b"id: %b\nevent: snapshot\ndata: {}\n\n" % self._id(self._number)
            made = b"".join([*(r.text for r in rows if wanted.has(r.event, r.agent)), closed])
            self._keep((-1, wanted), made)
        return made

    def since(self, number: int, wanted: Wanted) -> bytes:
        """The rows that changed after ``number`` as events, in their order; empty for none."""
        made = self._frames.get((number, wanted))
        if made is None:
            found: list[bytes] = []
            for row in reversed(self._rows.values()):
                if row.number <= number:
                    break
                if wanted.has(row.event, row.agent):
                    found.append(row.text)
            made = b"".join(reversed(found))
            self._keep((number, wanted), made)
        return made

    def place(self, event_id: str) -> int | None:
        """The number that an event's id names; None where it cannot be gone on from."""
        match = _EVENT_ID.fullmatch(event_id)
        if match is None or match[1] != self._name:
            return None
        number = int(match[2])
        return number if self._floor <= number <= self._number else None

    def _keep(self, asked: tuple[int, Wanted], frame: bytes) -> None:
        if len(self._frames) >= _FRAMES:
            self._frames.clear()
        self._frames[asked] = frame

    def _id(self, number: int) -> bytes:
        return f"{self._name}-{number}".encode()

    def _forget(self, key: str) -> None:
        row = self._rows.pop(key, None)
        if row is not None:
            self._kinds[row.event] -= 1

    def _drop_oldest(self, event: str) -> None:
        key, row = next((key, row) for key, row in self._rows.items() if row.event == event)
        self._forget(key)
        if event == "agent-gone":
            self._floor = row.number
