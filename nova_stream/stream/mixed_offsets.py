"""Told at every start, and when it is noticed: offsets of several partitions are mixed."""

from __future__ import annotations

from nova_stream.stream.metrics import Metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)


def say_mixed(metrics: Metrics, topic: str) -> None:
    """Tell that a topic whose versions are offsets has entities in several partitions."""
    metrics.mixed_offsets.labels(topic).set(1)
    _log.error(
        "offsets of several partitions are mixed",
        topic=topic,
        then="partitions were added, records have no key, or writers have different partitioners: "
        "changes may be taken for old ones and have no effect; correct that, then make the topic "
        "again and publish all entities (op r)",
    )
