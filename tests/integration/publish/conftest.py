"""Settings with topics of a test's own in a real Kafka."""

from __future__ import annotations

import pytest

from nova_stream.settings import Settings, load_settings

from .topics import make_topics


@pytest.fixture
def kafka_settings(nova_kafka: str, nova_topic_prefix: str) -> Settings:
    """Settings whose topics do not exist yet."""
    return load_settings(
        kafka_brokers=nova_kafka,
        topic_prefix=nova_topic_prefix,
        consumer_group=f"{nova_topic_prefix}-group",
    )


@pytest.fixture
def topic_settings(kafka_settings: Settings) -> Settings:
    """Settings with the six topics, three partitions each."""
    make_topics(kafka_settings)
    return kafka_settings


@pytest.fixture
def cli_environment(kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment says the same as the settings, for commands."""
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", ",".join(kafka_settings.kafka_brokers))
    monkeypatch.setenv("NOVA_TOPIC_PREFIX", kafka_settings.topic_prefix)
    monkeypatch.setenv("NOVA_CONSUMER_GROUP", kafka_settings.consumer_group)
    return kafka_settings
