"""Writes ``kafka-jars.lock`` anew: resolves Kafka's dependencies and pins every jar's sum.

For maintainers, when the version of Kafka changes: ``python -m tools.kafka_jars``, then
review the difference. Running it trusts what the Maven repository serves at that moment.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from nova_stream.local.jars import LOCK, file_sha256
from nova_stream.local.mirrors import maven_repositories

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
#: Kafka logs through slf4j 1.7 and brings no backend; this one writes to standard error.
_LOG_BACKEND = "org.slf4j:slf4j-simple:1.7.36"


def main() -> int:
    """Resolve, fetch, write; returns the exit status."""
    from jgo.maven import MavenContext  # noqa: PLC0415  (slow to import)

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(
            repo_cache=Path(folder), remote_repos=maven_repositories(), timeout=60
        )
        inputs, transitive = context.resolver.resolve([context.create_dependency(KAFKA)])
        wanted = [*inputs, *(d for d in transitive if d.scope in {"compile", "runtime"})]
        wanted.append(context.create_dependency(_LOG_BACKEND))
        lines = []
        for dependency in wanted:
            path = dependency.artifact.resolve()
            name = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            lines.append(f"{name} {file_sha256(path)} {path.stat().st_size}")

    header = f"# {KAFKA} and what it needs to run: coordinates, SHA-256, size in bytes.\n"
    LOCK.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines)} jars pinned in {LOCK.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
