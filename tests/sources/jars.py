"""The jars of Kafka Connect and Debezium: pinned in ``connect-jars.lock``, cached as Kafka's are.

``python -m tests.sources.jars`` writes the lock anew when a version changes; review the
difference, since it holds what the Maven repository served at that moment.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from nova_stream.local import jars
from nova_stream.local.jars import cache_dir, file_sha256
from nova_stream.local.mirrors import maven_repositories

LOCK = Path(__file__).with_name("connect-jars.lock")

CONNECT = "4.1.1"
DEBEZIUM = "3.6.1.Final"
#: The newest Avro converter whose parts are all on Maven Central; it speaks to newer registries.
APICURIO = "2.6.13.Final"
#: What is asked for by name. Debezium names a newer Kafka as provided and a newer Jackson than
#: Connect: here both stand on one class path, so each has one version.
_ROOTS = (
    f"org.apache.kafka:connect-runtime:{CONNECT}",
    f"org.apache.kafka:connect-json:{CONNECT}",
    f"org.apache.kafka:connect-api:{CONNECT}",
    f"org.apache.kafka:connect-transforms:{CONNECT}",
    f"org.apache.kafka:kafka-clients:{CONNECT}",
    f"io.debezium:debezium-connector-postgres:{DEBEZIUM}",
    f"io.apicurio:apicurio-registry-utils-converter:{APICURIO}",
    "com.fasterxml.jackson.core:jackson-databind:2.21.2",
    "com.fasterxml.jackson.core:jackson-core:2.21.2",
    "com.fasterxml.jackson.core:jackson-annotations:2.21",
    "org.slf4j:slf4j-api:1.7.36",
    "org.slf4j:slf4j-simple:1.7.36",
)


def class_path() -> list[Path]:
    """Fetches what is not in the cache; raises LocalStackError when a jar cannot be had."""
    return jars.install(lock=LOCK, cache=cache_dir() / "connect")


def main() -> int:
    """Resolve, fetch, write the lock; returns the exit status."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(
            repo_cache=Path(folder), remote_repos=maven_repositories(), timeout=60
        )
        roots = [context.create_dependency(root) for root in _ROOTS]
        inputs, transitive = context.resolver.resolve(roots)
        wanted = [*inputs, *(d for d in transitive if d.scope in {"compile", "runtime"})]
        lines = []
        for dependency in wanted:
            path = dependency.artifact.resolve()
            name = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            lines.append(f"{name} {file_sha256(path)} {path.stat().st_size}")

    header = f"# Kafka Connect {CONNECT} and Debezium {DEBEZIUM}: coordinates, SHA-256, bytes.\n"
    LOCK.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines)} jars pinned in {LOCK.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
