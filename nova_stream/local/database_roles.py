"""The local Postgres's roles: a password each, kept in the data folder, and their addresses."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from nova_stream.local.stack_env import write_private
from nova_stream.storage.access.grants import Role


class DatabaseRoles:
    """Who logs in at the local Postgres instead of its superuser; ``folder`` keeps the passwords,
    the same at every start.
    """

    def __init__(self, folder: Path) -> None:
        self._passwords = _read_or_make(folder / "role-passwords.json")

    def settings(self) -> dict[str, str]:
        """What ``nova-stream migrate --roles`` gives them their passwords by."""
        return {
            f"NOVA_ROLE_PASSWORD_{role.name}": password
            for role, password in self._passwords.items()
        }

    def url(self, superuser: str, role: Role) -> str:
        """The superuser's address as one of them has it."""
        parts = urlsplit(superuser)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{self._passwords[role]}@{place}"))


def _read_or_make(path: Path) -> dict[Role, str]:
    try:
        known = json.loads(path.read_text(encoding="ascii"))
        return {role: str(known[role]) for role in Role}
    except (FileNotFoundError, KeyError, ValueError):
        made = {role: secrets.token_urlsafe(18) for role in Role}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps(made) + "\n")
        return made
