"""``nova-stream doctor``: says what is wrong, and what to do about it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pydantic import SecretStr

from nova_stream.cli.checks import examine
from nova_stream.cli.finding import Finding
from nova_stream.cli.main import run
from nova_stream.events.change import Entity
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.model import Group
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.ports import free_port
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.apply import positions
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters import insert as dead_letters
from nova_stream.storage.dead_letters.insert import dead_letter
from nova_stream.storage.migrate import migrate

from .topics import PARTITIONS, make_topics

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(kafka_settings: Settings, nova_database: str) -> Settings:
    return kafka_settings.model_copy(update={"database_url": SecretStr(nova_database)})


async def findings(settings: Settings, after: timedelta = timedelta(0)) -> dict[str, Finding]:
    def clock() -> datetime:
        return datetime.now(UTC) + after

    return {finding.check: finding async for finding in examine(settings, clock)}


async def execute(settings: Settings, statement: str, *arguments: Any) -> None:
    connection = await connect(settings, "test")
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def test_a_new_database_and_no_topics(settings: Settings) -> None:
    found = await findings(settings)

    assert {check for check, finding in found.items() if finding.ok} == {"kafka", "postgres"}
    assert "not there" in found["topics"].message
    assert "nova-stream worker" in found["topics"].advice
    assert "nova-stream worker" in found["workers"].advice
    assert "nova-stream migrate" in found["schema"].message
    assert found["postgres"].message.startswith("18.")


async def test_lag_that_shrinks_and_lag_that_does_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topics(settings)
    await migrate(settings)
    found = await findings(settings)
    assert found["lag"] == Finding("lag", ok=True, message="0: everything is applied")
    async with ChangePublisher(settings) as publisher:
        for number in range(3):
            await publisher.user({"id": f"u-{number}"})

    never = (await findings(settings))["lag"]
    assert not never.ok
    assert never.message == (
        f"3 records wait, and nothing has ever been applied: {settings.topic(Entity.USERS)} 3"
    )
    connection = await connect(settings, "test")
    try:
        await positions.ensure(connection, [(t, p) for t in settings.topics() for p in range(3)])
    finally:
        await connection.close()
    nobody = (await findings(settings))["lag"]
    assert not nobody.ok
    assert nobody.message.startswith("3 records wait, and nothing has been applied since 20")

    async def one(*_: Any) -> Group:
        return Group("Stable", 1, {})

    monkeypatch.setattr(KafkaAdmin, "group", one)
    moving = (await findings(settings))["lag"]
    assert moving.ok
    assert moving.message.startswith("3 records wait and are being applied: ")
    standing = (await findings(settings, after=timedelta(minutes=5)))["lag"]
    assert not standing.ok
    assert "nothing has been applied since 20" in standing.message
    assert "nova-stream worker" in standing.advice


async def test_markers_of_transactions_are_no_lag(settings: Settings) -> None:
    make_topics(settings)
    await migrate(settings)
    topic = settings.topic(Entity.USERS)
    options = {"bootstrap.servers": ",".join(settings.kafka_brokers), "transactional.id": topic}
    producer = Producer(options)
    producer.init_transactions(30)
    for commit in (True, False):
        producer.begin_transaction()
        producer.produce(topic, b"{}", partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    connection = await connect(settings, "test")
    try:
        await positions.ensure(connection, [(topic, 0)])
    finally:
        await connection.close()
    minutes = timedelta(minutes=5)

    lag = (await findings(settings, after=minutes))["lag"]
    assert not lag.ok
    assert lag.message.startswith("1 record waits, and"), "of four offsets"

    await execute(settings, "UPDATE stream_positions SET next_offset = 1")
    lag = (await findings(settings, after=minutes))["lag"]
    assert lag == Finding("lag", ok=True, message="0: everything is applied")


async def test_a_position_behind_the_end(settings: Settings) -> None:
    make_topics(settings)
    await migrate(settings)
    connection = await connect(settings, "test")
    try:
        await positions.ensure(connection, [(settings.topic(Entity.TASKS), PARTITIONS - 1)])
        await connection.execute("UPDATE stream_positions SET next_offset = 5")
    finally:
        await connection.close()

    lag = (await findings(settings))["lag"]

    assert not lag.ok
    assert lag.message.endswith("tasks/2 is 5, but the end is 0")


async def test_partitions_that_were_added_where_versions_are_offsets(settings: Settings) -> None:
    make_topics(settings)
    await migrate(settings)
    assert (await findings(settings))["versions"].ok
    topic = settings.topic(Entity.BUILDS)
    connection = await connect(settings, "test")
    try:
        await positions.recognise(connection, topic, "an id")
        await positions.note_partitions(connection, topic, PARTITIONS - 1)
        await connection.execute("UPDATE stream_topics SET version_kind = 'offset'")
    finally:
        await connection.close()

    versions = (await findings(settings))["versions"]

    assert not versions.ok
    assert versions.message.startswith(f"{topic}: versions are offsets")
    assert "op r" in versions.advice


async def test_open_dead_letters(settings: Settings) -> None:
    make_topics(settings)
    await migrate(settings)
    connection = await connect(settings, "test")
    try:
        for offset, reason in enumerate(["bad_json", "bad_status", "bad_json"]):
            record = Record(offset)
            await dead_letters.insert(connection, [dead_letter("t", 0, 0, record, reason, "x")])
    finally:
        await connection.close()

    letters = (await findings(settings))["dead letters"]

    assert not letters.ok
    assert letters.message == "3 open (2 bad_json, 1 bad_status)"
    assert "nova-stream dead-letters list" in letters.advice
    ready = [finding async for finding in examine(settings, lambda: datetime.now(UTC), ready=True)]
    (warning,) = [finding for finding in ready if finding.check == "dead letters"]
    assert (warning.ok, warning.message) == (True, letters.message)
    assert "workers" in {finding.check for finding in ready if not finding.ok}
    await execute(settings, "UPDATE dead_letters SET state = 'discarded'")
    assert (await findings(settings))["dead letters"].ok


async def test_a_kafka_that_has_no_coordinator_for_the_group(
    tmp_path: Path, nova_database: str
) -> None:
    """As of a cluster that has fewer brokers than its topic of offsets wants."""
    properties = {"offsets.topic.replication.factor": "3"}
    with LocalKafka(tmp_path / "kafka", properties=properties) as kafka:
        settings = load_settings(kafka_brokers=kafka.bootstrap_servers, database_url=nova_database)
        found = await findings(settings)

    assert found["kafka"].ok, found
    assert "not there" in found["topics"].message
    assert not found["workers"].ok
    assert "COORDINATOR_NOT_AVAILABLE" in found["workers"].message


async def test_neither_kafka_nor_postgres() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    settings = load_settings(
        kafka_brokers=nowhere, database_url=f"postgresql://nova:secret@{nowhere}/nova"
    )

    found = await findings(settings)

    assert set(found) == {"kafka", "postgres"}
    assert not any(finding.ok for finding in found.values())
    assert nowhere in found["kafka"].message
    assert "NOVA_KAFKA_BROKERS" in found["kafka"].advice
    assert "NOVA_DATABASE_URL" in found["postgres"].message
    assert "secret" not in str(found)


def test_the_command(
    cli_environment: Settings,
    nova_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", nova_database)
    make_topics(cli_environment)

    assert run(["migrate"]) == 0
    assert capsys.readouterr().out.startswith("schema none -> ")
    assert run(["migrate"]) == 0
    assert capsys.readouterr().out.endswith(": nothing to do\n")
    assert run(["audit"]) == 0
    assert json.loads(capsys.readouterr().out) == {"agents": 0, "differences": []}

    assert run(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       settings      can be read"
    assert [line for line in lines if not line.startswith("ok ")] == [
        f"PROBLEM  workers       none runs (group {cli_environment.consumer_group}) -> start one: "
        "nova-stream worker"
    ]
    assert run(["doctor", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert len(answer["checks"]) == len(lines)


def test_audit_tells_a_difference(
    cli_environment: Settings,
    nova_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", nova_database)
    run(["migrate"])
    settings = cli_environment.model_copy(update={"database_url": SecretStr(nova_database)})
    asyncio.run(execute(settings, "UPDATE build_stats_cache SET total_builds = 5"))
    capsys.readouterr()

    assert run(["audit"]) == 1

    assert json.loads(capsys.readouterr().out)["differences"] == [
        {"row": "builds", "figure": "total_builds", "cache": 5, "recount": 0}
    ]


class Record:
    """A record that could not be applied."""

    key = b"k"
    value = b"v"
    timestamp = -1
    headers: Any = ()

    def __init__(self, offset: int) -> None:
        self.offset = offset
