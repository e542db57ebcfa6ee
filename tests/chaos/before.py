"""The product as it was before the newest migration, from the history of this repository."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.chaos.field import LeftOutError

_ROOT = Path(__file__).parents[2]
_VERSIONS = Path("nova_stream/storage/migrations/versions")


def product(folder: Path) -> Path:
    """A folder with the nova_stream of the commit before the one that added the newest schema."""
    newest = max((_ROOT / _VERSIONS).glob("0*.py")).relative_to(_ROOT)
    added = _git("log", "--diff-filter=A", "--format=%H", "--", str(newest)).decode().split()
    if not added:
        raise LeftOutError(f"the history does not have the commit that added {newest.name}")
    place = folder / "before"
    with tarfile.open(fileobj=BytesIO(_git("archive", f"{added[-1]}^", "nova_stream"))) as archive:
        archive.extractall(place, filter="data")
    return place


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, check=False)
    if done.returncode:
        raise LeftOutError(f"git {words[0]}: {done.stderr.decode().strip()}")
    return done.stdout
