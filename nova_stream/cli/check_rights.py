"""What ``nova-stream doctor`` says of rights that Kafka refuses."""

from __future__ import annotations

from collections.abc import Sequence

from nova_stream.kafka.model import LackingRight

ADVICE = (
    "grant that to the user that reads (NOVA_KAFKA_USERNAME, else the certificate's): the group "
    "is read by workers, the topics by workers, API and doctor"
)


def refused(lacking: Sequence[LackingRight]) -> str:
    """All that is refused, by right and resource as ACLs name them."""
    told = []
    for kind in ("Topic", "Group"):
        for hidden, right in ((True, "Describe and Read"), (False, "Read")):
            names = [each.name for each in lacking if (each.kind, each.hidden) == (kind, hidden)]
            if names:
                told.append(f"{right} on {kind} {', '.join(names)}")
    return f"Kafka's ACLs refuse this user {'; '.join(told)}"
