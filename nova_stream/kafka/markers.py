"""Whether what stands after a position in Kafka's log is records, or markers of transactions."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, TopicPartition

from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings


def only_markers(settings: Settings, places: Mapping[tuple[str, int], int], limit: float) -> bool:
    """Whether no record follows in any of the partitions, each looked at from its offset on.

    What an aborted transaction wrote is no record. False where it cannot be told within ``limit``
    seconds. Reads without a group: nothing is committed.
    """
    options = {
        **admin_options(settings),
        "group.id": f"{settings.consumer_group}-doctor",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
    deadline = time.monotonic() + limit
    left = set(places)
    consumer = Consumer(options)
    try:
        consumer.assign([TopicPartition(*key, offset) for key, offset in places.items()])
        while left:
            message = consumer.poll(max(0.0, deadline - time.monotonic()))
            error = None if message is None else message.error()
            if message is None or error is None or error.code() != KafkaError._PARTITION_EOF:
                return False
            left.discard((message.topic(), message.partition()))
    finally:
        consumer.close()
    return True
