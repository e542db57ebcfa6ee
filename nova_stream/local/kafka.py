"""A real Apache Kafka on this machine, with nothing installed but Python packages."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local import jars, processes
from nova_stream.local.jars import Progress, silent
from nova_stream.local.java import find_java
from nova_stream.local.kafka_config import JVM_FLAGS, broker_properties, write_properties
from nova_stream.local.ports import HOST, accepts, free_port
from nova_stream.local.server import LocalServer

_BROKER = "kafka.Kafka"
_STORAGE_TOOL = "kafka.tools.StorageTool"


class LocalKafka(LocalServer):
    """One broker; see LocalServer for its verbs and its place."""

    title = "Kafka"

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        progress: Progress = silent,
        properties: Mapping[str, str] | None = None,
        end_with_parent: bool = True,
    ) -> None:
        super().__init__(data_dir, port=port, progress=progress, end_with_parent=end_with_parent)
        self._extra = dict(properties or {})

    @property
    def bootstrap_servers(self) -> str:
        """``127.0.0.1:PORT``; raises LocalStackError before ``start``."""
        if self._port is None:
            raise LocalStackError("the local Kafka has no address before start()")
        return f"{HOST}:{self._port}"

    def install(self) -> None:
        """Fetch Kafka's jars into the user's cache, once (45 MB), and look for a Java."""
        find_java()
        jars.install(progress=self._progress)

    def start(self, *, limit: float = 60.0) -> None:
        """Start the broker and wait until it answers, ``limit`` seconds at most."""
        self.launch()
        self.wait(limit=limit)

    def launch(self) -> None:
        """The first half of ``start``: the address is known, but nobody answers there yet."""
        if self.is_running():
            return

        self._take_folder()
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._end_leftovers()
            java, class_path = find_java(), jars.install(progress=self._progress)
            self._progress("starting Kafka", 0.0)
            self._port = self._choose_port(self._folder / "port")
            controller_port = free_port(exclude=frozenset({self._port}))
            environment = _environment(class_path)
            self._write_settings(controller_port)
            self._format(java, environment)
            self._launch(java, environment)
        except BaseException:
            self.stop()
            raise

    def wait(self, *, limit: float = 60.0) -> None:
        """The second half of ``start``."""
        if self._process is None:
            raise LocalStackError("the local Kafka was not launched")
        try:
            processes.wait_ready("Kafka", self._process, self._answers, log=self.log, limit=limit)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, limit: float = 20.0) -> None:
        """End the broker; its data stays. SIGKILL after ``limit`` seconds."""
        if self._process is not None:
            self._pid_file.unlink(missing_ok=True)
        super().stop(limit=limit)

    # -- the steps of start --------------------------------------------------------------------

    @property
    def _settings_file(self) -> Path:
        return self._folder / "server.properties"

    @property
    def _pid_file(self) -> Path:
        return self._data_dir / "run" / "kafka.json"

    def _remains(self) -> tuple[Path, ...]:
        return (self._pid_file,)

    def _end_leftovers(self) -> None:
        """End the broker that a killed run left on this folder; we hold its lock, so it is one."""
        marker = str(self._settings_file)
        leftovers = processes.find_leftovers(
            # The class as well: an editor with the file open has its path on the command line.
            lambda words: marker in words and (_BROKER in words or _STORAGE_TOOL in words)
        )
        if leftovers:
            self._progress("ending the Kafka of an earlier run", 0.0)
            processes.end_leftovers(leftovers, limit=20.0)
        self._pid_file.unlink(missing_ok=True)

    def _write_settings(self, controller_port: int) -> None:
        assert self._port is not None
        properties = broker_properties(
            port=self._port, controller_port=controller_port, extra=self._extra
        )
        write_properties(self._settings_file, properties)

    def _format(self, java: Path, environment: Mapping[str, str]) -> None:
        """Write the cluster's id into a new data folder."""
        if (self._folder / "formatted").exists():
            return

        # Not finished last time: nothing of worth is in there, and half a format cannot start.
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        words = ["format", "-t", _new_cluster_id(), "-c", str(self._settings_file)]
        command = [*self._java(java), _STORAGE_TOOL, *words]
        processes.run(command, cwd=self._data_dir, env=environment)
        (self._folder / "formatted").touch()

    def _java(self, java: Path) -> list[str]:
        scratch = self._folder / "tmp"
        scratch.mkdir(exist_ok=True)
        return [str(java), *JVM_FLAGS, f"-Djava.io.tmpdir={scratch}"]

    def _launch(self, java: Path, environment: Mapping[str, str]) -> None:
        launch = processes.Launch(
            [*self._java(java), _BROKER, str(self._settings_file)],
            log=self.log,
            cwd=self._data_dir,
            env=environment,
            parent_death_signal=signal.SIGTERM if self._end_with_parent else None,
        )
        self._process = processes.start(launch)
        self._pid_file.write_text(json.dumps({"pid": self._process.pid}))

    def _answers(self) -> bool:
        assert self._port is not None
        return accepts(self._port) and broker_answers(self.bootstrap_servers)


def broker_answers(bootstrap_servers: str, *, limit: float = 2.0) -> bool:
    """Whether a Kafka client gets the list of brokers within ``limit`` seconds."""
    from confluent_kafka import KafkaException  # noqa: PLC0415  (slow to import)
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    # Level 0: a refused connection is the expected answer here, not news.
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=limit).brokers)
    except KafkaException:
        return False


def _environment(class_path: list[Path]) -> dict[str, str]:
    # Options meant for the user's own Java programs could break this one.
    dropped = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"CLASSPATH": os.pathsep.join(map(str, class_path))}


def _new_cluster_id() -> str:
    """22 characters of URL-safe base64, as Kafka's own tool makes them."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # the tool would take it for an option
            return text


def group_is_stable(bootstrap_servers: str, group: str, *, limit: float = 5.0) -> bool:
    """Whether a consumer group has members and is not about to share out partitions.

    True as well where the broker does not let us look.
    """
    from confluent_kafka import ConsumerGroupState, KafkaException  # noqa: PLC0415
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        described = client.describe_consumer_groups([group], request_timeout=limit)
        found = described[group].result(limit)
    except KafkaException as error:
        return "AUTHORIZATION" in error.args[0].name()
    except TimeoutError:
        return False
    return bool(found.members) and found.state == ConsumerGroupState.STABLE
