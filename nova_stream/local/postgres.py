"""A real PostgreSQL 18 on this machine, with nothing installed but Python packages."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from nova_stream.errors import LocalStackError
from nova_stream.local import processes
from nova_stream.local.accounts import let_run, postgres_account
from nova_stream.local.folders import let_account_through
from nova_stream.local.jars import Progress, silent
from nova_stream.local.ports import HOST, accepts
from nova_stream.local.postgres_config import (
    DATABASE,
    INITDB,
    USER,
    binaries,
    environment,
    is_postgres,
    server_options,
)
from nova_stream.local.server import LocalServer
from nova_stream.local.sql import postgres_answers, run_sql
from nova_stream.local.stack_env import write_private
from nova_stream.storage.access.grants import Role


class LocalPostgres(LocalServer):
    """One server, and the password of its user ``nova`` in ``data_dir/run/postgres-password``
    (mode 600); see LocalServer for its verbs and its place. A client logs in over TCP on 127.0.0.1.

    As root the server runs as an account of its own (``pgserver``), which needs to pass through
    ``data_dir``, whose group it becomes, and the folders above it, which get mode o+x.

    ``fsync=False`` is for data that nobody will miss: a crash of the machine may ruin it.
    """

    title = "Postgres"
    #: "Fast": SIGTERM would wait for every client to leave.
    _stop_signal = signal.SIGINT

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        fsync: bool = True,
        progress: Progress = silent,
        end_with_parent: bool = True,
    ) -> None:
        super().__init__(data_dir, port=port, progress=progress, end_with_parent=end_with_parent)
        self._fsync = fsync
        self._password = ""
        self._account: processes.Account | None = None

    @property
    def url(self) -> str:
        """``postgresql://nova:PASSWORD@127.0.0.1:PORT/nova``; LocalStackError before ``start``."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of this server."""
        if self._port is None:
            raise LocalStackError("the local Postgres has no address before start()")
        return f"postgresql://{USER}:{self._password}@{HOST}:{self._port}/{database}"

    def install(self) -> None:
        """Check that the programs are there and run."""
        self._account = postgres_account()
        try:
            self._run("postgres", ["--version"])
        except LocalStackError:
            if self._account is None:
                raise
            let_run(binaries().parent)
            self._run("postgres", ["--version"])

    def start(self, *, limit: float = 60.0) -> None:
        """Start the server and wait until a client can log in, ``limit`` seconds at most."""
        if self.is_running():
            return

        self._take_folder()
        try:
            self.install()
            self._end_leftovers()
            self._progress("starting Postgres", 0.0)
            self._password = self._read_password()
            self._init()
            self._port = self._choose_port(self._port_file)
            self._launch()
            assert self._process is not None
            processes.wait_ready(
                "Postgres", self._process, self._answers, log=self.log, limit=limit
            )
            self._make_database()
        except BaseException:
            self.stop()
            raise

    # -- the steps of start --------------------------------------------------------------------

    @property
    def _password_file(self) -> Path:
        return self._data_dir / "run" / "postgres-password"

    @property
    def _port_file(self) -> Path:
        return self._data_dir / "run" / "postgres-port"

    def _remains(self) -> tuple[Path, ...]:
        return (self._data_dir / "postgres.new", self._password_file, self._port_file)

    def _end_leftovers(self) -> None:
        """End the server that a killed run left on this folder; we hold its lock, so it is one."""
        folder = str(self._folder)
        leftovers = processes.find_leftovers(
            lambda words: folder in words and any(is_postgres(word) for word in words[:8])
        )
        if leftovers:
            self._progress("ending the Postgres of an earlier run", 0.0)
            processes.end_leftovers(leftovers, signal_=signal.SIGINT, limit=20.0)
        # Without their server its own processes end by themselves, but a new one does not start
        # before the last has let go of the shared memory.
        orphans = processes.find_processes(
            lambda process: process.name().startswith("postgres") and process.cwd() == folder
        )
        processes.end_leftovers(orphans, signal_=0, limit=20.0)
        # Nobody serves this folder now. Left in place, the file would stop the server if its
        # number has gone to some other process meanwhile (as in a container started anew).
        (self._folder / "postmaster.pid").unlink(missing_ok=True)

    def _read_password(self) -> str:
        if self._password_file.exists() and (self._folder / "PG_VERSION").exists():
            return self._password_file.read_text(encoding="ascii").strip()

        password = secrets.token_urlsafe(18)
        write_private(self._password_file, password + "\n")
        return password

    def _init(self) -> None:
        """Make the data folder, in one step: a killed initdb is repeated from the start."""
        if (self._folder / "PG_VERSION").exists():
            if self._account is not None:
                let_account_through(self._data_dir, self._account)
            return

        shutil.rmtree(self._folder, ignore_errors=True)
        fresh = self._data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        with tempfile.TemporaryDirectory(prefix="nova-pg-") as scratch:
            password = Path(scratch) / "password"
            password.write_text(self._password, encoding="ascii")
            if self._account is not None:
                let_account_through(self._data_dir, self._account)
                for path in (fresh, Path(scratch), password):
                    os.chown(path, self._account.uid, self._account.gid)
            options = [] if self._fsync else ["--no-sync"]
            self._run("initdb", [*INITDB, *options, f"--pwfile={password}", "-D", str(fresh)])
        fresh.rename(self._folder)

    def _launch(self) -> None:
        assert self._port is not None
        options = server_options(port=self._port, fsync=self._fsync)
        launch = processes.Launch(
            [str(binaries() / "postgres"), "-D", str(self._folder), *options],
            log=self.log,
            cwd=Path("/") if self._account else None,
            env=environment(),
            account=self._account,
            parent_death_signal=signal.SIGINT if self._end_with_parent else None,
        )
        self._process = processes.start(launch)

    def _answers(self) -> bool:
        assert self._port is not None
        return accepts(self._port) and postgres_answers(self.url_of("postgres"))

    def _make_database(self) -> None:
        server = self.url_of("postgres")
        names = run_sql(server, "SELECT datname FROM pg_database")
        if (DATABASE,) not in names:
            run_sql(server, f"CREATE DATABASE {DATABASE}")

    def _run(self, program: str, arguments: Sequence[str]) -> None:
        processes.run(
            [str(binaries() / program), *arguments],
            cwd=Path("/") if self._account else None,
            env=environment(),
            account=self._account,
        )


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
