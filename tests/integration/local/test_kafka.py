"""A real broker: its life, its folder, what a kill -9 leaves."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from nova_stream.errors import LocalStackError
from nova_stream.local.kafka import LocalKafka, broker_answers, group_is_stable
from nova_stream.local.ports import free_port

from .helpers import alive, eventually, processes_of, script

pytestmark = [pytest.mark.integration, pytest.mark.long]

_HOLDER = """
import sys, time
from pathlib import Path
from nova_stream.local.kafka import LocalKafka
kafka = LocalKafka(Path(sys.argv[1]), end_with_parent=sys.argv[2] == "tied")
kafka.start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    broker = LocalKafka(tmp_path / "a folder, with ü")
    yield broker
    broker.destroy()


def _write(servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": len(value) + 1024})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def _read(servers: str, topic: str) -> bytes | None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "readers",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        assert group_is_stable(servers, "readers")
        value: bytes | None = message.value()
        return value
    finally:
        consumer.close()


def test_data_and_port_outlast_a_stop(kafka: LocalKafka) -> None:
    kafka.start()
    first = kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": first})
    admin.create_topics([NewTopic("kept", 2, 1)])["kept"].result(30)
    big = b"x" * (9 * 1024 * 1024)
    _write(first, "kept", big)
    kafka.stop()
    assert not broker_answers(first, limit=0.5)

    kafka.start()

    assert kafka.bootstrap_servers == first
    assert _read(first, "kept") == big
    assert not group_is_stable(first, "readers")


@pytest.mark.parametrize("tie", ["tied", "loose"])
def test_start_after_kill_9_of_the_parent(tmp_path: Path, tie: str) -> None:
    with script(_HOLDER, str(tmp_path), tie) as holder:
        children = psutil.Process(holder.pid).children()
        assert [child.name() for child in children] == ["java"]
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        # No wait: with "tied" the old broker may be about to end, with "loose" it just goes on.
        with LocalKafka(tmp_path) as kafka:
            assert broker_answers(kafka.bootstrap_servers)
            assert alive(children) == []

    assert processes_of(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_broker_ends_with_its_parent(tmp_path: Path) -> None:
    with script(_HOLDER, str(tmp_path), "tied") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        eventually(lambda: processes_of(tmp_path) == [], limit=30)


def test_second_on_the_same_folder_is_told_who_has_it(kafka: LocalKafka, tmp_path: Path) -> None:
    kafka.start()

    with pytest.raises(LocalStackError, match=r"process \d+ runs the Kafka of .*a folder"):
        LocalKafka(tmp_path / "a folder, with ü").start()

    assert kafka.is_running()


def test_taken_port_is_named(kafka: LocalKafka, tmp_path: Path) -> None:
    kafka.start()
    port = int(kafka.bootstrap_servers.rpartition(":")[2])

    with pytest.raises(LocalStackError, match=f"port {port} on 127.0.0.1 is taken"):
        LocalKafka(tmp_path / "other", port=port).start()


def test_broken_setting_shows_the_log(tmp_path: Path) -> None:
    broken = LocalKafka(tmp_path, properties={"num.io.threads": "none"})

    with pytest.raises(LocalStackError, match=r"(?s)failed with status 1:.*num\.io\.threads"):
        broken.start()

    assert processes_of(tmp_path) == []


def test_broker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    port = free_port()
    first = LocalKafka(tmp_path, port=port)
    first.start()
    first.stop()
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("cluster.id=another\n")

    with pytest.raises(LocalStackError, match=r"(?s)Kafka ended with status 1 .*node ID not found"):
        first.start()

    first.destroy()
    assert not (tmp_path / "kafka").exists()
