"""Topics: made with the right partitions and settings before Faust starts, watched afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from nova_stream.errors import TopicError
from nova_stream.kafka.admin import KafkaAdmin

_SOURCE_CONFIG = {"cleanup.policy": "delete", "max.message.bytes": str(10 * 1024 * 1024)}
#: The tables can be rebuilt from Postgres at any time, and are small: compact them eagerly, so
#: that a worker has them back within a second.
_CHANGELOG_CONFIG = {
    "cleanup.policy": "compact,delete",
    "retention.ms": str(24 * 3600 * 1000),
    "segment.ms": str(5 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "60000",
}


class TopicAdmin(KafkaAdmin):
    """An admin client that makes the topics as the stream needs them.

    Raises TopicError, too, when a topic cannot work.
    """

    async def partitions(self) -> dict[str, int]:
        """All topics of the cluster with their number of partitions."""
        return {topic: found.partitions for topic, found in (await self.topics()).items()}

    async def prepare_sources(self) -> dict[str, int]:
        """Make the six topics where they are missing; gives their partitions."""
        settings = self._settings
        found = await self.partitions()
        missing = {t: settings.partitions for t in settings.topics() if t not in found}
        await self.make_topics(missing, _SOURCE_CONFIG)
        # Somebody with another setting may have been quicker.
        described = await self.describe(list(settings.topics()))
        return {topic: item.partitions for topic, item in described.items()}

    async def prepare_changelogs(self, wanted: Mapping[str, int]) -> None:
        """Make the tables' changelog topics, each with the partitions of its source topic.

        Faust would stop with a mismatch else: a changelog that is too small is enlarged, one
        that is too large is a TopicError that says how to be rid of it.
        """
        found = await self.partitions()
        missing = {t: n for t, n in wanted.items() if t not in found}
        await self.make_topics(missing, _CHANGELOG_CONFIG)
        await self.add_partitions({t: n for t, n in wanted.items() if found.get(t, n) < n})
        for topic, count in wanted.items():
            if found.get(topic, count) > count:
                raise TopicError(
                    f"topic {topic} has {found[topic]} partitions, its source has {count}: stop "
                    f"all workers and delete the topic {topic}; what it holds is made again"
                )
