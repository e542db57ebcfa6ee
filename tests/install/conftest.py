"""Empty environments with the built wheel and one extra each, and the database of other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import (
    apply_lines,
    migrated_database,
    migrated_template,
    nova_settings,
)

__all__ = ["apply_lines", "migrated_database", "migrated_template", "nova_settings"]

ROOT = Path(__file__).parents[2]
UV = [str(Path(sys.executable).with_name("uv"))]


class Environment:
    """An environment with the wheel and one extra."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, in its folder."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NOVA_", "PYTHON"))}
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=self.folder,
            env=kept | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def imports(self, modules: str) -> bool:
        return self.run("python", "-c", f"import {modules}").returncode == 0


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*UV, "build", "--quiet", "--wheel", "-o", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def environment(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Environment]:
    made: dict[str, Environment] = {}

    def make(extra: str) -> Environment:
        if extra not in made:
            folder = tmp_path_factory.mktemp(extra or "base")
            subprocess.run([*UV, "venv", "-q", "-p", sys.executable, str(folder)], check=True)
            wanted = f"{wheel}[{extra}]" if extra else str(wheel)
            subprocess.run(
                [
                    *UV,
                    "pip",
                    "install",
                    "-q",
                    "--python",
                    str(folder / "bin" / "python"),
                    "--constraint",
                    str(ROOT / "requirements.lock"),
                    wanted,
                ],
                check=True,
            )
            made[extra] = Environment(folder)
        return made[extra]

    return make
