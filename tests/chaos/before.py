"""The product before a migration that its worker could not serve, out of this repository."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.chaos.field import LeftOutError

_ROOT = Path(__file__).parents[2]
#: A worker of before does not know when tasks finished, nor which days are counted.
_MIGRATION = "nova_stream/storage/migrations/versions/0013_finished_at.py"


def product(folder: Path) -> Path:
    """A folder with the nova_stream of the commit before the one that added the migration."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", _MIGRATION).decode().split()
    if not added:
        raise LeftOutError(f"the history does not have the commit that added {_MIGRATION}")
    place = folder / "before"
    with tarfile.open(fileobj=BytesIO(_git("archive", f"{added[-1]}^", "nova_stream"))) as archive:
        archive.extractall(place, filter="data")
    return place


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, check=False)
    if done.returncode:
        raise LeftOutError(f"git {words[0]}: {done.stderr.decode().strip()}")
    return done.stdout
