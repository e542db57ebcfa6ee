"""A real PostgreSQL: its life, its folder, what a kill -9 leaves."""

from __future__ import annotations

import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from nova_stream.errors import LocalStackError
from nova_stream.local.postgres import LocalPostgres
from nova_stream.local.postgres_config import binaries
from nova_stream.local.sql import postgres_answers, run_sql

from .helpers import alive, processes_of, script

pytestmark = pytest.mark.integration

_HOLDER = """
import sys, time
from pathlib import Path
from nova_stream.local.postgres import LocalPostgres
postgres = LocalPostgres(Path(sys.argv[1]), end_with_parent=sys.argv[2] == "tied")
postgres.start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(tmp_path / "a folder, with 'ü'" / ("long" * 30), fsync=False)
    yield server
    server.destroy()


def test_data_password_and_port_outlast_a_stop(postgres: LocalPostgres) -> None:
    postgres.start()
    first = postgres.url
    run_sql(first, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    postgres.stop()
    assert not postgres_answers(first, limit=1)

    postgres.start()

    assert postgres.url == first
    assert run_sql(first, "SELECT n FROM kept") == [(7,)]


def test_it_is_what_the_stream_needs(postgres: LocalPostgres) -> None:
    postgres.start()

    def setting(name: str) -> object:
        return run_sql(postgres.url, f"SHOW {name}")[0][0]

    assert str(setting("server_version")).startswith("18.")
    assert setting("listen_addresses") == "127.0.0.1"
    assert setting("synchronous_commit") == "on"
    assert setting("fsync") == "off"
    assert setting("server_encoding") == "UTF8"
    assert run_sql(postgres.url, "SELECT current_user, current_database()") == [("nova", "nova")]


def test_a_wrong_password_is_refused(postgres: LocalPostgres) -> None:
    postgres.start()
    wrong = postgres.url.replace("nova:", "nova:no")

    with pytest.raises(asyncpg.InvalidPasswordError):
        run_sql(wrong, "SELECT 1")


def test_password_is_for_its_owner_only(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path, fsync=False) as postgres:
        path = tmp_path / "run" / "postgres-password"

        assert path.read_text().strip() in postgres.url
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sql_tools_connect(postgres: LocalPostgres) -> None:
    postgres.start()

    answer = subprocess.run(
        [binaries() / "psql", postgres.url, "-Atc", "SELECT 6 * 7"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert answer.stdout.strip() == "42"


def test_works_while_a_loop_runs(postgres: LocalPostgres) -> None:
    async def inside() -> bool:
        postgres.start()
        return postgres_answers(postgres.url)

    import asyncio

    assert asyncio.run(inside())


@pytest.mark.parametrize("tie", ["tied", "loose"])
def test_start_after_kill_9_of_the_parent(tmp_path: Path, tie: str) -> None:
    with script(_HOLDER, str(tmp_path), tie) as holder:
        children = psutil.Process(holder.pid).children()
        assert [child.name() for child in children] == ["postgres"]
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        with LocalPostgres(tmp_path) as postgres:
            assert postgres_answers(postgres.url)
            assert alive(children) == []

    assert processes_of(tmp_path) == []


def test_start_after_kill_9_of_the_server(postgres: LocalPostgres) -> None:
    postgres.start()
    run_sql(postgres.url, "CREATE TABLE kept (n int)")
    assert postgres.pid is not None
    server = psutil.Process(postgres.pid)
    orphan = next(child for child in server.children() if "checkpointer" in child.cmdline()[0])
    orphan.suspend()  # does not see that its server is gone, and holds the shared memory
    server.kill()
    server.wait(10)
    assert not postgres.is_running()
    threading.Timer(1, orphan.resume).start()

    postgres.start()

    assert run_sql(postgres.url, "SELECT * FROM kept") == []


def test_number_of_a_dead_server_taken_by_another_process(postgres: LocalPostgres) -> None:
    postgres.start()
    postgres.stop()
    folder = postgres.log.parent.parent / "postgres"
    # As after a crash of the machine: the file is there, its number is somebody else's.
    stranger = psutil.Process()
    (folder / "postmaster.pid").write_text(f"{stranger.pid}\n{folder}\n1\n5432\n\n127.0.0.1\n")

    postgres.start()

    assert stranger.is_running()
    assert postgres_answers(postgres.url)


def test_half_an_initdb_is_made_anew(postgres: LocalPostgres) -> None:
    folder = postgres.log.parent.parent
    (folder / "postgres.new" / "base").mkdir(parents=True)

    postgres.start()

    assert postgres_answers(postgres.url)


def test_second_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        LocalPostgres(tmp_path, fsync=False) as first,
        pytest.raises(LocalStackError, match=r"process \d+ runs the Postgres of "),
    ):
        LocalPostgres(tmp_path).start()
    assert not first.is_running()


def test_taken_port_is_named(postgres: LocalPostgres, tmp_path: Path) -> None:
    postgres.start()
    port = int(postgres.url.rpartition(":")[2].split("/")[0])

    with pytest.raises(LocalStackError, match=f"port {port} on 127.0.0.1 is taken"):
        LocalPostgres(tmp_path / "other", port).start()


def test_destroy_leaves_nothing(postgres: LocalPostgres) -> None:
    postgres.start()
    folder = postgres.log.parent.parent

    postgres.destroy()

    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert processes_of(folder) == []
