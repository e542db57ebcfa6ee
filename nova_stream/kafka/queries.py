"""What Kafka is asked, each question through a client of aiokafka that is connected.

All raise what aiokafka raises; ``KafkaAdmin`` makes one error of it.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import BrokerResponseError, KafkaError, StaleMetadata, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.offset import OffsetRequest

from nova_stream.kafka.model import FoundTopic, Group, Key, Log, OpenTransaction
from nova_stream.kafka.protocol import ProducersRequest, TopicsRequest, TransactionsRequest

_UNKNOWN_TOPIC, _NO_LEADER, _UNKNOWN_MEMBER = 3, 5, 25
_EARLIEST, _LATEST = -2, -1
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1


async def describe(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, FoundTopic]:
    """Those of ``topics`` that exist; any client of aiokafka will do, also a producer's."""
    return _found(await metadata_of(client, sorted(topics))) if topics else {}


async def topics_of(client: AIOKafkaClient) -> dict[str, FoundTopic]:
    """All topics of the cluster."""
    return _found(await metadata_of(client, None))


def _found(metadata: Any) -> dict[str, FoundTopic]:
    return {
        name: FoundTopic(_id_text(id_), len(partitions))
        for code, name, id_, _, partitions, *_ in metadata.topics
        if not code
    }


def _id_text(id_: bytes) -> str:
    # As librdkafka writes it, which is what databases of earlier versions hold; Kafka's own
    # tools have "-" and "_" for "+" and "/".
    return b64encode(id_).decode().rstrip("=")


async def metadata_of(client: AIOKafkaClient, topics: list[str] | None) -> Any:
    """The brokers, and topics with their partitions and leaders; None asks for all topics."""
    metadata = await client.send(any_node(client), TopicsRequest(topics))
    for code, *_ in metadata.topics if topics else ():
        if code not in (0, _UNKNOWN_TOPIC):
            raise for_code(code)
    return metadata


def any_node(client: AIOKafkaClient) -> Any:
    """A broker of those that are known."""
    node = client.get_random_node()
    if node is None:
        raise StaleMetadata("no broker is known")
    return node


async def logs_of(client: AIOKafkaClient, topics: Collection[str]) -> dict[Key, Log]:
    """The logs of all partitions of those of ``topics`` that exist."""
    if not topics:
        return {}
    metadata = await metadata_of(client, sorted(topics))
    leaders, ids = _leaders(metadata), {name: found.id for name, found in _found(metadata).items()}
    start, stable, end = await asyncio.gather(
        _offsets(client, leaders, _EARLIEST, _READ_UNCOMMITTED),
        _offsets(client, leaders, _LATEST, _READ_COMMITTED),
        _offsets(client, leaders, _LATEST, _READ_UNCOMMITTED),
    )
    # Asked side by side, so that one may have moved past another.
    found = {}
    for key in leaders:
        first, readable = start[key], max(start[key], stable[key])
        found[key] = Log(ids[key[0]], first, readable, max(readable, end[key]))
    return found


def _leaders(metadata: Any) -> dict[Key, int]:
    return {
        (name, partition): leader
        for code, name, _, _, partitions, *_ in metadata.topics
        if not code
        for _, partition, leader, *_ in partitions
    }


async def _offsets(
    client: AIOKafkaClient, leaders: Mapping[Key, int], which: int, isolation: int
) -> dict[Key, int]:
    async def ask(node: int, topics: Mapping[str, list[int]]) -> Any:
        wanted = [(topic, [(p, which) for p in partitions]) for topic, partitions in topics.items()]
        return await client.send(node, OffsetRequest(-1, isolation, wanted))

    asked = [ask(node, topics) for node, topics in _by_node(leaders).items()]
    found = {}
    for response in await asyncio.gather(*asked):
        for topic, partitions in response.topics:
            for partition, code, _, offset in partitions:
                if code:
                    raise for_code(code)
                found[topic, partition] = offset
    return found


def _by_node(leaders: Mapping[Key, int]) -> dict[int, dict[str, list[int]]]:
    nodes: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for (topic, partition), node in leaders.items():
        if node < 0:
            raise for_code(_NO_LEADER)
        nodes[node][topic].append(partition)
    return nodes


async def open_transactions_of(
    client: AIOKafkaClient, places: Collection[Key]
) -> dict[Key, list[OpenTransaction]]:
    """The open transactions of partitions; absent where it cannot be told."""
    metadata = await metadata_of(client, sorted({topic for topic, _ in places}))
    leaders = {key: node for key, node in _leaders(metadata).items() if key in places}
    found: dict[Key, list[OpenTransaction]] = {}
    try:
        for node, topics in _by_node(leaders).items():
            response = await client.send(node, ProducersRequest(list(topics.items())))
            for topic, partitions, _ in response.topics:
                for partition, code, _, producers, _ in partitions:
                    if not code and (open_ := _open(producers)):
                        found[topic, partition] = open_
        ids = sorted({t.producer_id for open_ in found.values() for t in open_})
        names = await _names(client, [node for node, *_ in metadata.brokers], ids)
    except (NotImplementedError, KafkaError) as error:
        if isinstance(error, BrokerResponseError) and error.retriable:
            raise
        names = {}
    return {
        key: [t._replace(name=names.get(t.producer_id)) for t in open_]
        for key, open_ in found.items()
    }


def _open(producers: Any) -> list[OpenTransaction]:
    return sorted(
        (
            OpenTransaction(id_, None, start, last_write)
            for id_, _, _, last_write, _, start, _ in producers
            if start >= 0
        ),
        key=lambda transaction: transaction.start,
    )


async def _names(client: AIOKafkaClient, nodes: list[int], producers: list[int]) -> dict[int, str]:
    """Transactional ids of producers, by their number; each broker knows some."""
    if not producers:
        return {}
    found: dict[int, str] = {}
    for node in nodes:
        response = await client.send(node, TransactionsRequest(producers))
        found |= {producer: name for name, producer, *_ in response.transactions}
    return found


async def group_of(client: AIOKafkaClient, group: str) -> Group:
    """A consumer group, asked of its coordinator."""
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    response = await client.send(node, DescribeGroupsRequest([group]))
    code, _, state, _, _, members, *_ = response.groups[0]
    if code:
        raise for_code(code)
    return Group(state, len(members), {id_: client for id_, client, *_ in members})


async def remove_member(client: AIOKafkaClient, group: str, member: str) -> None:
    """Let a member leave its group; one that is gone already is none to be told of."""
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    response = await client.send(node, LeaveGroupRequest(group, member))
    if response.error_code not in (0, _UNKNOWN_MEMBER):
        raise for_code(response.error_code)
