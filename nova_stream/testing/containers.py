"""Kafka and Postgres in containers, where an engine runs and has the image: nothing is pulled."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from nova_stream.errors import LocalStackError

_KAFKA_IMAGE = "apache/kafka:4.4.0"
_POSTGRES_IMAGE = "postgres:18"

_OUTSIDE = 9092  # for clients of the host
_INSIDE = 19092  # for the broker itself
_CONTROLLER = 29093
_START_SCRIPT = "/tmp/nova-start.sh"  # noqa: S108  (inside of the container)


def kafka_image() -> str:
    """``NOVA_TEST_KAFKA_IMAGE``, else Apache's own image."""
    return os.environ.get("NOVA_TEST_KAFKA_IMAGE") or _KAFKA_IMAGE


def postgres_image() -> str:
    """``NOVA_TEST_POSTGRES_IMAGE``, else the official image."""
    return os.environ.get("NOVA_TEST_POSTGRES_IMAGE") or _POSTGRES_IMAGE


def engine_has(image: str) -> bool:
    """Whether a container engine answers and has ``image``; never pulls."""
    try:
        import testcontainers  # noqa: F401, PLC0415  (optional, slow to import)

        docker: Any = import_module("docker")
    except ImportError:
        return False

    if not _engine_listens():
        return False
    try:
        client = docker.from_env(timeout=5)
    except docker.errors.DockerException:
        return False
    try:
        client.images.get(image)
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()
    return True


def _engine_listens() -> bool:
    # The client itself leaks its socket when nobody listens, which strict test runs report.
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not address.startswith("unix://") or not hasattr(socket, "AF_UNIX"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True


class NovaKafkaContainer:
    """One broker from Apache's image, or one laid out like it (``/opt/kafka/bin``).

    A client is sent on to the address that the broker advertises, and the host's port is known
    only when the container runs. So the container first waits for a script, and the script with
    the right address is put into it after the start. Raises LocalStackError when no client is
    answered.
    """

    def __init__(self, image: str, *, limit: float = 90.0) -> None:
        self._image = image
        self._limit = limit
        self._container: Any = None
        self.bootstrap_servers = ""

    def __enter__(self) -> NovaKafkaContainer:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415

        _spare_ryuk()
        wait = f"while [ ! -s {_START_SCRIPT} ]; do sleep 0.1; done; exec sh {_START_SCRIPT}"
        container = DockerContainer(self._image).with_exposed_ports(_OUTSIDE)
        self._container = container.with_kwargs(entrypoint=["sh", "-c", wait])
        self._container.start()
        try:
            host = self._container.get_container_host_ip()
            address = f"{host}:{self._container.get_exposed_port(_OUTSIDE)}"
            self._put_script(_start_script(address))
            self._wait(address)
        except BaseException:
            self.stop()
            raise
        self.bootstrap_servers = address
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the container; harmless when there is none."""
        if self._container is not None:
            self._container.stop()
            self._container = None

    def _put_script(self, script: str) -> None:
        # Written aside and moved: the container must not run half of it.
        command = f'printf %s "$0" > {_START_SCRIPT}.new && mv {_START_SCRIPT}.new {_START_SCRIPT}'
        status, said = self._container.get_wrapped_container().exec_run(
            ["sh", "-c", command, script]
        )
        if status != 0:
            raise LocalStackError(f"{self._image} takes no start script: {said.decode()}")

    def _wait(self, address: str) -> None:
        from nova_stream.local.kafka import broker_answers  # noqa: PLC0415

        deadline = time.monotonic() + self._limit
        while not broker_answers(address):
            container = self._container.get_wrapped_container()
            container.reload()
            if container.status == "exited" or time.monotonic() > deadline:
                said = container.logs(tail=15).decode(errors="replace")
                raise LocalStackError(
                    f"Kafka in a container of {self._image} does not answer at {address}; "
                    f"its last lines:\n{said}"
                )
            time.sleep(0.1)


def _start_script(outside: str) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@localhost:{_CONTROLLER}",
        "listeners": f"OUTSIDE://:{_OUTSIDE},INSIDE://localhost:{_INSIDE},"
        f"CONTROLLER://localhost:{_CONTROLLER}",
        "advertised.listeners": f"OUTSIDE://{outside},INSIDE://localhost:{_INSIDE}",
        "listener.security.protocol.map": "OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INSIDE",
        "log.dirs": "/tmp/nova-kafka",  # noqa: S108  (inside of the container)
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(10 * 1024 * 1024),
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
    }
    lines = "\n".join(f"{name}={value}" for name, value in settings.items())
    return f"""set -e
cat > /tmp/nova.properties <<'END'
{lines}
END
cd /opt/kafka
bin/kafka-storage.sh format -t "$(bin/kafka-storage.sh random-uuid)" -c /tmp/nova.properties
exec bin/kafka-server-start.sh /tmp/nova.properties
"""


@contextmanager
def postgres_container(image: str) -> Iterator[str]:
    """Address of a fresh Postgres in a container."""
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

    _spare_ryuk()
    container = PostgresContainer(image, username="nova", password="nova", dbname="nova")  # noqa: S106
    with container as running:
        host = running.get_container_host_ip()
        yield f"postgresql://nova:nova@{host}:{running.get_exposed_port(5432)}/nova"


def _spare_ryuk() -> None:
    """Do without testcontainers' cleaner where its image would have to be pulled."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415

    if not engine_has(testcontainers_config.ryuk_image):
        testcontainers_config.ryuk_disabled = True
