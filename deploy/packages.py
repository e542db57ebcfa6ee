"""What the image contains, and what is known against it.

``python deploy/packages.py sbom FILE`` writes a CycloneDX list of the packages of the image, as
requirements.lock pins them. ``python deploy/packages.py audit`` asks a database of vulnerabilities
about them: status 1 when one is known, 0 with a warning when the database cannot be reached.

uv does the work; it reads a lock file of its own, which is made here from requirements.lock.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_UV = Path(sys.executable).with_name("uv")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
_REQUIREMENT = re.compile(r"^(?![#\s])(.+?)\s*\\?$", re.MULTILINE)
#: As uv puts it when nothing answers.
_OUT_OF_REACH = re.compile(r"error sending request|dns error|timed out|operation timed out")


class PackagesError(Exception):
    """What was found, in one line."""


def image_extras() -> list[str]:
    """The extras of the package that the Dockerfile installs."""
    found = re.search(r"nova-stream\[([\w,]+)\]", (ROOT / "Dockerfile").read_text("utf-8"))
    if found is None:
        raise PackagesError("the Dockerfile installs no nova-stream[…]")
    return found[1].split(",")


def pins() -> set[tuple[str, str]]:
    """Name and version of everything in requirements.lock."""
    return set(_PIN.findall((ROOT / "requirements.lock").read_text("utf-8")))


def _uv(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (words of our own, no shell)
        [_UV, *words, "--project", str(project)],
        cwd=project, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def _locked(project: Path) -> None:
    """Make ``project`` this one, with uv's lock of what requirements.lock pins."""
    lines = _REQUIREMENT.findall((ROOT / "requirements.lock").read_text("utf-8"))
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    if "uv" in tomllib.loads(text).get("tool", {}):
        raise PackagesError("pyproject.toml has settings of uv: they have to be merged here")
    (project / "pyproject.toml").write_text(
        f"{text}\n[tool.uv]\nconstraint-dependencies = {json.dumps(lines)}\n", "utf-8"
    )
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    if _uv(project, "lock", "--offline", "--quiet").returncode != 0:  # not all is in uv's cache
        made = _uv(project, "lock", "--quiet")
        if made.returncode != 0:
            raise PackagesError(f"uv lock failed: {made.stderr.strip()}")


def _of_the_image() -> list[str]:
    return ["--no-dev", *(word for extra in image_extras() for word in ("--extra", extra))]


def sbom() -> dict[str, Any]:
    """The list; raises PackagesError when it names what is not pinned."""
    with tempfile.TemporaryDirectory() as folder:
        _locked(Path(folder))
        options = ["--format", "cyclonedx1.5", "--frozen", "--quiet", "--preview"]
        made = _uv(Path(folder), "export", *options, *_of_the_image())
    if made.returncode != 0:
        raise PackagesError(f"uv export failed: {made.stderr.strip()}")
    found: dict[str, Any] = json.loads(made.stdout)
    surplus = {(part["name"], part["version"]) for part in found["components"]} - pins()
    if surplus:
        raise PackagesError(f"not as requirements.lock pins it: {sorted(surplus)}; run: make lock")
    return found


def audit() -> tuple[int, str]:
    """Exit status, and what is to be said."""
    with tempfile.TemporaryDirectory() as folder:
        _locked(Path(folder))
        asked = _uv(Path(folder), "audit", "--frozen", "--preview", "--no-dev")
    said = (asked.stdout + asked.stderr).strip()
    if asked.returncode != 0 and _OUT_OF_REACH.search(said):
        return 0, "warning: known vulnerabilities were not looked up: the database is out of reach"
    return asked.returncode, said


def main(words: list[str]) -> int:
    """Run one command; its exit status."""
    try:
        match words:
            case ["sbom", path]:
                found = sbom()
                Path(path).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
                sys.stdout.write(f"{path}: {len(found['components'])} packages\n")
                return 0
            case ["audit"]:
                status, said = audit()
                sys.stdout.write(f"{said}\n")
                return status
    except PackagesError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stderr.write("usage: packages.py sbom FILE | packages.py audit\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
