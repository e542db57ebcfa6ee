"""Framed records of a real Schema Registry, through a real worker, to rows."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from nova_stream.cli.check_registry import check_registry
from nova_stream.events.change import Entity
from nova_stream.local.ports import free_port
from nova_stream.republish import republish
from nova_stream.settings import load_settings
from nova_stream.storage.dead_letters.store import open_store
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until
from tests.sources.registry import Registry
from tests.unit.events.helpers import NOON, NOON_MS
from tests.unit.events.test_framing import ENVELOPE, JSON_ROW, KEY, frame

pytestmark = [pytest.mark.integration, pytest.mark.long]

EXECUTIONS, TASKS = Entity.EXECUTIONS, Entity.TASKS
JSON_ENVELOPE = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "app.public.executions.Envelope",
    "type": "object",
    "properties": {
        "after": {"oneOf": [{"type": "null"}, JSON_ROW]},
        "op": {"type": "string"},
        "source": {"type": "object"},
    },
}


def document(id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "agent": "ATLAS",
        "duration": 5_250_000,
        "timestamp": NOON_MS * 1000,
        "cost": Decimal("2.56"),
        "share": 0.1,
    }


def event(op: str, after: Any, lsn: int) -> dict[str, Any]:
    source = {"connector": "postgresql", "ts_ms": NOON_MS, "lsn": lsn}
    return {"op": op, "before": None, "after": after, "source": source, "ts_ms": NOON_MS}


class Writer:
    """Values and keys as Confluent's own serializers frame them."""

    def __init__(self, client: SchemaRegistryClient, topic: str) -> None:
        self._topic = topic
        self._avro = AvroSerializer(client, json.dumps(ENVELOPE))
        self._key = AvroSerializer(client, json.dumps(KEY))
        self._json = JSONSerializer(json.dumps(JSON_ENVELOPE), client)

    def avro(self, value: dict[str, Any]) -> bytes:
        return self._of(self._avro, value, MessageField.VALUE)

    def key(self, id_: str) -> bytes:
        return self._of(self._key, {"id": id_}, MessageField.KEY)

    def json(self, value: dict[str, Any]) -> bytes:
        context = SerializationContext(f"{self._topic}-json", MessageField.VALUE)
        found: bytes = self._json(value, context)
        return found

    def _of(self, serializer: Any, value: dict[str, Any], field: str) -> bytes:
        found: bytes = serializer(value, SerializationContext(self._topic, field))
        return found


@contextmanager
def writing(registry: Registry, stage: Stage) -> Iterator[Writer]:
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield Writer(client, stage.settings.topic(EXECUTIONS))


async def test_avro_and_json_schema_records_become_rows_by_their_declared_types(
    stage: Stage, schema_registry: Registry
) -> None:
    stage.start_worker(schema_registry_url=schema_registry.url)
    row = {"id": "j", "duration": 5_250_000, "cost": None}
    with writing(schema_registry, stage) as writer:
        created = writer.avro(event("c", document("a"), 10))
        deleted = writer.avro(event("d", None, 30))
        key, other, of_json = writer.key("a"), writer.key("j"), writer.json(event("c", row, 20))
    stage.publish(EXECUTIONS, created, key=key)
    stage.publish(EXECUTIONS, of_json, key=other)

    found = await stage.row("executions", "a")
    assert (found["duration"], found["timestamp"]) == (Decimal(5250), NOON)
    assert (found["version"], json.loads(found["doc"])["agent"]) == (10, "ATLAS")
    assert (await stage.row("executions", "j"))["duration"] == Decimal(5250)

    stage.publish(EXECUTIONS, deleted, key=key)
    await stage.caught_up()
    assert (await stage.row("executions", "a"))["deleted_at"] is not None


async def test_an_unknown_schema_is_a_dead_letter_and_the_stream_goes_on(
    stage: Stage, schema_registry: Registry
) -> None:
    stage.start_worker(schema_registry_url=schema_registry.url)
    unknown, zero = stage.publish(EXECUTIONS, frame(987_654, b"x"), frame(0, b"x"))
    with writing(schema_registry, stage) as writer:
        stage.publish(EXECUTIONS, writer.avro(event("c", document("b"), 10)))

    await stage.row("executions", "b")
    letter = await stage.dead_letter(EXECUTIONS, unknown)
    assert letter["reason"] == "unknown_schema"
    assert "no schema 987654" in letter["message"]
    assert "8 bytes" in (await stage.dead_letter(EXECUTIONS, zero))["message"]


async def test_partitions_wait_while_the_registry_is_away_and_nothing_is_lost(
    stage: Stage, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.start()
    with writing(registry, stage) as writer:
        records = [writer.avro(event("c", document(f"w-{n}"), n)) for n in range(1, 6)]
    registry.stop()
    try:
        stage.start_worker(schema_registry_url=registry.url)
        stage.publish(EXECUTIONS, *records)
        stage.publish(TASKS, value_of({"id": "t", "status": "done"}, seq=1))
        await stage.worker.says("the Schema Registry is away")
        await stage.row("tasks", "t")  # plain JSON is not held up
        assert (await stage.position(EXECUTIONS))["next_offset"] == 0

        registry.start()
        for n in range(1, 6):
            await stage.row("executions", f"w-{n}", version=n)
        await stage.worker.says("the Schema Registry answers again")
        assert len(stage.worker.lines("the Schema Registry is away")) == 1
        assert await stage.fetch("SELECT 1 FROM dead_letters") == []
    finally:
        registry.stop()


async def test_a_letter_is_published_again_with_the_place_that_its_lsn_had(
    stage: Stage, schema_registry: Registry
) -> None:
    stage.start_worker(schema_registry_url=schema_registry.url)
    with writing(schema_registry, stage) as writer:
        (offset,) = stage.publish(
            EXECUTIONS, writer.avro(event("c", document("n") | {"duration": -1}, 10))
        )
        stage.publish(EXECUTIONS, writer.avro(event("c", document("o"), 11)))
    await stage.row("executions", "o")
    letter = await stage.dead_letter(EXECUTIONS, offset)
    assert letter["reason"] == "bad_duration"

    settings = stage.settings.model_copy(update={"schema_registry_url": schema_registry.url})
    async with open_store(settings) as store:
        await republish(settings, store, [letter["id"]])
    await stage.caught_up()
    again = await stage.dead_letter(EXECUTIONS, offset + 2)
    (name, value), *_ = json.loads(again["headers"])
    assert (name, base64.b64decode(value)) == ("nova_version", b"lsn:0:0:%d:0" % offset)


async def test_the_doctor_asks_the_registry(
    schema_registry: Registry, refusing_registry: str
) -> None:
    assert await check_registry(load_settings()) is None
    well = await check_registry(load_settings(schema_registry_url=schema_registry.url))
    assert well is not None
    assert well.ok, well
    for url in (refusing_registry, f"http://127.0.0.1:{free_port()}", f"{schema_registry.url}x"):
        found = await check_registry(load_settings(schema_registry_url=url))
        assert found is not None
        assert not found.ok
        assert url in found.message


class _Refusing(BaseHTTPRequestHandler):
    """A registry that knows nobody."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = b'{"error_code":401,"message":"Unauthorized"}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def refusing_registry() -> Iterator[str]:
    _Refusing.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_refused_credentials_are_told_once_and_make_no_dead_letter(
    stage: Stage, refusing_registry: str
) -> None:
    stage.start_worker(
        schema_registry_url=refusing_registry,
        schema_registry_username="nova",
        schema_registry_password="wrong-secret",
    )
    stage.publish(EXECUTIONS, frame(7, b"x"))
    line = await stage.worker.says("the Schema Registry refuses")
    assert "NOVA_SCHEMA_REGISTRY_PASSWORD" in line["error"]

    async def asked_again() -> bool:
        return _Refusing.asked >= 3

    await until("the worker asks again", asked_again)
    assert len(stage.worker.lines("the Schema Registry refuses")) == 1
    assert "wrong-secret" not in stage.worker.log
    assert await stage.fetch("SELECT 1 FROM dead_letters") == []
    assert (await stage.position(EXECUTIONS))["next_offset"] == 0
