"""A worker to whom Kafka's ACLs refuse something says what to grant, once, and works when it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from nova_stream.cli.checks import examine
from nova_stream.cli.finding import Finding
from nova_stream.clock import system_clock
from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin, TopicAdmin
from nova_stream.local.kafka import LocalKafka
from nova_stream.settings import load_settings
from nova_stream.storage.database import connect
from nova_stream.storage.migrate import migrate
from nova_stream.testing.servers import fresh_database

pytestmark = [pytest.mark.integration, pytest.mark.long]

#: What has no ACL is everybody's; what has one is for those whom it names.
PROPERTIES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
TASK = '{"entity": "tasks", "after": {"id": "t-1", "agent": "MARS", "status": "done"}}\n'
TOPIC = (ResourceType.TOPIC, "nova.tasks")
GROUP = (ResourceType.GROUP, "nova-stream")
SOME = (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS, AclOperation.CREATE)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    with LocalKafka(tmp_path / "kafka", properties=PROPERTIES) as found:
        yield found.bootstrap_servers


def grant(
    kafka: str,
    resource: tuple[ResourceType, str],
    *operations: AclOperation,
    user: str = "ANONYMOUS",
) -> None:
    made = [
        AclBinding(
            *resource,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_acls(made).values():
        future.result(20)


class Started:
    """A worker, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self, text: str) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if text in line]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, f"{what}\n{self._log.read_text()}"
            time.sleep(0.1)


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[Started]:
    with log.open("wb") as file:
        command = [sys.executable, "-m", "nova_stream.cli.main", "worker"]
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        yield Started(process, log)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize(
    ("resource", "given", "rest"),
    [
        (TOPIC, (*SOME, AclOperation.WRITE), "Topic nova.tasks"),
        (GROUP, (AclOperation.DESCRIBE,), "Group nova-stream"),
    ],
    ids=["topic", "group"],
)
async def test_what_is_refused_is_told_until_it_is_granted(
    kafka: str,
    nova_postgres: str,
    tmp_path: Path,
    resource: tuple[ResourceType, str],
    given: tuple[AclOperation, ...],
    rest: str,
) -> None:
    grant(kafka, resource, *given)
    with fresh_database(nova_postgres) as database:
        environment = {
            **os.environ,
            "NOVA_KAFKA_BROKERS": kafka,
            "NOVA_DATABASE_URL": database,
            "NOVA_PARTITIONS": "1",
            "NOVA_METRICS_PORT": "0",
        }

        def command(*words: str, given: str | None = None) -> None:
            run = [sys.executable, "-m", "nova_stream.cli.main", *words]
            subprocess.run(
                run, env=environment, input=given, text=True, check=True, capture_output=True
            )

        command("migrate")
        with worker(environment, tmp_path / "worker.log") as found:
            refused = "Kafka refuses this user"
            found.until(lambda: bool(found.said(refused)), "it says nothing")
            command("publish", "-", given=TASK)
            [line] = found.said(refused)
            assert f"may not use {rest}: grant it Describe and Read" in line
            assert found.said("fetching failed") == []
            grant(kafka, resource, AclOperation.READ)
            found.until(lambda: bool(found.said(f"{refused} no longer")), "it is still refused")
            connection = await connect(load_settings(database_url=database), "test")
            try:
                end = time.monotonic() + 60
                while await connection.fetchval("SELECT count(*) FROM tasks") != 1:
                    assert time.monotonic() < end, "the change is not applied"
            finally:
                await connection.close()
            assert len(found.said(refused)) == 2


async def test_a_refused_question_says_what_to_grant(kafka: str) -> None:
    settings = load_settings(kafka_brokers=kafka)
    grant(kafka, GROUP, AclOperation.READ, user="another")
    async with KafkaAdmin(settings, 10) as admin:
        await admin.ping()
        with pytest.raises(KafkaUnavailableError, match="answers, but this user may not use Group"):
            await admin.remove_member("nova-stream", "nobody")


@pytest.mark.parametrize(
    ("resource", "given", "what"),
    [
        (TOPIC, SOME, "Read on Topic nova.tasks"),
        (TOPIC, (), "Describe and Read on Topic nova.tasks"),
        (GROUP, (AclOperation.DESCRIBE,), "Read on Group nova-stream"),
        (GROUP, (), "Describe and Read on Group nova-stream"),
    ],
    ids=["topic read", "topic hidden", "group read", "group hidden"],
)
async def test_doctor_tells_once_which_right_is_refused(
    kafka: str,
    nova_postgres: str,
    resource: tuple[ResourceType, str],
    given: tuple[AclOperation, ...],
    what: str,
) -> None:
    with fresh_database(nova_postgres) as database:
        settings = load_settings(kafka_brokers=kafka, database_url=database, partitions=1)
        await migrate(settings)
        async with TopicAdmin(settings) as topics:
            await topics.prepare_sources()

        async def doctor(*, refused: bool) -> dict[str, Finding]:
            """All findings, once the broker goes by the newest ACLs."""
            end = time.monotonic() + 60
            while True:
                found = [finding async for finding in examine(settings, system_clock)]
                told = [each.check for each in found if "ACL" in each.message + each.advice]
                if (told != []) == refused:
                    break
                assert time.monotonic() < end, found
            assert told == (["rights"] if refused else [])
            return {finding.check: finding for finding in found}

        await doctor(refused=False)
        grant(kafka, resource, AclOperation.READ, user="another")
        if given:
            grant(kafka, resource, *given)
        found = await doctor(refused=True)
        assert not found["rights"].ok
        assert found["rights"].message == f"Kafka's ACLs refuse this user {what}"
        assert "NOVA_KAFKA_USERNAME" in found["rights"].advice
        assert found["topics"].ok  # also the one that cannot be seen
        grant(kafka, resource, AclOperation.READ)
        await doctor(refused=False)
