"""The settings of the local broker: one node, small, quick to start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nova_stream.local.ports import HOST

#: Largest record that the broker takes: above the 8 MB that a document may have.
MESSAGE_MAX_BYTES = 10 * 1024 * 1024

JVM_FLAGS = (
    # Full compilation and parallel collection pay off after minutes; a local broker is to be
    # ready in seconds and to leave the cores to the rest.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx512m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
)


def broker_properties(
    *, port: int, controller_port: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """The broker's ``server.properties``. Paths are relative to the broker's working folder,
    since ``log.dirs`` has no way to quote a comma.
    """
    brokers = f"PLAINTEXT://{HOST}:{port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"{brokers},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": brokers,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "kafka/data",
        # The first metadata request would make a topic with the wrong number of partitions.
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
        "default.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "log.segment.bytes": str(256 * 1024 * 1024),
        "log.index.size.max.bytes": str(1024 * 1024),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "log.cleaner.threads": "1",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "background.threads": "2",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        **extra,
    }


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file, in one step."""
    text = "".join(f"{name}={_escape(value)}\n" for name, value in properties.items())
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)


def _escape(value: str) -> str:
    """Java reads these files as Latin-1 with backslash escapes."""
    return "".join(
        "\\\\" if char == "\\" else char if char.isascii() else _unicode_escape(char)
        for char in value
    )


def _unicode_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
