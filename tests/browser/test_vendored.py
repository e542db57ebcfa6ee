"""The page's libraries are what was taken from their packages, and nothing leaves the server."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from tests.browser.vendored import AXE_FOLDER, FOLDER, checksums, read

STATIC = FOLDER.parent
OWN = sorted(
    path
    for path in STATIC.rglob("*")
    if path.suffix in {".js", ".css"} and FOLDER not in path.parents
)


@pytest.mark.parametrize("folder", [FOLDER, AXE_FOLDER], ids=["page", "tests"])
def test_files_are_the_recorded_ones(folder: Path) -> None:
    lock = read(folder)
    assert checksums(folder) == lock["sha256"]
    for package in lock["packages"]:
        assert package["version"]
        assert package["licence"]
        assert package["integrity"].startswith("sha512-")
        assert any(file["path"] == "LICENSE" for file in package["files"])


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_imports_are_files_of_this_server(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for found in re.findall(r'^(?:import|export)[^;"]*?from\s*"([^"]+)"', text, re.MULTILINE):
        assert found.startswith("."), found
        assert (path.parent / found).is_file(), found


def test_the_scripts_stay_small() -> None:
    scripts = [path.read_bytes() for path in STATIC.rglob("*.js") if path.name != "docs.js"]
    assert sum(len(gzip.compress(script)) for script in scripts) < 200_000


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_own_file_names_another_server_or_grows_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org)|style=\"", text)
    assert len(text.splitlines()) <= 300
