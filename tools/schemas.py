"""Writes ``schemas/``: ``python -m tools.schemas [FOLDER] [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nova_stream.events.change import Entity
from tools.asyncapi import asyncapi_document
from tools.json_schema import record_schema


def schema_files() -> dict[str, str]:
    """The text of every file of the folder, by name."""
    files: dict[str, Any] = {
        f"nova.{entity.value}.schema.json": record_schema(entity) for entity in Entity
    }
    files["asyncapi.json"] = asyncapi_document()
    return {name: f"{json.dumps(content, indent=2)}\n" for name, content in files.items()}


def write_schemas(folder: Path) -> None:
    """Writes every file into ``folder``, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def differing_files(folder: Path) -> list[str]:
    """The names of the files in ``folder`` that are missing, not as they would be written, or
    left over.
    """
    expected = schema_files()
    present = {
        path.name: path.read_text(encoding="utf-8")
        for path in folder.glob("*.json")
        if path.is_file()
    }
    return sorted(
        name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 when ``--check`` finds a file that differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.schemas", description=__doc__)
    parser.add_argument("folder", nargs="?", default="schemas", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    options = parser.parse_args(arguments)
    if not options.check:
        write_schemas(options.folder)
        return 0

    differing = differing_files(options.folder)
    for name in differing:
        sys.stderr.write(f"{options.folder / name} differs: run {parser.prog}\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
