"""What the image contains, and what is known against it.

``python deploy/packages.py sbom FILE`` writes a CycloneDX list of the packages of the image, as
requirements.lock pins them. ``python deploy/packages.py audit`` asks a database of vulnerabilities
about them and about those of the other extras: status 1 when one is known, 0 with a warning when
the database gives no answer, and 1 for whatever else keeps it from being asked.

uv does the work; it reads a lock file of its own, which is made here from requirements.lock.
"""

from __future__ import annotations

import json
import os
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
#: As uv puts it when nothing answers, or something that stands in between does. A question that the
#: database does not understand (400, 404) is a fault of ours and none of these.
_OUT_OF_REACH = re.compile(
    r"error sending request|dns error|timed out|error decoding response body"
    r"|HTTP status (server error|client error \((401|403|407|408|429)\b)"
)
#: Whoever is not answered is to know within half a minute.
_PATIENCE = {"UV_HTTP_TIMEOUT": "8", "UV_HTTP_RETRIES": "1"}


class PackagesError(Exception):
    """What was found, in one line."""


class OutOfReachError(PackagesError):
    """A server that has to be asked gives no answer."""


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
    """What uv puts out and says; PackagesError with that when it ends with a status above 0."""
    command = [str(_UV), *words, "--project", str(project)]
    env = {**os.environ, **_PATIENCE}
    try:
        made = subprocess.run(  # noqa: S603  (words of our own, no shell)
            command, cwd=project, env=env, capture_output=True, text=True, check=False, timeout=60
        )
    except subprocess.TimeoutExpired:
        raise OutOfReachError(f"uv {words[0]} did not end within 60 s") from None
    if made.returncode == 0:
        return made
    said = (made.stdout + made.stderr).strip()
    # Status 1 of an audit is a finding, whatever words stand in it.
    found = words[0] == "audit" and made.returncode == 1
    kind = OutOfReachError if not found and _OUT_OF_REACH.search(said) else PackagesError
    raise kind(f"uv {words[0]}: {said}")


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
    try:
        _uv(project, "lock", "--offline", "--quiet")
    except PackagesError:  # not all is in uv's cache
        _uv(project, "lock", "--quiet")


def _of_the_image() -> list[str]:
    return ["--no-dev", *(word for extra in image_extras() for word in ("--extra", extra))]


def sbom() -> dict[str, Any]:
    """The list; raises PackagesError when it names what is not pinned."""
    with tempfile.TemporaryDirectory() as folder:
        _locked(Path(folder))
        options = ["--format", "cyclonedx1.5", "--frozen", "--quiet", "--preview"]
        made = _uv(Path(folder), "export", *options, *_of_the_image())
    found: dict[str, Any] = json.loads(made.stdout)
    surplus = {(part["name"], part["version"]) for part in found["components"]} - pins()
    if surplus:
        raise PackagesError(f"not as requirements.lock pins it: {sorted(surplus)}; run: make lock")
    return found


def audit(service: str | None = None) -> str:
    """What is to be said when nothing is known; raises PackagesError with what is.

    ``service`` is the address of another database than OSV's own that speaks its protocol.
    """
    address = ["--service-url", service] if service else []
    try:
        with tempfile.TemporaryDirectory() as folder:
            _locked(Path(folder))
            options = ["--frozen", "--preview", "--no-dev", *address]
            asked = _uv(Path(folder), "audit", *options)
        return (asked.stdout + asked.stderr).strip()
    except OutOfReachError as error:
        why = str(error).splitlines()[0]
        return f"warning: known vulnerabilities were not looked up, there is no answer: {why}"


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
                sys.stdout.write(f"{audit()}\n")
                return 0
    except PackagesError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stderr.write("usage: packages.py sbom FILE | packages.py audit\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
