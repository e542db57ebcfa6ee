"""The dashboard's libraries: files taken from npm's packages, with version, licence and checksum.

``python -m tests.browser.vendored`` takes them anew, in the versions that vendor.json names (change
one there for a newer one); npm must be installed. The page has no build step and, without scripts
inside of it, no import map: in imports, names of packages and of a package's own files become names
of files here, and a bundler's question for the build is answered. Nothing else is changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "nova_stream/api/static/vendor"
AXE_FOLDER = Path(__file__).parent / "vendor"
_LOCK = "vendor.json"
_IMPORT = re.compile(r"""(from\s*)["']([^"']+)["']""")
_SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+\s*$")

Lock = dict[str, Any]


def read(folder: Path) -> Lock:
    """What ``folder`` should hold: packages with their files, and the files' SHA-256."""
    lock: Lock = json.loads((folder / _LOCK).read_text(encoding="utf-8"))
    return lock


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of what is in ``folder``, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != _LOCK
    }


def renew(folder: Path) -> None:
    """Take the files of ``folder`` from npm, and write vendor.json with what came.

    Raises CalledProcessError when npm cannot get a package.
    """
    lock = read(folder)
    files = [file for package in lock["packages"] for file in package["files"]]
    names = {file["import"]: file["as"] for file in files if "import" in file}
    for package in lock["packages"]:
        with tempfile.TemporaryDirectory() as scratch:
            package["integrity"] = _unpack(package, Path(scratch))
            root = Path(scratch) / "package"
            package["licence"] = json.loads((root / "package.json").read_bytes())["license"]
            for file in package["files"]:
                text = (root / file["path"]).read_text(encoding="utf-8")
                (folder / file["as"]).write_text(_rewritten(text, names), encoding="utf-8")
    lock["sha256"] = checksums(folder)
    (folder / _LOCK).write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


def _unpack(package: Lock, scratch: Path) -> str:
    """Unpack ``package`` into ``scratch``; the integrity that npm has checked."""
    done = subprocess.run(
        ["npm", "pack", "--json", f"{package['name']}@{package['version']}"],
        cwd=scratch,
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    packed = told[0] if isinstance(told, list) else next(iter(told.values()))
    with tarfile.open(scratch / packed["filename"]) as archive:
        archive.extractall(scratch, filter="data")
    return str(packed["integrity"])


def _rewritten(text: str, names: dict[str, str]) -> str:
    text = _IMPORT.sub(
        lambda found: f'{found[1]}"./{names[found[2]]}"' if found[2] in names else found[0], text
    )
    return _SOURCE_MAP.sub("\n", text.replace("process.env.NODE_ENV", '"production"'))


if __name__ == "__main__":
    for place in (FOLDER, AXE_FOLDER):
        renew(place)
        sys.stdout.write(f"{place.relative_to(ROOT)}: {len(checksums(place))} files\n")
