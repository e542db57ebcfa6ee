"""``stack.env``: the running stack's settings, for other programs to read."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def write_stack_env(path: Path, settings: Mapping[str, str]) -> None:
    """``KEY=value`` lines that a shell can read; quoted only where a shell would need it."""
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in sorted(settings.items()))
    write_private(path, "".join(lines))


def read_or_make_token(path: Path) -> str:
    """The API token of this data folder, the same at every start."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, token + "\n")
        return token
