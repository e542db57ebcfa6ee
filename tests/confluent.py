"""How tests reach Kafka by librdkafka: as others do who publish and read."""

from __future__ import annotations

from typing import Any

from nova_stream.settings import Settings


def admin_options(settings: Settings) -> dict[str, Any]:
    """Options of confluent_kafka's clients; its own log is off."""
    return {
        "bootstrap.servers": ",".join(settings.kafka_brokers),
        "log_level": 0,
        # Half of it is what a new client waits before its first connection.
        "reconnect.backoff.ms": 20,
    }
