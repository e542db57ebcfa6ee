"""Room for what requests work with: memory, and connections to Postgres."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from nova_stream.errors import TryAgainError

_MB = 1024 * 1024
#: Bytes that all requests together may work with, and that bodies on their way may have; and the
#: part that all requests of one caller leave to others. Of the latter it is the largest body.
_WORKING, _WORKING_SPARED = 128 * _MB, 32 * _MB
_UPLOADS, _UPLOADS_SPARED = 24 * _MB, 10 * _MB
#: Seconds that a request waits for room, and how many may wait, three quarters of them of one
#: caller.
_PATIENCE_S = 10.0
_WAITING = 500
#: Seconds that somebody has waited when bodies that do not come and answers that nobody takes give
#: way, and that nothing has come of those by then.
_PRESSING_S, _SLOW_S = 2.0, 5.0


class Holding:
    """What one request holds of a room. It is charged to one of ``callers``: while it waits, to
    the first that has its share left.
    """

    def __init__(self, room: Room, caller: object) -> None:
        self.callers = [caller]
        self.payer: object = caller
        self.held = 0
        #: What it may come to; no less than it holds.
        self.claim = 0
        #: Whether it has some of it, and not all.
        self.lacks = False
        #: When that changed, and what to call if it lasts while others wait.
        self.since = 0.0
        self.on_press: Callable[[], None] | None = None
        self._room = room

    def join(self, caller: object) -> None:
        """Let ``caller`` pay, too, who waits for the same."""
        if not self.held and caller not in self.callers:
            self.callers.append(caller)
            self._room.serve()

    async def grow(self, to: int, claim: int = 0) -> None:
        """Wait until there is room for ``to`` in all, and take it; ``claim`` is what may be asked
        for later on. Raises TryAgainError when there is none for too long, or too many wait.
        """
        self.claim = max(to, claim)
        if to > self.held:
            await self._room.wait(self, to)

    def keep(self, size: int) -> None:
        """Hold ``size`` from here on, no more and no less."""
        self.claim = size
        self._room.change(self, size)


class _Waits(NamedTuple):
    holding: Holding
    to: int
    turn: asyncio.Future[None]


class _Part(NamedTuple):
    """What a request would have: what it claims beyond it, and who pays."""

    lacking: int
    held: int
    payer: object


class Room:
    """``size`` for all requests, of which those of one caller leave ``spared`` to others, except
    for one request at a time that needs more, so that nobody keeps all others out.

    Requests that have some of what they claim can always come to the rest, one after the other:
    nothing is given that would leave them all waiting for each other.
    """

    def __init__(
        self, size: int, spared: int, patience: float = _PATIENCE_S, waiting: int = _WAITING
    ) -> None:
        self.size = size
        self.held = 0
        self._share = size - spared
        self._patience = patience
        self._most_waiting = waiting
        self._lacking = 0
        self._by_payer: Counter[object] = Counter()
        self._holdings: dict[Holding, None] = {}
        self._waiting: list[_Waits] = []
        #: When callers that wait had their last turn, so that each has his.
        self._turns: dict[object, int] = {}
        self._turn = 0

    def holding(self, caller: object) -> Holding:
        """A request's part of the room, empty at first."""
        return Holding(self, caller)

    async def wait(self, holding: Holding, to: int) -> None:
        """As ``Holding.grow``."""
        if self._is_simple(holding, to):
            self.change(holding, to)
            return
        waits = _Waits(holding, to, asyncio.get_running_loop().create_future())
        mine = sum(other.holding.payer == holding.payer for other in self._waiting)
        if len(self._waiting) >= self._most_waiting or mine * 4 >= self._most_waiting * 3:
            raise _busy()
        before = holding.held
        self._waiting.append(waits)
        self.serve()
        try:
            async with asyncio.timeout(self._patience):
                while not waits.turn.done():
                    await asyncio.wait({waits.turn}, timeout=_PRESSING_S)
                    if not waits.turn.done():
                        self._press()
        except BaseException as error:
            if waits in self._waiting:
                self._waiting.remove(waits)
                self.serve()
            else:  # its turn came as it went
                self.change(holding, before)
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def change(self, holding: Holding, to: int) -> None:
        """``holding`` has this much from here on; whoever waits gets what becomes free."""
        by = to - holding.held
        holding.held = to
        self._lacking += (holding.claim > to > 0) - holding.lacks
        holding.lacks = holding.claim > to > 0
        holding.since = asyncio.get_running_loop().time()
        self.held += by
        self._by_payer[holding.payer] += by
        if not self._by_payer[holding.payer]:
            del self._by_payer[holding.payer]
        if to:
            self._holdings[holding] = None
        else:
            self._holdings.pop(holding, None)
        if by < 0:
            self.serve()

    def serve(self) -> None:
        """Give those who wait what there is: first to those who have some of it already, then to
        the callers in turn, past those alone who have their share already.
        """
        while (waits := self._next()) is not None:
            holding, to, turn = waits
            self._waiting.remove(waits)
            if not holding.held:
                self._turn += 1
                self._turns[holding.payer] = self._turn
            self.change(holding, to)
            if not turn.done():
                turn.set_result(None)
        if not self._waiting:
            self._turns.clear()

    def _next(self) -> _Waits | None:
        """Who of those that wait gets what it waits for now."""
        going_on = []
        firsts: dict[object, _Waits] = {}
        for waits in self._waiting:
            if waits.holding.held:
                going_on.append(waits)
            else:
                firsts.setdefault(tuple(waits.holding.callers), waits)
        blocked = False
        for waits in [*going_on, *sorted(firsts.values(), key=self._last_turn)]:
            holding, to, _ = waits
            if not self._find_payer(holding, to):
                continue
            if blocked and not holding.held:
                break
            if self._fits(holding, to):
                return waits
            blocked = True  # who begins now would keep those who wait waiting
        return None

    def _last_turn(self, waits: _Waits) -> int:
        return min(self._turns.get(caller, 0) for caller in waits.holding.callers)

    def _is_simple(self, holding: Holding, to: int) -> bool:
        """Whether there is room with nobody waiting, and nobody claiming more than he has."""
        more = to - holding.held
        return (
            not (self._waiting or self._lacking)
            and holding.claim == to
            and self.held + more <= self.size
            and self._by_payer.get(holding.payer, 0) + more <= self._share
        )

    def _find_payer(self, holding: Holding, to: int) -> bool:
        """Charge it to the first of its callers that has its share left; whether one has."""
        for caller in [holding.payer] if holding.held else holding.callers:
            holding.payer = caller
            parts = [part for part in self._parts(holding, to) if part.payer == caller]
            if self._by_payer.get(caller, 0) == holding.held or _can_end(self._share, parts):
                return True
        return False

    def _fits(self, holding: Holding, to: int) -> bool:
        return self.held == holding.held or _can_end(self.size, self._parts(holding, to))

    def _parts(self, holding: Holding, to: int) -> list[_Part]:
        others = [other for other in self._holdings if other is not holding]
        return [
            _Part(holding.claim - to, to, holding.payer),
            *(_Part(other.claim - other.held, other.held, other.payer) for other in others),
        ]

    def _press(self) -> None:
        """Somebody waits for long: of who has the most of it, what is slow gives way."""
        now = asyncio.get_running_loop().time()
        waiting = {waits.holding for waits in self._waiting}
        slow = [
            holding
            for holding in self._holdings
            if holding.on_press and now - holding.since > _SLOW_S and holding not in waiting
        ]
        held: Counter[object] = Counter()
        for holding in slow:
            held[holding.payer] += holding.held
        worst = max(held, key=held.__getitem__, default=None)
        for holding in slow:
            if holding.payer == worst and holding.on_press:
                holding.on_press()


def _can_end(size: int, parts: Collection[_Part]) -> bool:
    """Whether there is an order in which all of them come to the rest of what they claim, each
    with what the ones before it have let go of.
    """
    free = size - sum(part.held for part in parts)
    if free < 0:
        return False
    for lacking, held, _ in sorted(parts, key=lambda part: part.lacking):
        if lacking > free:
            return False
        free += held
    return True


class Rooms(NamedTuple):
    """The room that requests work in, the one of bodies on their way, and the connections."""

    working: Room
    uploads: Room
    connections: Room

    @classmethod
    def usual(cls, connections: int) -> Rooms:
        """As large as an API of 300 MB has them, with so many connections to Postgres."""
        return cls(
            Room(_WORKING, _WORKING_SPARED),
            Room(_UPLOADS, _UPLOADS_SPARED),
            Room(connections, connections // 4),
        )


def _busy() -> TryAgainError:
    return TryAgainError("busy", "The room for requests like this one is in use; try again.")
