"""What ``nova-stream doctor`` asks of Kafka alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nova_stream.cli.finding import Finding, problem
from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.faults import NOBODY
from nova_stream.kafka.model import KafkaState, LackingRight
from nova_stream.kafka.reach import state_of_brokers
from nova_stream.settings import Settings

#: What brokers do that gave no answer.
_KAFKA_DOES: dict[KafkaState, str] = {
    "silent": "no Kafka answers there",
    "refusing": "connections are refused",
    "unresolved": "the host's name is not known",
}


async def away(error: KafkaUnavailableError, settings: Settings) -> Finding:
    """Why no broker can be used."""
    message, _, advice = str(error).partition(". Check ")
    if NOBODY in message:
        does = _KAFKA_DOES[await state_of_brokers(settings)]
        message = message.replace(NOBODY, does)
    return problem("kafka", message, f"check {advice}")


async def lacking_rights(admin: KafkaAdmin, settings: Settings) -> list[LackingRight]:
    """What ACLs refuse; nothing where Kafka does not tell: what keeps it from that, the check of
    workers tells.
    """
    try:
        return await admin.lacking_rights(list(settings.topics()), settings.consumer_group)
    except KafkaUnavailableError:
        return []


def rights(lacking: Sequence[LackingRight]) -> Finding:
    """What Kafka's ACLs refuse, by right and resource as they name them: all of it is told here,
    and nothing of it again.
    """
    told = []
    for kind in ("Topic", "Group"):
        for hidden, right in ((True, "Describe and Read"), (False, "Read")):
            names = [each.name for each in lacking if (each.kind, each.hidden) == (kind, hidden)]
            if names:
                told.append(f"{right} on {kind} {', '.join(names)}")
    return problem(
        "rights",
        f"Kafka's ACLs refuse this user {'; '.join(told)}",
        "grant that to the user that reads (NOVA_KAFKA_USERNAME, else the certificate's): the "
        "group is read by workers, the topics by workers, API and doctor",
    )


def topics(
    partitions: Mapping[str, int], settings: Settings, hidden: Collection[str] = ()
) -> Finding:
    """Whether the six topics are there; of those that are ``hidden`` from us nothing is known."""
    known = [topic for topic in settings.topics() if topic not in hidden]
    missing = [topic for topic in known if topic not in partitions]
    if missing:
        return problem(
            "topics",
            f"{', '.join(missing)}: not there",
            "start a worker, which makes them: nova-stream worker; or check NOVA_TOPIC_PREFIX",
        )
    shown = ", ".join(f"{topic} {partitions[topic]}" for topic in known)
    message = f"{shown} partitions" if known else "none that this user may see"
    return Finding("topics", ok=True, message=message)


async def workers(admin: KafkaAdmin, settings: Settings) -> tuple[Finding, bool]:
    """Whether the consumer group has members; True beside it where it has none."""
    group = settings.consumer_group
    try:
        members = (await admin.group(group)).members
    except KafkaUnavailableError as error:
        return problem("workers", f"group {group} cannot be described: {error}"), False
    if not members:
        advice = "start one: nova-stream worker"
        return problem("workers", f"none runs (group {group})", advice), True
    return Finding("workers", ok=True, message=f"{members} in group {group}"), False
