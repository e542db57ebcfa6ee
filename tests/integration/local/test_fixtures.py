"""The fixtures that users and this project's own tests stand on."""

from __future__ import annotations

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

pytestmark = pytest.mark.integration


def test_kafka_makes_topics(nova_kafka: str, nova_topic_prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": nova_kafka})
    admin.create_topics([NewTopic(f"{nova_topic_prefix}.tasks", 3, 1)])[
        f"{nova_topic_prefix}.tasks"
    ].result(30)

    found = admin.list_topics(timeout=10).topics

    assert len(found[f"{nova_topic_prefix}.tasks"].partitions) == 3


def test_kafka_makes_no_topic_by_itself(nova_kafka: str, nova_topic_prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": nova_kafka})

    admin.list_topics(f"{nova_topic_prefix}.never", timeout=10)

    assert f"{nova_topic_prefix}.never" not in admin.list_topics(timeout=10).topics


async def test_database_is_empty_and_new_enough(nova_database: str) -> None:
    connection = await asyncpg.connect(nova_database)
    try:
        assert int(await connection.fetchval("SHOW server_version_num")) >= 180000
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        tables = await connection.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        assert tables == []
        await connection.execute("CREATE TABLE seen ()")  # the next test must not find it
    finally:
        await connection.close()


async def test_database_is_not_the_one_before(nova_database: str) -> None:
    connection = await asyncpg.connect(nova_database)
    try:
        assert await connection.fetchval("SELECT to_regclass('seen')") is None
    finally:
        await connection.close()


def test_prefixes_differ(nova_topic_prefix: str, request: pytest.FixtureRequest) -> None:
    assert nova_topic_prefix.startswith("test-")
