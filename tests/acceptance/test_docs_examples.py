"""Every example of README and docs runs as it is pasted, with `nova-stream dev` running.

A page's blocks run in their order, in a terminal that docs/README.md has prepared and in which
nothing else is set: no environment is activated. The only way out is a comment before a block,
``<!-- not run: why -->``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from nova_stream.testing.servers import fresh_database

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<kind>console|bash|sh|shell|python|sql)\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: What curl is answered that is told to be wrong.
_REFUSED = re.compile(r'"status": ?"?(?:[45]\d\d|error)')


class Block(NamedTuple):
    kind: str
    text: str
    why: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(m["kind"], m["text"], m["why"]) for m in _FENCE.finditer(text)]


def commands(block: Block) -> str:
    """What a reader types: the lines after a prompt, and those that they go on with."""
    typed: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif typed and typed[-1].endswith("\\"):
            typed.append(line)
    return "\n".join(typed)


PREPARED = commands(blocks(ROOT / "docs" / "README.md")[0])


class Desk(NamedTuple):
    """A folder beside which `nova-stream dev` runs, and the address of its database's server."""

    folder: Path
    environment: dict[str, str]
    database: str
    servers: dict[str, str]

    def run(self, script: str) -> str:
        """What a new shell writes for ``script`` after it was prepared; all must go well."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{PREPARED}\n{script}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        assert not _REFUSED.search(done.stdout), f"{script}\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def desk(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    bare = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)}
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with fresh_database(nova_postgres) as database, (folder / "dev.log").open("wb") as log:
        servers = {
            "NOVA_KAFKA_BROKERS": nova_kafka,
            "NOVA_DATABASE_URL": database,
            "NOVA_TOPIC_PREFIX": prefix,
            "NOVA_CONSUMER_GROUP": prefix,
            "NOVA_PARTITIONS": "2",
        }
        dev = subprocess.Popen(
            [".venv/bin/nova-stream", "dev"],
            cwd=folder,
            env={**os.environ, **servers},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 120
            while not (folder / ".nova-stream" / "stack.env").exists():
                assert dev.poll() is None, (folder / "dev.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            tests = {"NOVA_TEST_KAFKA_BROKERS": nova_kafka, "NOVA_TEST_DATABASE_URL": nova_postgres}
            yield Desk(folder, bare, database, tests)
        finally:
            dev.send_signal(signal.SIGTERM)
            dev.wait(60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_a_pages_examples_run(page: Path, desk: Desk) -> None:
    typed = []
    for number, block in enumerate(blocks(page)):
        if block.why is not None:
            continue
        if block.kind == "sql":
            await _query(desk, block.text)
        elif block.kind == "python":
            file = desk.folder / f"test_{page.stem}_{number}.py"
            file.write_text(block.text, encoding="utf-8")
            typed.append(_python(desk, file, block.text))
        else:
            typed.append(commands(block))
    text = "\n".join(typed)
    if shutil.which("psql") is None:
        text = re.sub(r"(?m)^psql .*$", "", text)
    if text:
        desk.run(text)


def _python(desk: Desk, file: Path, text: str) -> str:
    if "def test_" not in text:
        return f"python {file}"
    given = " ".join(f"{name}={value!r}" for name, value in desk.servers.items())
    stack = " ".join(f"-u {name}" for name in ("NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL"))
    return f"env {stack} {given} python -m pytest -q -p no:cacheprovider {file}"


async def _query(desk: Desk, text: str) -> None:
    connection = await asyncpg.connect(desk.database)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


def test_every_way_out_is_that_of_a_block() -> None:
    assert sum(block.why is None for page in PAGES for block in blocks(page)) >= 20
    for page in PAGES:
        found = page.read_text(encoding="utf-8").count("<!-- not run:")
        assert found == sum(block.why is not None for block in blocks(page)), page
