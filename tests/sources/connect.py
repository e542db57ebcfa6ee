"""Kafka Connect in standalone mode: one process, its connectors by its REST interface."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from nova_stream.local import processes
from nova_stream.local.java import find_java
from nova_stream.local.ports import HOST, free_port
from tests.sources.jars import class_path

LIMIT = 90.0
_JVM = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx768m",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka=warn",
    "-Dorg.slf4j.simpleLogger.log.io.debezium.util.Threads=warn",
    "-Dorg.slf4j.simpleLogger.log.io.debezium.jdbc=warn",
    "-Dorg.slf4j.simpleLogger.log.io.debezium.connector.postgresql.PostgresConnectorTask=warn",
    "-Dorg.slf4j.simpleLogger.log.org.eclipse.jetty=warn",
    "-Dorg.slf4j.simpleLogger.log.org.glassfish=error",
)


class ConnectError(AssertionError):
    """Connect or one of its connectors does not do what was asked; with the end of its log."""


class Connect:
    """A Connect process whose connectors and offsets survive its ``kill``.

    Connectors are known by name; ``start`` starts again all that were put. Every wait is bounded
    and ends in a ConnectError that shows the log.
    """

    def __init__(self, folder: Path, brokers: str) -> None:
        self._folder = folder
        self._brokers = brokers
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._configs: dict[str, dict[str, str]] = {}
        # A proxy of the user's is not for 127.0.0.1.
        self._http = httpx.Client(base_url=f"http://{HOST}:{self._port}", trust_env=False)

    @property
    def log(self) -> Path:
        return self._folder / "connect.log"

    def start(self) -> None:
        """Start the process, with the connectors that it had; returns when REST answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        launch = processes.Launch(
            [
                str(find_java()),
                *_JVM,
                "org.apache.kafka.connect.cli.ConnectStandalone",
                str(self._write_settings()),
                *self._write_configs(),
            ],
            log=self.log,
            cwd=self._folder,
            env={**os.environ, "CLASSPATH": os.pathsep.join(map(str, class_path()))},
        )
        self._process = processes.start(launch)
        processes.wait_ready("Connect", self._process, self._answers, log=self.log, limit=LIMIT)

    def stop(self) -> None:
        """End the process in good order; SIGKILL after 20 s."""
        if self._process is not None:
            processes.stop(self._process, limit=20.0)
            self._process = None

    def close(self) -> None:
        """``stop``, for good."""
        self.stop()
        self._http.close()

    def kill(self) -> None:
        """kill -9: what was not flushed to the offsets file is read again after ``start``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Make a connector, or give it another configuration; returns when its task runs."""
        self._configs[name] = {**config, "name": name}
        self._ask("PUT", f"/connectors/{name}/config", self._configs[name])
        self.wait_running(name)

    def forget(self, name: str) -> None:
        """Stop a connector, if there is one; its replication slot stays."""
        if self._configs.pop(name, None) is not None and self._process is not None:
            self._ask("DELETE", f"/connectors/{name}")

    def restart_task(self, name: str) -> None:
        """Restart a connector's task; returns when it runs again."""
        self._ask("POST", f"/connectors/{name}/tasks/0/restart")
        self.wait_running(name)

    def wait_running(self, name: str) -> None:
        """Wait until the connector and its task run; a failed task is an error at once."""

        def running() -> bool:
            answer = self._http.get(f"/connectors/{name}/status")
            if answer.status_code != 200:
                return False
            status = answer.json()
            states = [status["connector"], *status["tasks"]]
            for state in states:
                if state["state"] == "FAILED":
                    raise ConnectError(f"{name} failed:\n{state.get('trace', '')[:3000]}")
            return len(states) == 2 and all(state["state"] == "RUNNING" for state in states)

        self.wait(f"connector {name} runs", running)

    def check(self) -> None:
        """ConnectError when a connector's task has failed meanwhile."""
        for name in self._configs:
            self.wait_running(name)

    def wait(self, what: str, ready: Callable[[], bool], limit: float = LIMIT) -> None:
        """Wait for a condition; ConnectError with the end of the log after ``limit`` seconds."""
        end = time.monotonic() + limit
        while not ready():
            if time.monotonic() > end:
                raise ConnectError(f"not within {limit:.0f} s: {what}\n{self.tail()}")
            time.sleep(0.1)

    def tail(self) -> str:
        """The end of the log, for a message."""
        return processes.tail(self.log, 40)

    def _write_settings(self) -> Path:
        settings = {
            "bootstrap.servers": self._brokers,
            "listeners": f"http://{HOST}:{self._port}",
            "offset.storage.file.filename": str(self._folder / "offsets"),
            "offset.flush.interval.ms": "300",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "producer.max.request.size": "9000000",
            "producer.linger.ms": "0",
            # Everything stands on the class path; looking through it takes seconds.
            "plugin.discovery": "service_load",
        }
        path = self._folder / "connect.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    def _write_configs(self) -> list[str]:
        paths = []
        for name, config in self._configs.items():
            path = self._folder / f"{name}.json"
            path.write_text(json.dumps(config))
            paths.append(str(path))
        return paths

    def _answers(self) -> bool:
        try:
            return self._http.get("/connectors").status_code == 200
        except httpx.TransportError:
            return False

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        # The herder answers 409 while it is about to rebalance.
        end = time.monotonic() + LIMIT
        while True:
            answer = self._http.request(method, path, json=body, timeout=LIMIT)
            if answer.status_code != 409 or time.monotonic() > end:
                break
            time.sleep(0.2)
        if answer.status_code >= 300:
            raise ConnectError(f"{method} {path}: {answer.status_code} {answer.text[:3000]}")
