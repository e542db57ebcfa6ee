"""A streaming standby of a local Postgres: it answers reads, and can take over its address."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from pathlib import Path

import asyncpg

from nova_stream.local import processes
from nova_stream.local.accounts import postgres_account
from nova_stream.local.folders import let_account_through
from nova_stream.local.ports import free_port
from nova_stream.local.postgres_config import binaries, environment, server_options
from tests.chaos.field import Field


class Standby:
    """Follows the primary at ``url`` at a port of its own until it takes over; its data and its log
    lie in ``folder``.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._place = folder / "standby"
        self._url = url
        self.port = free_port()
        self._account = postgres_account()
        self._process: subprocess.Popen[bytes] | None = None

    def copy(self) -> None:
        """Take a base backup that goes on from there."""
        self._place.mkdir(mode=0o700)
        if self._account is not None:
            let_account_through(self._place, self._account)
            shutil.chown(self._place, self._account.uid, self._account.gid)
        data = str(self._place / "data")
        url = self._url.rpartition("/")[0]
        processes.run(
            [str(binaries() / "pg_basebackup"), "-d", url, "-R", "-c", "fast", "-D", data],
            cwd=Path("/"),
            env=environment(),
            account=self._account,
        )

    def start(self, port: int) -> None:
        data = str(self._place / "data")
        launch = processes.Launch(
            [str(binaries() / "postgres"), "-D", data, *server_options(port=port, fsync=True)],
            log=self._place / "standby.log",
            cwd=Path("/"),
            env=environment(),
            account=self._account,
            parent_death_signal=signal.SIGINT,
        )
        self._process = processes.start(launch)

    def stop(self) -> None:
        if self._process is not None:
            processes.stop(self._process, signal_=signal.SIGINT, limit=20)

    async def begin(self) -> None:
        """Follow, and have the primary wait for it at every commit."""
        await asyncio.to_thread(self.copy)
        self.start(self.port)
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            # What nobody waits for stays where it is lost: a commit that does not wait is seen.
            await connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            await connection.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
            await connection.execute("SELECT pg_reload_conf()")
            end = time.monotonic() + 30
            while not await connection.fetchval(
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            ):
                assert time.monotonic() < end, "the standby does not follow"
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    async def wait(self) -> None:
        """Return once it answers."""
        await (await self._connected(self.port)).close()

    async def take_over(self) -> None:
        """Be promoted, and go on at the address of the primary, which must have ended."""
        port = int(self._url.rpartition(":")[2].partition("/")[0])
        connection = await self._connected(self.port)
        await connection.execute("SELECT pg_promote()")
        await connection.close()
        await asyncio.to_thread(self.stop)
        self.start(port)
        await (await self._connected(port)).close()

    async def _connected(self, port: int) -> asyncpg.Connection[asyncpg.Record]:
        end = time.monotonic() + 30
        while True:
            try:
                return await asyncpg.connect(self._url, port=port, timeout=5)
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.1)


async def follow(field: Field) -> Standby:
    """A synchronous standby of the scenario's Postgres."""
    found = Standby(field.folder, field.url)
    field.cleanup.callback(found.stop)
    await found.begin()
    return found
