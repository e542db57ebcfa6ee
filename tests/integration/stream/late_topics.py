"""A worker whose consumer knows none of its topics until partitions were assigned once.

So it is where Kafka goes away while a worker starts: aiokafka does not repeat the question that
failed. ``LATE_TOPICS`` names topics, or is empty for all.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from aiokafka.cluster import ClusterMetadata
from faust.assignor.partition_assignor import PartitionAssignor

from nova_stream.cli.main import main


def hold_back(late: frozenset[str]) -> None:
    """Leave these topics, or all, out of what aiokafka hears until Faust has assigned once."""
    assigned = threading.Event()
    update, assign = ClusterMetadata.update_metadata, PartitionAssignor.assign

    def update_without(self: ClusterMetadata, metadata: Any) -> Any:
        if not assigned.is_set():
            metadata.topics = [t for t in metadata.topics if late and t[1] not in late]
        return update(self, metadata)

    def assign_and_tell(self: PartitionAssignor, *known: Any) -> Any:
        found = assign(self, *known)
        assigned.set()
        return found

    ClusterMetadata.update_metadata = update_without
    PartitionAssignor.assign = assign_and_tell


if __name__ == "__main__":
    hold_back(frozenset(os.environ["LATE_TOPICS"].split()))
    main()
