"""Topics are made as they must be, and what cannot work is told before Faust starts."""

from __future__ import annotations

import pytest

from nova_stream.errors import KafkaUnavailableError, TopicError
from nova_stream.kafka import topics as module
from nova_stream.kafka.topics import TopicAdmin
from nova_stream.settings import Settings, load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def topic_settings(nova_kafka: str, nova_topic_prefix: str) -> Settings:
    return load_settings(kafka_brokers=nova_kafka, topic_prefix=nova_topic_prefix, partitions=3)


async def test_missing_topics_are_made_and_others_keep_their_partitions(
    topic_settings: Settings,
) -> None:
    agents = topic_settings.model_copy(update={"partitions": 5})
    admin = TopicAdmin(topic_settings)
    found = await TopicAdmin(agents).prepare_sources()
    assert set(found.values()) == {5}
    assert await admin.prepare_sources() == found
    described = await admin.describe(list(found))
    assert {topic: item.partitions for topic, item in described.items()} == found
    assert len({item.id for item in described.values()}) == 6


async def test_topics_that_are_not_there_are_not_described(topic_settings: Settings) -> None:
    assert await TopicAdmin(topic_settings).describe(["nobody-made-this"]) == {}


async def test_a_changelog_that_is_too_small_is_enlarged(topic_settings: Settings) -> None:
    admin, name = TopicAdmin(topic_settings), f"{topic_settings.topic_prefix}-changelog"
    await admin.prepare_changelogs({name: 2})
    await admin.prepare_changelogs({name: 4})
    assert (await admin.describe([name]))[name].partitions == 4


async def test_a_changelog_that_is_too_large_is_an_error_that_says_what_to_do(
    topic_settings: Settings,
) -> None:
    admin, name = TopicAdmin(topic_settings), f"{topic_settings.topic_prefix}-changelog"
    await admin.prepare_changelogs({name: 4})
    with pytest.raises(TopicError, match=f"{name} has 4 partitions, its source has 2.*delete"):
        await admin.prepare_changelogs({name: 2})


async def test_more_replicas_than_brokers_is_an_error_that_names_the_setting(
    topic_settings: Settings,
) -> None:
    settings = topic_settings.model_copy(update={"replication": 3})
    with pytest.raises(TopicError, match="NOVA_REPLICATION=3"):
        await TopicAdmin(settings).prepare_sources()


async def test_no_broker_is_an_error_that_names_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.5)
    admin = TopicAdmin(load_settings(kafka_brokers="127.0.0.1:9"))
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:9"):
        await admin.partitions()
    with pytest.raises(KafkaUnavailableError, match="nova-stream dev"):
        await admin.describe(["nova.tasks"])
