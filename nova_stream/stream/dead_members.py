"""Takes workers that have died out of the consumer group, long before Kafka would.

Kafka knows a member's death from its silence alone, after the session's seconds. Postgres knows it
at once: every worker holds a lock there, on a connection that the kernel closes with its process.
The lock's number stands in the worker's client id, so that the others see which member has none.

Nothing rests on this being right: a worker that was taken out although it lives joins again, and
two owners of a partition do no harm (the position is locked in Postgres). Where a machine is gone
without a word, or Postgres is away, the session's end decides as it would without this.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable

from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.settings import Settings
from nova_stream.storage import signs_of_life
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import DATABASE_ERRORS, is_away
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_CLIENT_ID = re.compile(r"nova-stream-worker-([0-9]{1,10})")
_LOOK_EVERY_S = 0.25
_LIMIT_S = 5.0
#: Seconds in which all workers can take their locks again when Postgres was away.
_TRUST_AFTER_S = 15.0


class DeadMembers:
    """One worker's sign of life, and its look for members of the group that give none.

    ``clock`` gives seconds that only rise.
    """

    def __init__(
        self, settings: Settings, admin: KafkaAdmin, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._clock = clock
        self._number = secrets.randbelow(2**31)
        self._connection: Connection | None = None
        self._lost_before = False
        self._trusted_at = clock()
        self._away = False
        #: The living of the last look at which all members were among them.
        self._all_alive: frozenset[int] | None = None
        #: Members that had no lock at the last look.
        self._suspects: frozenset[str] = frozenset()
        self._removed: set[str] = set()

    @property
    def client_id(self) -> str:
        """What the worker calls itself in the group."""
        return f"nova-stream-worker-{self._number}"

    async def begin(self) -> None:
        """Give the sign of life, before joining the group; raises what the database raises."""
        if self._connection is None or self._connection.is_closed():
            if self._lost_before:
                # Others have lost theirs as well, and some may come back later than we do.
                self._trusted_at = self._clock() + _TRUST_AFTER_S
            self._lost_before = True
            self._connection = await connect(self._settings, "sign of life", timeout=_LIMIT_S)
            async with asyncio.timeout(_LIMIT_S):
                await signs_of_life.hold(self._connection, self._number)

    async def watch(self) -> None:
        """Look again and again until cancelled; then the sign of life ends."""
        try:
            while True:
                await self._look_patiently()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._drop()

    async def _look_patiently(self) -> None:
        try:
            await self.begin()
            await self.look()
        except (*DATABASE_ERRORS, KafkaUnavailableError) as error:
            if isinstance(error, KafkaUnavailableError):
                return
            self._drop()
            if not self._away and not is_away(error):
                _log.warning(
                    "dead workers cannot be noticed",
                    error=str(error),
                    then="Kafka gives away their partitions when their sessions end",
                )
            self._away = True
        else:
            self._away = False

    async def look(self) -> None:
        """One look; a member without a lock at two looks is taken out."""
        assert self._connection is not None
        async with asyncio.timeout(_LIMIT_S):
            alive = await signs_of_life.held(self._connection)
        if alive == self._all_alive or self._number not in alive:
            return
        group = await self._admin.group(self._settings.consumer_group)
        dead = {
            member: client
            for member, client in group.clients.items()
            if (found := _CLIENT_ID.fullmatch(client)) and int(found[1]) not in alive
        }
        before, self._suspects = self._suspects, frozenset(dead)
        self._all_alive = None if dead else alive
        # A group without a member would keep the next one waiting for more of them, by default 3 s:
        # whoever has just been started joins first.
        if self._clock() < self._trusted_at or self.client_id not in group.clients.values():
            return
        for member, client in dead.items():
            # Whoever is back is none that died.
            if member in before and client not in self._removed:
                await self._admin.remove_member(self._settings.consumer_group, member)
                self._removed.add(client)
                _log.warning(
                    "a worker died",
                    member=client,
                    then="its partitions go to the others at once",
                )

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.terminate()
