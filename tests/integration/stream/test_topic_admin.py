"""Topics are made as they must be, and what cannot work is told before Faust starts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from nova_stream.errors import KafkaUnavailableError, TopicError
from nova_stream.kafka.admin import TopicAdmin
from nova_stream.settings import Settings, load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def topic_settings(nova_kafka: str, nova_topic_prefix: str) -> Settings:
    return load_settings(kafka_brokers=nova_kafka, topic_prefix=nova_topic_prefix, partitions=3)


@pytest.fixture
async def admin(topic_settings: Settings) -> AsyncIterator[TopicAdmin]:
    async with TopicAdmin(topic_settings) as found:
        yield found


async def test_missing_topics_are_made_and_others_keep_their_partitions(
    topic_settings: Settings, admin: TopicAdmin
) -> None:
    async with TopicAdmin(topic_settings.model_copy(update={"partitions": 5})) as five:
        found = await five.prepare_sources()
    assert set(found.values()) == {5}
    assert await admin.prepare_sources() == found
    described = await admin.describe(list(found))
    assert {topic: item.partitions for topic, item in described.items()} == found
    assert len({item.id for item in described.values()}) == 6


async def test_ids_are_written_as_databases_of_earlier_versions_hold_them(
    topic_settings: Settings, admin: TopicAdmin
) -> None:
    # Twelve ids of 22 characters: some have one of the two letters that alphabets differ in.
    prefix = topic_settings.topic_prefix
    await admin.prepare_sources()
    await admin.prepare_changelogs({f"{prefix}-{n}": 1 for n in range(6)})
    names = [name for name in await admin.partitions() if name.startswith(prefix)]
    client = AdminClient({"bootstrap.servers": ",".join(topic_settings.kafka_brokers)})
    told = {
        name: str(future.result(10).topic_id)
        for name, future in client.describe_topics(TopicCollection(names)).items()
    }
    assert {name: found.id for name, found in (await admin.describe(names)).items()} == told


async def test_topics_that_are_not_there_are_not_described(admin: TopicAdmin) -> None:
    assert await admin.describe(["nobody-made-this"]) == {}
    assert "nobody-made-this" not in await admin.partitions(), "asking makes no topic"


async def test_a_changelog_that_is_too_small_is_enlarged(
    topic_settings: Settings, admin: TopicAdmin
) -> None:
    name = f"{topic_settings.topic_prefix}-changelog"
    await admin.prepare_changelogs({name: 2})
    await admin.prepare_changelogs({name: 4})
    assert (await admin.describe([name]))[name].partitions == 4


async def test_a_changelog_that_is_too_large_is_an_error_that_says_what_to_do(
    topic_settings: Settings, admin: TopicAdmin
) -> None:
    name = f"{topic_settings.topic_prefix}-changelog"
    await admin.prepare_changelogs({name: 4})
    with pytest.raises(TopicError, match=f"{name} has 4 partitions, its source has 2.*delete"):
        await admin.prepare_changelogs({name: 2})


async def test_more_replicas_than_brokers_is_an_error_that_names_the_setting(
    topic_settings: Settings,
) -> None:
    settings = topic_settings.model_copy(update={"replication": 3})
    async with TopicAdmin(settings) as admin:
        with pytest.raises(TopicError, match="NOVA_REPLICATION=3"):
            await admin.prepare_sources()


async def test_no_broker_is_an_error_that_names_the_address() -> None:
    async with TopicAdmin(load_settings(kafka_brokers="127.0.0.1:9"), 0.5) as admin:
        with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:9"):
            await admin.partitions()
        with pytest.raises(KafkaUnavailableError, match="nova-stream dev"):
            await admin.describe(["nova.tasks"])
