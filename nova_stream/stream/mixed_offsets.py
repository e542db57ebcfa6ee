"""Told at every start, and when it is noticed: offsets are mixed that do not compare."""

from __future__ import annotations

from nova_stream.stream.metrics import Metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)


def say_mixed(metrics: Metrics, topic: str) -> None:
    """Tell that a topic whose versions are offsets has entities in several partitions, or others
    than before.
    """
    metrics.mixed_offsets.labels(topic).set(1)
    _log.error(
        "offsets are mixed that do not compare",
        topic=topic,
        then="partitions were added, records have no key, writers have different partitioners, or "
        "the entity had another topic before: changes may be taken for old ones and have no "
        "effect; correct that, then make the topic again and publish all entities (op r)",
    )
