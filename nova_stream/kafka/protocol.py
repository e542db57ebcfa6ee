"""Requests that aiokafka has not: topics with their ids, what one may do, and who holds a
transaction open.

Field by field as Kafka's public message definitions have them. All but that for groups are of a
flexible version, so that every structure ends with tagged fields, of which we send none.
"""

# ruff: noqa: N801 - named as aiokafka names its own

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_NO_TAGS: dict[int, bytes] = {}


class _Uuid(AbstractType):  # type: ignore[misc]
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


#: The id by which a request asks for a topic that it names.
_NO_ID = bytes(16)


class TopicsResponse_v10(Response):  # type: ignore[misc]
    """The brokers, and topics with ids and partitions."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("authorized_operations", Int32),
        _TAGS,
    )


class TopicsRequest_v10(RequestStruct):  # type: ignore[misc]
    """Metadata, of the first version that tells topics' ids (Kafka 2.8)."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TopicsResponse_v10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class TopicsRequest(Request[TopicsRequest_v10]):  # type: ignore[misc]
    """Ask for topics by name, or for all, and for the ``operations`` that this user may do with
    them; asking never makes one.
    """

    API_KEY = 3

    def __init__(self, topics: Sequence[str] | None, *, operations: bool = False) -> None:
        self._topics = topics
        self._operations = operations

    def build(self, request_struct_class: type[TopicsRequest_v10]) -> Any:
        topics = self._topics
        wanted = None if topics is None else [(_NO_ID, topic, _NO_TAGS) for topic in topics]
        # Neither make topics that are missing, nor tell what this user may do with the cluster.
        return request_struct_class(wanted, *[False] * 2, self._operations, _NO_TAGS)


class GroupsRequest_v3(RequestStruct):  # type: ignore[misc]
    """DescribeGroups, of the first version that tells what one may do (Kafka 2.3); aiokafka's own
    reads the answer of the version before.
    """

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class GroupsRequest(Request[GroupsRequest_v3]):  # type: ignore[misc]
    """Ask for groups, and for the operations that this user may do with them."""

    API_KEY = 15

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[GroupsRequest_v3]) -> Any:
        return request_struct_class(list(self._groups), *[True])


class ProducersResponse_v0(Response):  # type: ignore[misc]
    """The producers of partitions; one without a transaction has -1 as its start."""

    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", _TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("transaction_start", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class ProducersRequest_v0(RequestStruct):  # type: ignore[misc]
    """DescribeProducers (Kafka 2.8)."""

    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = ProducersResponse_v0
    SCHEMA = Schema(
        ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        _TAGS,
    )


class ProducersRequest(Request[ProducersRequest_v0]):  # type: ignore[misc]
    """Ask a broker for the producers of partitions that it leads."""

    API_KEY = 61

    def __init__(self, topics: Sequence[tuple[str, list[int]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[ProducersRequest_v0]) -> Any:
        return request_struct_class([(*topic, _NO_TAGS) for topic in self._topics], _NO_TAGS)


class TransactionsResponse_v0(Response):  # type: ignore[misc]
    """Transactions that a broker coordinates."""

    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_states", CompactArray(_TEXT)),
        (
            "transactions",
            CompactArray(
                ("transactional_id", _TEXT), ("producer_id", Int64), ("state", _TEXT), _TAGS
            ),
        ),
        _TAGS,
    )


class TransactionsRequest_v0(RequestStruct):  # type: ignore[misc]
    """ListTransactions (Kafka 3.0)."""

    API_KEY = 66
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TransactionsResponse_v0
    SCHEMA = Schema(("states", CompactArray(_TEXT)), ("producer_ids", CompactArray(Int64)), _TAGS)


class TransactionsRequest(Request[TransactionsRequest_v0]):  # type: ignore[misc]
    """Ask a broker for the transactions of producers, by their ids."""

    API_KEY = 66

    def __init__(self, producer_ids: Sequence[int]) -> None:
        self._producer_ids = producer_ids

    def build(self, request_struct_class: type[TransactionsRequest_v0]) -> Any:
        return request_struct_class([], list(self._producer_ids), _NO_TAGS)
