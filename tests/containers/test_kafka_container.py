"""The container behind ``nova_kafka``: run where an engine and the image are (``make
test-containers``; build-images.sh beside this file makes an image where none can be pulled).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from nova_stream.testing import containers
from nova_stream.testing.containers import NovaKafkaContainer
from nova_stream.testing.servers import kafka_server

pytestmark = pytest.mark.containers

_LOCAL_IMAGE = "nova-test/kafka:local"


@pytest.fixture(scope="module")
def image() -> str:
    for name in (containers.kafka_image(), _LOCAL_IMAGE):
        if containers.engine_has(name):
            return name
    pytest.skip(
        f"no container engine with {containers.kafka_image()} or {_LOCAL_IMAGE}; "
        "tests/containers/build-images.sh makes the second"
    )


@pytest.fixture(scope="module")
def brokers(image: str) -> Iterator[str]:
    with NovaKafkaContainer(image) as container:
        yield container.bootstrap_servers


def test_clients_outside_of_the_container_write_and_read(brokers: str) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic("seen", 2, 1)])["seen"].result(30)
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce("seen", b"hello")
    assert producer.flush(30) == 0

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "readers",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe(["seen"])
    try:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        assert message.value() == b"hello"
    finally:
        consumer.close()


def test_no_topic_by_itself(brokers: str) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.list_topics("never", timeout=10)

    assert "never" not in admin.list_topics(timeout=10).topics


def test_the_fixture_takes_the_container(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVA_TEST_KAFKA_IMAGE", image)
    docker = pytest.importorskip("docker")

    client = docker.from_env()
    try:
        before = {container.id for container in client.containers.list()}
        with kafka_server() as servers:
            (started,) = [c for c in client.containers.list() if c.id not in before]
            port = servers.rpartition(":")[2]
            assert started.ports["9092/tcp"][0]["HostPort"] == port
        assert {container.id for container in client.containers.list()} == before
    finally:
        client.close()
