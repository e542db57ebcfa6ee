"""Where the TypeScript client is built, and the programs that work on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.npm import node_and_npm, packages_of

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"


class Workshop:
    """A copy of the client with its packages, and the programs that work on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = packages_of(CLIENT)
        self.node, self.npm = node_and_npm()
        kept = shutil.ignore_patterns("node_modules", "dist", "build")
        shutil.copytree(CLIENT, folder, dirs_exist_ok=True, ignore=kept)
        (folder / "node_modules").symlink_to(self.packages)

    def run(
        self, *words: str, folder: Path | None = None, env: dict[str, str] | None = None
    ) -> str:
        """What a program writes, which ends well."""
        path = f"{Path(self.node).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            words,
            cwd=folder or self.folder,
            env={**os.environ, **(env or {}), "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout
