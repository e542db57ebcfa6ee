"""Everything on this machine: Kafka, Postgres, worker, API and demo traffic as child processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local import processes
from nova_stream.local.commands import Addresses, Commands
from nova_stream.local.folders import make_private
from nova_stream.local.jars import Progress, silent
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.locks import FileLock
from nova_stream.local.ports import HOST, is_free, next_free_port, require_free
from nova_stream.local.postgres import DatabaseRoles, LocalPostgres
from nova_stream.local.processes import Launch
from nova_stream.local.service import Service
from nova_stream.local.stack_env import LOCK, read_or_make_token, write_stack_env
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.access.grants import Role

DEFAULT_PORT = 8600

#: Marks the stack's own children, so that the next start finds what a killed one left.
_MARK = "NOVA_STACK_DIR"


class Stack:
    """The whole of nova-stream in ``data_dir``; one at a time in a folder, several on a machine.

    What ``NOVA_KAFKA_BROKERS`` or ``NOVA_DATABASE_URL`` names is used and not started. Use it in
    the main thread: ``start``, then ``watch`` (which returns by an exception only), and ``stop``
    in any case. With ``ephemeral`` all data lies in a folder inside of ``data_dir`` that is
    removed at the stop, and at the next start if this one is killed.

    ``say`` is told what a user must see while it runs (a child that died).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        commands: Commands,
        port: int | None = None,
        ephemeral: bool = False,
        progress: Progress = silent,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._dir = data_dir.expanduser().resolve()
        self._data = self._dir / "nova-stream-ephemeral" if ephemeral else self._dir
        self._commands = commands
        self._port = port
        self._ephemeral = ephemeral
        self._progress = progress
        self._say = say
        self._lock = FileLock(self._dir / LOCK)
        self._made_dir = False
        self._kafka: LocalKafka | None = None
        self._postgres: LocalPostgres | None = None
        self._roles: DatabaseRoles | None = None
        self._services: list[Service] = []

    @property
    def _stack_env(self) -> Path:
        return self._dir / "stack.env"

    def start(self) -> Addresses:
        """Bring everything up and write ``stack.env``.

        Raises LocalStackError or SettingsError; call ``stop`` then, too.
        """
        settings = load_settings()
        if self._port is not None:
            require_free(self._port, "the API", "give another --port")
        self._take_folder()
        self._clean()
        self._start_servers(settings)
        environment = self._environment(settings)
        self._migrate(environment)
        if self._kafka is not None:
            self._progress("waiting for Kafka", 0.0)
            self._kafka.wait()
        api = {**environment, **self._login(Role.API)}
        environment["NOVA_API_URL"] = self._start_api(api)
        worker = {**environment, **self._login(Role.WORKER)}
        self._start_service("worker", self._commands.worker, worker)
        self._wait_for_worker(settings, environment)
        if self._commands.demo is not None:
            self._start_service("demo", self._commands.demo, worker)
        environment |= self._login(Role.MIGRATE)
        published = {
            name: value
            for name, value in environment.items()
            if name.startswith("NOVA_") and not name.startswith("NOVA_TEST_") and name != _MARK
        }
        write_stack_env(self._stack_env, published, self._made(settings))
        return Addresses(
            kafka=environment["NOVA_KAFKA_BROKERS"],
            database_url=environment["NOVA_DATABASE_URL"],
            api=environment["NOVA_API_URL"],
            token=environment["NOVA_API_TOKEN"],
            own_kafka=self._kafka is not None,
            own_postgres=self._postgres is not None,
            stack_env=self._stack_env,
            logs=self._data / "logs",
        )

    def watch(self, *, interval: float = 0.25) -> None:
        """Keep everything running, for ever.

        Raises LocalStackError when Kafka or Postgres ended and cannot be started again.
        """
        while True:
            self.check()
            time.sleep(interval)

    def check(self) -> None:
        """One look: start again, loudly, what ended."""
        if self._kafka is not None and not self._kafka.is_running():
            self._say(f"Kafka ended unexpectedly ({self._kafka.log}.1 says why); it starts again")
            before = self._kafka.bootstrap_servers
            self._kafka.start()
            _require_same("Kafka", before, self._kafka.bootstrap_servers)
        if self._postgres is not None and not self._postgres.is_running():
            log = self._postgres.log
            self._say(f"Postgres ended unexpectedly ({log}.1 says why); it starts again")
            before = self._postgres.url
            self._postgres.start()
            _require_same("Postgres", before, self._postgres.url)
        for service in self._services:
            service.check()

    def stop(self) -> None:
        """End every process, remove ``stack.env`` and, if ephemeral, all data. May be repeated."""
        if not self._lock.held:
            return

        self._stack_env.unlink(missing_ok=True)
        processes.stop_all([s.process for s in reversed(self._services) if s.process is not None])
        self._services.clear()
        # Whatever they left, and a child whose start was interrupted.
        processes.end_leftovers(processes.find_marked(_MARK, str(self._dir)))
        if self._kafka is not None:
            self._kafka.stop()
        if self._postgres is not None:
            self._postgres.stop()
        if self._ephemeral:
            self._remove_data()
        if self._ephemeral and self._made_dir:
            (self._dir / ".gitignore").unlink(missing_ok=True)
        self._lock.release(remove=True)
        if self._ephemeral and self._made_dir:
            with contextlib.suppress(OSError):  # somebody has put something there
                self._dir.rmdir()

    # -- the steps of start --------------------------------------------------------------------

    def _take_folder(self) -> None:
        self._made_dir = not self._dir.exists()
        try:
            taken = self._lock.acquire()
        except OSError as error:
            raise LocalStackError(
                f"{self._dir} cannot be used: {error.strerror}; give another --data-dir"
            ) from error
        if not taken:
            raise LocalStackError(
                f"process {self._lock.owner()} runs nova-stream dev in {self._dir}; stop it or "
                "give another --data-dir"
            )

    def _clean(self) -> None:
        """End and remove what a killed run left: we hold the folder's lock, so it is all ours."""
        self._stack_env.unlink(missing_ok=True)
        processes.end_leftovers(processes.find_marked(_MARK, str(self._dir)))
        if self._ephemeral:
            self._remove_data()
        if self._made_dir:
            self._dir.chmod(0o700)
        make_private(self._data)
        if self._made_dir:
            (self._dir / ".gitignore").write_text("*\n", encoding="ascii")

    def _remove_data(self) -> None:
        """Remove an ephemeral run's folder, and the servers that a killed one left on it first."""
        if self._data.exists():
            LocalKafka(self._data).destroy()
            LocalPostgres(self._data).destroy()
            shutil.rmtree(self._data, ignore_errors=True)

    def _start_servers(self, settings: Settings) -> None:
        """Start what is not given; Kafka, the slowest, is waited for later."""
        given = settings.model_fields_set
        if "kafka_brokers" not in given:
            self._kafka = LocalKafka(self._data, progress=self._progress)
            self._kafka.launch()
        if "database_url" not in given:
            self._postgres = LocalPostgres(
                self._data, fsync=not self._ephemeral, progress=self._progress
            )
            self._postgres.start()

    def _migrate(self, environment: Mapping[str, str]) -> None:
        self._progress("bringing the database to the newest schema", 0.0)
        command, given = [*self._commands.migrate], {**environment}
        if self._postgres is not None and self._commands.roles:
            self._roles = DatabaseRoles(self._data / "run")
            command.append("--roles")
            given |= self._roles.settings()
        processes.run(command, what="nova-stream migrate", env=given, limit=300)

    def _login(self, role: Role) -> dict[str, str]:
        """Where a program logs in that is not to be the local Postgres's superuser."""
        if self._roles is None or self._postgres is None:
            return {}
        return {"NOVA_DATABASE_URL": self._roles.url(self._postgres.url, role)}

    def _environment(self, settings: Settings) -> dict[str, str]:
        """What the children see: our variables, and the caller's where we have nothing to say."""
        if settings.api_token is not None:
            token = settings.api_token.get_secret_value()
        else:
            token = read_or_make_token(self._data / "run" / "api-token")
        ours = {
            "NOVA_KAFKA_BROKERS": self._kafka.bootstrap_servers
            if self._kafka
            else ",".join(settings.kafka_brokers),
            "NOVA_DATABASE_URL": self._postgres.url
            if self._postgres
            else settings.database_url.get_secret_value(),
            "NOVA_API_TOKEN": token,
            "NOVA_METRICS_PORT": "0",
            _MARK: str(self._dir),
        }
        if "archive_url" not in settings.model_fields_set:
            archive = self._data / "archive"
            archive.mkdir(mode=0o700, exist_ok=True)
            ours["NOVA_ARCHIVE_URL"] = archive.as_uri()
        return {**os.environ, **ours}

    def _made(self, settings: Settings) -> set[str]:
        """The settings of ``stack.env`` that no caller gave."""
        made = {"NOVA_API_URL", "NOVA_METRICS_PORT"}
        if self._kafka is not None:
            made.add("NOVA_KAFKA_BROKERS")
        if self._postgres is not None:
            made.add("NOVA_DATABASE_URL")
        if settings.api_token is None:
            made.add("NOVA_API_TOKEN")
        if "archive_url" not in settings.model_fields_set:
            made.add("NOVA_ARCHIVE_URL")
        return made

    def _start_api(self, environment: Mapping[str, str]) -> str:
        """Start the API and wait until it answers; its address.

        Without a given port the next one is tried when somebody else was faster.
        """
        self._progress("starting the API", 0.0)
        port = self._port or next_free_port(DEFAULT_PORT)
        while not self._api_comes_up(port, environment):
            port = next_free_port(port + 1)
        return f"http://{HOST}:{port}"

    def _api_comes_up(self, port: int, environment: Mapping[str, str]) -> bool:
        """False when somebody else took a port that the user did not ask for."""
        address = f"http://{HOST}:{port}"
        command = [*self._commands.api, "--host", HOST, "--port", str(port)]
        service = self._start_service("api", command, {**environment, "NOVA_API_URL": address})
        assert service.process is not None
        try:
            processes.wait_ready(
                "the API",
                service.process,
                lambda: self._is_live(address, service),
                log=service.log,
                limit=60,
            )
        except LocalStackError:
            if self._port is not None or is_free(port) or service.is_running():
                raise
            self._services.remove(service)
            return False
        return True

    def _is_live(self, address: str, service: Service) -> bool:
        # Before it says so, somebody else may answer there, and our own is about to end.
        if _LISTENS not in service.log.read_bytes():
            return False
        try:
            with urllib.request.urlopen(address + self._commands.live_path, timeout=2):  # noqa: S310
                return service.is_running()
        except (OSError, urllib.error.URLError):
            return False

    def _start_service(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> Service:
        launch = Launch(command, log=self._data / "logs" / f"{name}.log", env=environment)
        service = Service(name, launch, say=self._say, until_done=name == "demo")
        self._services.append(service)
        service.start()
        return service

    def _wait_for_worker(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._progress("starting the worker", 0.0)
        worker = self._services[-1]
        assert worker.process is not None
        brokers, group = environment["NOVA_KAFKA_BROKERS"], settings.consumer_group
        processes.wait_ready(
            "the worker",
            worker.process,
            lambda: self._commands.worker_ready(brokers, group),
            log=worker.log,
            limit=90,
        )


#: What the API writes once the port is its own.
_LISTENS = b"nova-stream api listens on "


def _require_same(what: str, before: str, now: str) -> None:
    if now != before:
        raise LocalStackError(
            f"{what} ended, and another program took its port meanwhile; start again"
        )
