"""A publisher without Kafka, for tests of programs that publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nova_stream.clock import Clock, system_clock
from nova_stream.errors import PublishError
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from nova_stream.kafka.records import Outgoing, RecordMaker
from nova_stream.publish.interface import Document, Publisher, made
from nova_stream.publish.position_token import PositionToken


class FakeChangePublisher(Publisher):
    """Collects in ``changes`` what ``ChangePublisher`` would publish, and in ``records`` how.

    It checks as strictly, and raises RejectedError for the same changes. Every topic is called as
    its entity is by default (``nova.tasks``) and has one partition. Set ``failure`` to the text of
    a PublishError that every call is to raise from then on, as when Kafka is away.
    """

    def __init__(self, *, source_name: str = "main-app", clock: Clock = system_clock) -> None:
        self.changes: list[ChangeLine] = []
        self.records: list[Outgoing] = []
        self.failure: str | None = None
        self._maker = RecordMaker(source_name, clock)
        self._lengths: dict[Entity, int] = {}

    async def start(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do; what was collected stays."""

    def documents(self, entity: Entity | str) -> list[Document]:
        """The documents published of one entity, in their order; deletions have none."""
        wanted = Entity(entity)
        return [c.after for c in self.changes if c.entity is wanted and c.after is not None]

    async def publish(self, changes: Iterable[ChangeLine | Document]) -> PositionToken:
        """See ``ChangePublisher.publish``."""
        pairs: Iterator[tuple[ChangeLine, Outgoing]]
        pairs = made(changes, lambda line: (line, self._maker.make(line)))
        if isinstance(changes, list | tuple):
            pairs = iter(list(pairs))
        token = PositionToken()
        for change, record in pairs:
            token = token.merge(self._collect(change, record))
        return token

    async def _publish_one(self, change: ChangeLine) -> PositionToken:
        return self._collect(change, self._maker.make(change))

    def _collect(self, change: ChangeLine, record: Outgoing) -> PositionToken:
        if self.failure is not None:
            raise PublishError(self.failure)

        self.changes.append(change)
        self.records.append(record)
        end = self._lengths.get(change.entity, 0) + 1
        self._lengths[change.entity] = end
        return PositionToken({f"nova.{change.entity.value}": {0: end}})
