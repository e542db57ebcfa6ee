"""Runs the functions: queries on a snapshot, mutations through Kafka and until they are applied."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from nova_stream.api.budget.request_body import off_loop
from nova_stream.api.convex import (
    activity,
    atlas,
    dashboard,
    dashboard_builds,
    dashboard_tasks,
    realtime,
)
from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.functions import (
    Function,
    Handler,
    Kind,
    MutationCall,
    QueryCall,
    Shape,
)
from nova_stream.api.convex.lock_set import LockSet
from nova_stream.api.convex.validators import check_arguments, the_argument
from nova_stream.api.convex.values import read_value
from nova_stream.api.database import Database
from nova_stream.api.lazy import Lazy
from nova_stream.api.positions import PositionWatch
from nova_stream.clock import Clock, system_clock
from nova_stream.errors import PositionNotReachedError, RejectedError, TooMuchError
from nova_stream.events.versions import HybridClock
from nova_stream.publish.interface import Publisher
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from nova_stream.storage.convex.entity_locks import EntityLocks
from nova_stream.storage.convex.read import MOST_BYTES
from nova_stream.storage.database import snapshot
from nova_stream.storage.faults import is_away, name_of
from nova_stream.telemetry import get_logger

#: Seconds that a call waits for its turn with an entity; and for its own changes to be applied, or
#: those before it that were not in time. The main app's bridge gives up after 10.
TURN_LIMIT = 5.0
LIMIT = 3.0
#: Seconds for which a write that was not applied in time is waited for: by later calls, and by
#: those who want the same entity.
_PATIENCE_S = 600.0
_PAUSE_S = 1.0
_NOTHING = PositionToken()

_MODULES = (
    dashboard,
    dashboard_builds,
    dashboard_tasks,
    realtime,
    atlas,
    activity,
)
_log = get_logger(__name__)

FUNCTIONS: dict[str, Function] = {
    function.path: function for module in _MODULES for function in module.functions
}


class Backend:
    """What the main app takes for its Convex deployment."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        publisher: Lazy[Publisher],
        watch: PositionWatch,
        clock: Clock = system_clock,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._watch = watch
        self._clock = clock
        self._versions = HybridClock(clock)
        self._locks = EntityLocks(settings)
        self._unseen = _NOTHING
        self._unseen_until = 0.0
        self._late: set[asyncio.Task[None]] = set()

    async def run(
        self,
        path: str,
        kind: Kind,
        args: list[Any],
        size: int = 0,
        *,
        changed: Counter[str],
    ) -> Any:
        """The result of a call of the function ``path`` with the JSON values ``args``, which were
        ``size`` bytes. What it is about to change is counted in ``changed``, by entity.

        Raises FunctionError where the function refuses the call, another error of ours or of
        asyncpg's where it cannot run.
        """
        function = _function(path, kind)
        shape, argument = await off_loop(size, _arguments, function, args)
        try:
            if kind == "query":
                return await self._query(shape.handler, argument)
            return await self._mutate(shape.handler, argument, changed)
        except RejectedError as error:
            raise FunctionError(str(error)) from None
        except TooMuchError:
            raise FunctionError(
                f"Too many bytes read in a single function execution (limit: {MOST_BYTES} bytes); "
                "ask for fewer documents",
                None,
            ) from None

    async def close(self) -> None:
        """Let go of everything."""
        await self._locks.close()
        for task in self._late:
            task.cancel()
        if self._late:
            await asyncio.wait(self._late)

    async def _query(self, handler: Handler, argument: dict[str, Any]) -> Any:
        await self._see_writes()
        async with (
            self._database.connection() as connection,
            snapshot(connection),
        ):
            return await handler(QueryCall(connection, self._clock), argument)

    async def _mutate(
        self, handler: Handler, argument: dict[str, Any], changed: Counter[str]
    ) -> Any:
        holding = LockSet(self._locks, TURN_LIMIT)
        call = MutationCall(
            self._database,
            hold=holding.hold,
            before_reading=self._see_writes,
            clock=self._clock,
            versions=self._versions,
        )
        try:
            result = await handler(call, argument)
            if call.changes:
                holding.check()
                changed.update(change["entity"] for change in call.changes)
                await self._write(call.changes, holding)
        finally:
            await holding.release()
        return result

    async def _write(self, changes: list[dict[str, Any]], holding: LockSet) -> None:
        """Publish, and wait until it is applied; what is not in time is safe in Kafka, and seen
        by the calls that follow, which wait for it.
        """
        publisher = await self._publisher.get()
        token = await publisher.publish(changes)
        try:
            await self._watch.wait(token, LIMIT)
        except Exception as error:  # whatever it is, what was published is safe
            _tell_unless_expected(error)
            self._unseen = self._unseen.merge(token)
            self._unseen_until = time.monotonic() + _PATIENCE_S
            if not holding:  # nobody is to be kept from anything
                return
            task = asyncio.create_task(self._release_late(holding.passed_on(), token))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _see_writes(self) -> None:
        """Wait for what was written here and has not been applied in time; raises
        PositionNotReachedError when the stream does not come to it.
        """
        unseen = self._unseen
        if unseen is _NOTHING:
            return
        if time.monotonic() < self._unseen_until:
            await self._watch.wait(unseen, LIMIT)
        if self._unseen is unseen:
            self._unseen = _NOTHING

    async def _release_late(self, holding: LockSet, token: PositionToken) -> None:
        """Keep others from an entity until they would read what was written."""
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while time.monotonic() < deadline:
                try:
                    await self._watch.wait(token, LIMIT)
                except Exception:  # told before, by the one who wrote
                    await asyncio.sleep(_PAUSE_S)
                else:
                    break
        finally:
            await holding.release()


def _tell_unless_expected(error: Exception) -> None:
    if not (isinstance(error, PositionNotReachedError) or is_away(error)):
        _log.error("it is not known how far the stream has come", error=name_of(error))


def _function(path: str, kind: Kind) -> Function:
    function = FUNCTIONS.get(path)
    if function is None:
        raise FunctionError(f"Could not find public function for '{path}'.", None)
    if function.kind != kind:
        module, _, name = path.partition(":")
        raise FunctionError(
            f"Trying to execute {module}.js:{name} as {kind.title()}, but it is defined as "
            f"{function.kind.title()}.",
            None,
        )
    return function


def _arguments(function: Function, args: list[Any]) -> tuple[Shape, dict[str, Any]]:
    """The argument of a call, checked, and the way in which it calls the function."""
    argument = the_argument(_values(function.path, args))
    shape = function.shape(argument)
    check_arguments(shape.fields, argument)
    return shape, argument


def _values(path: str, args: list[Any]) -> list[Any]:
    try:
        return [read_value(item) for item in args]
    except FunctionError as error:
        raise FunctionError(f"Invalid arguments for {path}: {error.message}", None) from None
