"""How far nova-stream has come, as the audit asks it: Kafka's logs, positions, newest versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from nova_stream.events.change import Entity
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.lag import lag_of, read_logs
from nova_stream.kafka.model import HeldBackRecords, Key, Log
from nova_stream.settings import Settings
from nova_stream.source_audit import nova
from nova_stream.source_audit.barrier import Offsets
from nova_stream.storage.apply import positions
from nova_stream.storage.database import Connection

_KAFKA_LIMIT_S = 10.0
_LOOK_AGAIN_S = 0.1
#: Seconds after which a stream that does not move stands, a start of its worker included.
_PATIENCE_S = 15.0

#: Told one line a step; for a terminal or a log.
Tell = Callable[[str], None]


class Stream:
    """What the barrier asks of nova-stream and of Kafka.

    ``comparable`` are the entities whose versions are the source's positions, each with the
    generation of its source. Raises KafkaUnavailableError and what asyncpg raises.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        comparable: Mapping[Entity, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._comparable = comparable
        self._logs: dict[Key, Log] = {}
        self._held: tuple[HeldBackRecords, ...] = ()

    async def log_ends(self) -> Offsets:
        """Where the logs of the six topics end, with what open transactions hold back of them: it
        may be what the source has committed.
        """
        async with KafkaAdmin(self._settings, _KAFKA_LIMIT_S) as admin:
            found = await read_logs(admin, list(self._settings.topics()))
        self._logs, self._held = found
        return {key: log.end for key, log in found.logs.items()}

    async def positions(self) -> Offsets:
        """The next offset to apply of every partition that ``log_ends`` has found: its log's start
        where the stream has no position, or one of another life of the topic.
        """
        standing = await positions.standing(self._connection)
        return {
            key: max(log.start, at.next_offset)
            if (at := standing.get(key)) is not None and at.topic_id in (None, log.topic_id)
            else log.start
            for key, log in self._logs.items()
        }

    async def newest_version(self) -> int | None:
        """The highest of the source's own positions that the rows have come to."""
        found = [
            await nova.newest_version(self._connection, entity, generation)
            for entity, generation in self._comparable.items()
        ]
        return max((number for number in found if number is not None), default=None)

    async def behind(self) -> int:
        """How many records in Kafka are not applied."""
        return lag_of(await self.log_ends(), await self.positions())

    async def catch_up(self, settle: float, clock: Callable[[], float], tell: Tell) -> int:
        """Wait until what is in Kafka now is applied, as long as the stream moves: a row that is
        yet to come cannot be seen to differ. Gives how many records are not applied even so.
        """
        ends, before, since = await self.log_ends(), None, clock()
        while (behind := lag_of(ends, await self.positions())) > 0:
            if behind != before:
                before, since = behind, clock()
            elif clock() - since >= max(settle, _PATIENCE_S):
                tell(
                    f"the stream stands {behind} records before the ends of its topics: what they "
                    "change cannot be compared. Is a worker running? (nova-stream doctor)"
                )
                for held in self._held:
                    tell(str(held))
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        return behind
