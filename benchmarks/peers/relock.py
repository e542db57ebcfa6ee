"""Writes the lock files of the peers anew: ``python -m benchmarks.peers.relock``.

For maintainers, when a version changes; review the difference, since it holds what the registries
served at that moment.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.peer import HERE
from tools import jar_lock

#: All of Flink by name: its parent's versions are not those of its parts otherwise.
_FLINK = (
    *("annotations", "cep", "clients", "connector-base", "connector-datagen", "core", "core-api"),
    *("datastream", "datastream-api", "file-sink-common", "hadoop-fs", "json", "metrics-core"),
    *("queryable-state-client-java", "rpc-akka-loader", "rpc-core", "runtime", "streaming-java"),
    *("table-api-bridge-base", "table-api-java", "table-api-java-bridge", "table-common"),
    *("table-api-scala_2.12", "table-planner_2.12", "table-runtime"),
)
_POSTGRES = "org.postgresql:postgresql:42.7.11"
_LOG = "org.slf4j:slf4j-simple:1.7.36"

#: Lock file, what it says of itself, and what is asked for by name.
JARS = {
    "compiler.lock": ("Eclipse's Java compiler", ("org.eclipse.jdt:ecj:3.38.0",)),
    "flink/jars.lock": (
        "Flink SQL 2.0.2 with its Kafka and JDBC connectors",
        (
            *(f"org.apache.flink:flink-{part}:2.0.2" for part in _FLINK),
            "org.apache.flink:flink-connector-kafka:4.0.1-2.0",
            "org.apache.flink:flink-connector-jdbc-core:4.0.0-2.0",
            "org.apache.flink:flink-connector-jdbc-postgres:4.0.0-2.0",
            _POSTGRES,
            _LOG,
        ),
    ),
    "kafka_streams/jars.lock": (
        "Kafka Streams 4.3.1, Jackson and Postgres' JDBC driver",
        (
            "org.apache.kafka:kafka-streams:4.3.1",
            "com.fasterxml.jackson.core:jackson-databind:2.21.2",
            "org.slf4j:slf4j-api:1.7.36",
            _POSTGRES,
            _LOG,
        ),
    ),
}
PYTHON = {"quix": "quixstreams[postgresql]==3.28.1", "pathway": "pathway==0.33.0"}


def main() -> None:
    """Resolve, fetch, write."""
    for name, (title, roots) in JARS.items():
        jar_lock.write(HERE / name, f"{title}: coordinates, SHA-256, bytes.", roots)
    for folder, package in PYTHON.items():
        _packages(HERE / folder / "requirements.lock", package)


def _packages(lock: Path, package: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.in")
        wanted.write_text(package)
        uv = str(Path(sys.executable).with_name("uv"))
        options = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header")
        quiet = ("--quiet", "--no-emit-index-url", "--no-annotate")
        command = [uv, "pip", "compile", *options, *quiet, "--output-file", str(lock), str(wanted)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
