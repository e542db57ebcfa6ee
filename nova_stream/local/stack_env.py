"""``stack.env``: the running stack's settings, for other programs to read."""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from nova_stream.local.locks import is_locked

#: Where a stack's data lies unless it is told another folder.
FOLDER = ".nova-stream"
#: The lock of whoever runs a stack in a data folder.
LOCK = "dev.lock"
_NAME = "stack.env"

#: In stack.env: its own path, and what the stack made, each name with a digest of its value. A
#: shell that has read the file is known by them, and what it has set itself is told apart.
PATH = "NOVA_STACK_ENV"
_MADE = "NOVA_STACK_MADE"


class FoundStack(NamedTuple):
    """A stack's ``stack.env``, and what it says where the stack runs and the file is ours."""

    path: Path
    state: Literal["running", "starting", "stopped", "foreign"]
    settings: Mapping[str, str]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def write_stack_env(path: Path, settings: Mapping[str, str], made: Collection[str] = ()) -> None:
    """``KEY=value`` lines that a shell can read; quoted only where a shell would need it.

    ``made`` names the settings that are the stack's own, not its caller's.
    """
    own = ",".join(f"{name}:{_digest(settings[name])}" for name in sorted(made))
    lines = {**settings, PATH: str(path), _MADE: own}
    write_private(path, "".join(f"{n}={shlex.quote(v)}\n" for n, v in sorted(lines.items())))


def read_stack_env(path: Path) -> dict[str, str]:
    """The settings in a ``stack.env``. Raises OSError, and ValueError for what is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = dict("".join(shlex.split(line)).split("=", 1) for line in lines if line)
    return {name: value for name, value in found.items() if name not in {PATH, _MADE}}


def find_stack(start: Path, environment: Mapping[str, str]) -> FoundStack | None:
    """The stack that ``NOVA_STACK_ENV`` names, else that of the nearest folder in or above
    ``start`` that has one's data.
    """
    if named := environment.get(PATH, "").strip():
        return _look(Path(named).expanduser())
    for folder in (start, *start.parents):
        data = folder / FOLDER
        if (data / _NAME).exists() or (data / "run").is_dir() or (data / LOCK).exists():
            return _look(data / _NAME)
    return None


def made_by_stack(environment: Mapping[str, str]) -> set[str]:
    """The variables that have the value which a stack made, in a shell that has read its
    ``stack.env``.
    """
    made = (item.partition(":") for item in environment.get(_MADE, "").split(","))
    return {name for name, _, digest in made if digest and _digest(environment.get(name)) == digest}


def forget_stack(environment: dict[str, str] | os._Environ[str]) -> set[str]:
    """Take out of ``environment`` what a stack made; the names of what was there."""
    made = made_by_stack(environment)
    for name in (*made, PATH, _MADE):
        environment.pop(name, None)
    return made


def read_or_make_token(path: Path) -> str:
    """The API token of this data folder, the same at every start."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, token + "\n")
        return token


def _look(path: Path) -> FoundStack:
    try:
        if not _is_ours(path):
            return FoundStack(path, "foreign", {})
        if not is_locked(path.with_name(LOCK)):
            return FoundStack(path, "stopped", {})
        return FoundStack(path, "running", read_stack_env(path))
    except FileNotFoundError:
        state: Literal["starting", "stopped"] = "stopped"
        if is_locked(path.with_name(LOCK)):
            state = "starting"
        return FoundStack(path, state, {})
    except (OSError, ValueError):
        return FoundStack(path, "foreign", {})


def _is_ours(path: Path) -> bool:
    """Whether nobody else could have written it: it says whose servers are sent what we have."""
    found = path.stat()
    writable = stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    return os.name != "posix" or (found.st_uid == os.geteuid() and not writable)


def _digest(value: str | None) -> str:
    return hashlib.sha256((value or "").encode()).hexdigest()[:12]
