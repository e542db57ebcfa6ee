"""Lock files of jars: what is asked for by name is resolved, and every jar pinned by its sum.

For maintainers, when a version changes: review the difference, since it holds what the Maven
repository served at that moment.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nova_stream.local.jars import file_sha256
from nova_stream.local.mirrors import maven_repositories


def write(lock: Path, title: str, roots: Sequence[str], *, besides: Sequence[str] = ()) -> None:
    """Resolve ``roots`` with all that they need to run, fetch, and write ``lock``: a jar a line,
    with coordinates, SHA-256 and bytes. ``besides`` come as they are, with nothing that they need.
    """
    from jgo.maven import MavenContext  # noqa: PLC0415  (slow to import)

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(
            repo_cache=Path(folder), remote_repos=maven_repositories(), timeout=60
        )
        asked = [context.create_dependency(root) for root in roots]
        inputs, transitive = context.resolver.resolve(asked)
        wanted = [*inputs, *(d for d in transitive if d.scope in {"compile", "runtime"})]
        wanted += [context.create_dependency(one) for one in besides]
        lines = []
        for dependency in wanted:
            path = dependency.artifact.resolve()
            name = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            lines.append(f"{name} {file_sha256(path)} {path.stat().st_size}")
    lock.write_text(f"# {title}\n" + "\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines)} jars pinned in {lock.name}\n")
