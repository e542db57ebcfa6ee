"""The data folder: what its programs keep is read by nobody else on this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nova_stream.local.accounts import let_through
from nova_stream.local.processes import Account

_OWNER_ONLY = 0o700
#: And an account of the folder's group may pass through, without a look at what is there.
_PASSABLE = 0o710

#: What we put into a data folder.
_PARTS = ("archive", "kafka", "logs", "run")
_OURS = {
    *_PARTS,
    "postgres",
    "postgres.new",
    "nova-stream-ephemeral",
    "stack.env",
    "stack.env.new",
    "dev.lock",
    ".gitignore",
}


def make_private(folder: Path) -> None:
    """Make a data folder where it is missing, and close it and its parts to other accounts.

    A folder that holds other things, too, keeps its own mode; our parts are closed all the same.
    Raises OSError.
    """
    folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    if _is_ours(folder) and stat.S_IMODE(folder.stat().st_mode) != _PASSABLE:
        folder.chmod(_OWNER_ONLY)
    for name in _PARTS:
        part = folder / name
        if name in {"logs", "run"}:
            part.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        if part.is_dir() and stat.S_IMODE(part.stat().st_mode) != _OWNER_ONLY:
            part.chmod(_OWNER_ONLY)


def let_account_through(folder: Path, account: Account) -> None:
    """Let ``account`` reach what lies in a data folder, and nobody else where it is all ours.

    The folders above get mode o+x where they have not got it.
    """
    if _is_ours(folder):
        os.chown(folder, -1, account.gid)
        folder.chmod(_PASSABLE)
        let_through(folder)
    else:
        let_through(folder / "postgres")


def _is_ours(folder: Path) -> bool:
    return {entry.name for entry in folder.iterdir()} <= _OURS
