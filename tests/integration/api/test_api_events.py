"""POST /api/v1/events: all or nothing, acknowledged or a problem."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from nova_stream.api.app import create_app
from nova_stream.api.budget.budget import EVENTS
from nova_stream.errors import KafkaUnavailableError, TopicError
from nova_stream.events.change import Entity
from nova_stream.publish.interface import Publisher
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings, load_settings
from nova_stream.testing.fake_publisher import FakeChangePublisher

from .conftest import connected

pytestmark = pytest.mark.integration

GOOD: dict[str, Any] = {
    "entity": "tasks",
    "after": {"id": "t1", "agent": "MARS", "status": "done"},
}


async def test_one_event(client: httpx.AsyncClient, publisher: FakeChangePublisher) -> None:
    response = await client.post("/api/v1/events", json=GOOD)
    assert response.status_code == 202
    assert response.json()["accepted"] == 1
    assert PositionToken.decode(response.json()["token"]).positions == {"nova.tasks": {0: 1}}
    assert publisher.documents(Entity.TASKS) == [GOOD["after"]]


async def test_a_list(client: httpx.AsyncClient, publisher: FakeChangePublisher) -> None:
    events = [GOOD, {"entity": "tasks", "op": "d", "seq": 7, "before": {"id": "t2"}}]
    response = await client.post("/api/v1/events", json=events)
    assert response.json()["accepted"] == 2
    assert [change.op for change in publisher.changes] == ["u", "d"]


async def test_an_empty_list(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/events", json=[])
    assert (response.status_code, response.json()["accepted"]) == (202, 0)
    after = response.json()["token"]
    assert (await client.get(f"/api/v1/overview?after={after}")).status_code == 200


async def test_of_a_list_with_bad_ones_nothing_is_sent(
    client: httpx.AsyncClient, publisher: FakeChangePublisher
) -> None:
    bad = {"entity": "tasks", "after": {"id": "t2", "status": "odd"}}
    response = await client.post("/api/v1/events", json=[GOOD, bad, GOOD, {"entity": "x"}])
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"] == "urn:nova-stream:bad-event"
    assert (problem["index"], problem["reason"]) == (1, "bad_status")
    assert [(e["index"], e["reason"]) for e in problem["errors"]] == [
        (1, "bad_status"),
        (3, "bad_entity"),
    ]
    assert publisher.changes == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b'{"entity": "tasks"} {"entity": "tasks"}', "bad_json"),
        (b"[" * 100_000, "too_deep"),
        (b"null", "wrong_shape"),
        (b"7", "wrong_shape"),
        (b"[[]]", "wrong_shape"),
        (b'{"entity": "tasks", "after": {"id": "\\u0000", "status": "done"}}', "unstorable_text"),
        (b'{"entity": "tasks", "after": {"id": "\\ud800"}}', "unstorable_text"),
        (b'{"entity": "tasks", "after": {"id": 1e99999}}', "unstorable_number"),
        (b'{"entity": "tasks", "after": {"status": "done"}}', "missing_id"),
    ],
)
async def test_bad_bodies(
    client: httpx.AsyncClient, publisher: FakeChangePublisher, body: bytes, reason: str
) -> None:
    response = await client.post("/api/v1/events", content=body)
    assert response.status_code == 422
    assert response.json()["reason"] == reason
    assert response.headers["content-type"] == "application/problem+json"
    assert publisher.changes == []


async def test_a_body_that_is_too_large(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/events", content=b" " * (EVENTS.body + 1))
    assert response.status_code == 413
    assert "several requests" in response.json()["detail"]


async def test_not_acknowledged(client: httpx.AsyncClient, publisher: FakeChangePublisher) -> None:
    publisher.failure = "Kafka has not acknowledged within 30 s"
    response = await client.post("/api/v1/events", json=GOOD)
    assert response.status_code == 503
    assert response.json()["type"] == "urn:nova-stream:not-acknowledged"
    assert response.headers["retry-after"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(KafkaUnavailableError("away"), "kafka-unavailable"), (TopicError("gone"), "topic")],
)
async def test_without_kafka_reads_go_on(
    nova_settings: Settings, error: Exception, kind: str
) -> None:
    async def start() -> Publisher:
        raise error

    app = create_app(nova_settings, publisher=start)
    async with app.router.lifespan_context(app), connected(app) as client:
        response = await client.post("/api/v1/events", json=GOOD)
        assert response.status_code == 503
        assert response.json()["type"] == f"urn:nova-stream:{kind}"
        assert (await client.get("/api/v1/overview")).status_code == 200


async def test_into_kafka(nova_settings: Settings, nova_kafka: str) -> None:
    settings = load_settings(
        database_url=nova_settings.database_url,
        topic_prefix=nova_settings.topic_prefix,
        kafka_brokers=nova_kafka,
    )
    topic = settings.topic(Entity.TASKS)
    admin = AdminClient({"bootstrap.servers": nova_kafka})
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as client:
        missing = await client.post("/api/v1/events", json=GOOD)
        assert (missing.status_code, missing.json()["type"]) == (503, "urn:nova-stream:topic")

        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
        response = await client.post("/api/v1/events", json=[GOOD, GOOD])
        assert response.status_code == 202
        token = PositionToken.decode(response.json()["token"])
        assert token.positions == {topic: {0: 2}}
        ready = await client.get("/health/ready")
        assert ready.json()["checks"]["kafka"] == "ok"
    record = json.loads(_first(nova_kafka, topic))
    assert record["after"] == GOOD["after"]
    assert record["source"]["name"] == "http-api"


def _first(brokers: str, topic: str) -> bytes:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "unused"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        assert message is not None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()
