"""Dead letters over HTTP: found, shown with their bytes, published again, set aside."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.events.change import Entity
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters import insert as dead_letters
from nova_stream.storage.dead_letters.insert import dead_letter
from tests.integration.publish.topics import make_topics, read_all

from .conftest import connected

pytestmark = pytest.mark.integration

PATH = "/api/v1/dead-letters"


class Record(NamedTuple):
    """A record that could not be applied."""

    offset: int
    value: bytes | None
    key: bytes | None = b"t-1"
    headers: Any = ()
    timestamp: int = 1771588800000


async def put(
    settings: Settings,
    records: Sequence[Record],
    entity: Entity = Entity.TASKS,
    reason: str = "bad_json",
) -> None:
    topic = settings.topic(entity)
    letters = [dead_letter(topic, 1, 0, record, reason, "no JSON") for record in records]
    connection = await connect(settings, "test")
    try:
        await dead_letters.insert(connection, letters)
    finally:
        await connection.close()


async def listed(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_a_letter_in_the_list_and_whole(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await put(nova_settings, [Record(7, b"\xff{", headers=[("ce_id", b"7"), ("odd", b"\xff")])])
    (row,) = await listed(client)
    assert row["recordedAt"].endswith("Z")
    assert (
        row.items()
        >= {
            "topic": nova_settings.topic(Entity.TASKS),
            "partition": 1,
            "offset": 7,
            "generation": 0,
            "key": "t-1",
            "reason": "bad_json",
            "detail": "no JSON",
            "size": 2,
            "timestamp": "2026-02-20T12:00:00.000Z",
            "state": "open",
            "attempts": 1,
        }.items()
    )
    whole = (await client.get(f"{PATH}/{row['id']}")).json()
    assert whole == {
        **row,
        "keyBase64": "dC0x",
        "valueText": None,
        "valueBase64": base64.b64encode(b"\xff{").decode(),
        "headers": [
            {"name": "ce_id", "value": "7", "valueBase64": "Nw=="},
            {"name": "odd", "value": None, "valueBase64": "/w=="},
        ],
    }


async def test_records_without_text(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    long = b"k" * 2000
    await put(
        nova_settings, [Record(1, None, None), Record(2, b"{", b"\xff"), Record(3, b"{", long)]
    )
    rows = await listed(client)
    assert [(row["size"], row["key"]) for row in rows] == [(1, None), (1, None), (None, None)]
    whole = [(await client.get(f"{PATH}/{row['id']}")).json() for row in rows]
    assert [letter["key"] for letter in whole] == [long.decode(), None, None]
    assert [letter["keyBase64"] for letter in whole[1:]] == ["/w==", None]
    assert [letter["valueText"] for letter in whole] == ["{", "{", None]


async def test_pages_and_filters(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await put(nova_settings, [Record(n, b"{") for n in range(5)])
    await put(nova_settings, [Record(n, b"{") for n in range(2)], Entity.USERS, "bad_status")
    first = (await client.get(PATH, params={"limit": 4})).json()
    await put(nova_settings, [Record(9, b"{")])
    rest = await listed(client, cursor=first["nextCursor"])
    assert [row["offset"] for row in first["items"] + rest] == [1, 0, 4, 3, 2, 1, 0]

    users = nova_settings.topic(Entity.USERS)
    assert [row["offset"] for row in await listed(client, topic=users)] == [1, 0]
    assert len(await listed(client, reason="bad_status")) == 2
    assert await listed(client, state="retried") == []
    assert len(await listed(client, state="open", topic=users, reason="bad_status")) == 2
    for wrong in ("topic=%00", "state=odd", "cursor=x", "limit=0"):
        assert (await client.get(f"{PATH}?{wrong}")).status_code == 422


async def test_discard(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await put(nova_settings, [Record(1, b"{")])
    (row,) = await listed(client)
    found = await client.post(f"{PATH}/{row['id']}/discard")
    assert (found.status_code, found.json()["state"]) == (200, "discarded")
    assert found.json()["valueText"] == "{"
    assert [r["id"] for r in await listed(client, state="discarded")] == [row["id"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "1", 404),
        ("POST", "1/retry", 404),
        ("POST", "1/discard", 404),
        ("GET", "0", 422),
        ("GET", "x", 422),
        ("GET", str(2**63), 422),
    ],
)
async def test_letters_that_are_not_there(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, f"{PATH}/{path}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.fixture
async def settings(nova_settings: Settings, nova_kafka: str) -> Settings:
    found = load_settings(
        database_url=nova_settings.database_url,
        topic_prefix=nova_settings.topic_prefix,
        kafka_brokers=nova_kafka,
    )
    await asyncio.to_thread(make_topics, found)
    return found


@pytest.fixture
async def with_kafka(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


async def test_a_retried_letter_is_in_kafka_again_as_it_was(
    with_kafka: httpx.AsyncClient, settings: Settings
) -> None:
    value = b'{"op": "u", "after": {"id": "t-1"}, "source": {"seq": 7}}'
    await put(settings, [Record(5, value, headers=[("ce_id", b"7")])])
    (row,) = await listed(with_kafka)
    response = await with_kafka.post(f"{PATH}/{row['id']}/retry")
    assert response.status_code == 200, response.text
    assert (response.json()["state"], response.json()["attempts"]) == ("retried", 2)
    (record,) = await read_all(settings, Entity.TASKS, decoded=False)
    assert (record.partition, record.key, record.value) == (1, b"t-1", value)
    assert record.headers == {"ce_id": b"7"}


async def test_a_retry_without_kafka_changes_nothing(nova_settings: Settings) -> None:
    settings = nova_settings.model_copy(update={"kafka_brokers": ("127.0.0.1:1",)})
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as without:
        await put(nova_settings, [Record(1, b"{")])
        (row,) = await listed(without)
        response = await without.post(f"{PATH}/{row['id']}/retry")
        assert response.status_code == 503
        assert response.json()["type"] == "urn:nova-stream:kafka-unavailable"
        assert [r["state"] for r in await listed(without)] == ["open"]
