"""The parts of peers: jars and Python packages from the public registries, pinned by their sums."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.peer import HERE, UnavailableError
from nova_stream.errors import LocalStackError
from nova_stream.local import jars, processes
from nova_stream.local.java import find_java

#: Eclipse's compiler is a jar that a runtime without javac runs.
_COMPILER = HERE / "compiler.lock"
_INSTALL_LIMIT = 900.0


def java(folder: Path, main: str, *, options: Sequence[str] = ()) -> list[str]:
    """The command that runs ``main``, compiled from the folder's Java files, on its jars.

    Raises UnavailableError where a jar, a Java or the compilation fails.
    """
    try:
        program, cache = find_java(), jars.cache_dir() / "peers"
        path = jars.install(lock=folder / "jars.lock", cache=cache / folder.name)
        sources = sorted(folder.glob("*.java"))
        target = cache / folder.name / f"classes-{_digest(*sources, folder / 'jars.lock')}"
        if not target.exists():
            _compile(program, sources, path, target)
    except (LocalStackError, OSError) as error:
        raise UnavailableError(str(error)) from error
    class_path = os.pathsep.join(map(str, (target, *path)))
    return [str(program), *options, "-cp", class_path, main]


def _compile(program: Path, sources: list[Path], path: list[Path], target: Path) -> None:
    compiler = jars.install(lock=_COMPILER, cache=jars.cache_dir() / "peers")
    made = target.with_name(f".{target.name}-{os.getpid()}")
    processes.run(
        [
            *(str(program), "-jar", str(compiler[0]), "-17", "-nowarn", "-d", str(made)),
            *("-cp", os.pathsep.join(map(str, path)), *map(str, sources)),
        ],
        what="the Java compiler",
    )
    made.rename(target)


def python(folder: Path) -> list[str]:
    """The command that runs the folder's ``app.py`` with the packages of its lock.

    Raises UnavailableError where they cannot be installed.
    """
    lock = folder / "requirements.lock"
    home = jars.cache_dir() / "peers" / f"{folder.name}-{_digest(lock)}"
    interpreter = home / "bin" / "python"
    try:
        if not (home / ".ready").exists():
            uv = str(Path(sys.executable).with_name("uv"))
            processes.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
            processes.run(
                [
                    *(uv, "pip", "sync", "--quiet", "--require-hashes", "--no-build"),
                    *("--compile-bytecode", "--python", str(interpreter), str(lock)),
                ],
                limit=_INSTALL_LIMIT,
            )
            (home / ".ready").touch()
    except (LocalStackError, OSError) as error:
        raise UnavailableError(str(error)) from error
    return [str(interpreter), str(folder / "app.py")]


def _digest(*files: Path) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:12]
