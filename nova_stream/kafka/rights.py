"""Which rights Kafka's ACLs refuse to this user, as the broker itself tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    BrokerResponseError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    for_code,
)

from nova_stream.kafka import queries
from nova_stream.kafka.model import LackingRight
from nova_stream.kafka.protocol import GroupsRequest, TopicsRequest

#: The bit of an operation is its number in Kafka's list of ACL operations.
_READ = 1 << 3
#: What a broker tells that does not know.
_UNKNOWN = -(2**31)


async def lacking_rights(
    client: AIOKafkaClient, topics: Collection[str], group: str
) -> list[LackingRight]:
    """What is missing to read ``topics`` as a member of ``group``. Of a group that has members
    nothing is said of reading: somebody may do it.
    """
    return [*await _of_topics(client, topics), *await _of_group(client, group)]


async def _of_topics(client: AIOKafkaClient, topics: Collection[str]) -> list[LackingRight]:
    request = TopicsRequest(list(topics), operations=True)
    metadata = await client.send(queries.any_node(client), request)
    return list(_topics_in(metadata.topics))


def _topics_in(found: Collection[tuple[object, ...]]) -> Iterator[LackingRight]:
    for code, name, *_, operations, _tags in found:
        if code == TopicAuthorizationFailedError.errno:
            yield LackingRight("Topic", str(name), hidden=True)
        elif not code and _refused(operations):
            yield LackingRight("Topic", str(name), hidden=False)


async def _of_group(client: AIOKafkaClient, group: str) -> list[LackingRight]:
    hidden = [LackingRight("Group", group, hidden=True)]
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return hidden
    response = await client.send(node, GroupsRequest([group]))
    code, _, _, _, _, members, operations = response.groups[0]
    if code == GroupAuthorizationFailedError.errno:
        return hidden
    if code:
        error: BrokerResponseError = for_code(code)()
        raise error
    refused = not members and _refused(operations)
    return [LackingRight("Group", group, hidden=False)] if refused else []


def _refused(operations: object) -> bool:
    return isinstance(operations, int) and operations != _UNKNOWN and not operations & _READ
