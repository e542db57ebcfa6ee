"""The built wheel, installed with each extra into an empty environment: what it has works, and what
it lacks is named in one line.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable

import pytest

from nova_stream.events.change import Entity
from nova_stream.extras import EXTRA_OF
from nova_stream.settings import load_settings
from tests.extras import HAS, MODULE, PUBLIC
from tests.install.conftest import ROOT, UV, Environment
from tests.integration.publish.topics import make_topics, read_all

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("extra", HAS)
def test_an_environment_has_what_its_extra_promises_and_nothing_else(
    environment: Callable[[str], Environment], extra: str
) -> None:
    made = environment(extra)
    assert made.imports("nova_stream")
    assert made.run("python", "-c", PUBLIC).stderr == ""
    has = {part for part, modules in MODULE.items() if made.imports(modules)}
    assert has == HAS[extra]


@pytest.mark.parametrize("extra", HAS)
def test_a_command_whose_part_is_missing_names_the_extra(
    environment: Callable[[str], Environment], extra: str
) -> None:
    made = environment(extra)
    for words, needs in (
        (("--version",), "server"),
        (("archive", "list"), "archive"),
        (("dev", "--ephemeral", "--no-demo"), "local"),
    ):
        if needs in HAS[extra] and "server" in HAS[extra]:
            continue
        missing = needs if "server" in HAS[extra] else "server"
        for program in (("nova-stream",), ("python", "-m", "nova_stream")):
            found = made.run(*program, *words)
            assert found.returncode == 2
            assert found.stdout == ""
            (line,) = found.stderr.splitlines()
            assert line.endswith(f"pip install 'nova-stream[{missing}]'")


def test_models_without_their_part_name_the_extra(
    environment: Callable[[str], Environment],
) -> None:
    found = environment("").run("python", "-c", "import nova_stream.models")
    assert found.stderr.splitlines()[-1].endswith("pip install 'nova-stream[models]'")


def test_the_client_without_its_part_names_the_extra(
    environment: Callable[[str], Environment],
) -> None:
    found = environment("").run("python", "-c", "from nova_stream import NovaClient")
    assert found.stderr.splitlines()[-1].endswith("pip install 'nova-stream[client]'")


def test_the_publisher_alone_publishes(
    environment: Callable[[str], Environment], nova_kafka: str, nova_topic_prefix: str
) -> None:
    settings = load_settings(kafka_brokers=(nova_kafka,), topic_prefix=nova_topic_prefix)
    make_topics(settings)
    program = """
import asyncio
from nova_stream import ChangePublisher, RejectedError

async def main():
    async with ChangePublisher() as publisher:
        token = await publisher.task({"id": "t-1", "agent": "NOVA", "status": "done"})
        try:
            await publisher.task({"id": "t-2", "status": "no such status"})
        except RejectedError as error:
            print(error)
        print(token)

asyncio.run(main())
"""
    made = environment("")
    found = made.run(
        "python",
        "-c",
        program,
        NOVA_KAFKA_BROKERS=nova_kafka,
        NOVA_TOPIC_PREFIX=nova_topic_prefix,
    )
    assert found.stderr == ""
    assert "no such status" in found.stdout
    (record,) = asyncio.run(read_all(settings, Entity.TASKS))
    assert record.key == b"t-1"


def test_a_users_pytest_goes_on_where_the_fixtures_cannot_be_used(
    environment: Callable[[str], Environment],
) -> None:
    # The package's pytest plugin is loaded by every run of the environment.
    made = environment("")
    python = str(made.folder / "bin" / "python")
    subprocess.run([*UV, "pip", "install", "-q", "--python", python, "pytest"], check=True)
    test = made.folder / "test_it.py"
    test.write_text("def test_it():\n    from nova_stream import ChangePublisher\n")
    found = made.run("python", "-m", "pytest", "-q", str(test))
    assert found.returncode == 0, found.stdout


def test_the_fixtures_work_with_their_extra(environment: Callable[[str], Environment]) -> None:
    made = environment("testing")
    test = made.folder / "test_it.py"
    test.write_text(
        "def test_it(nova_database):\n    assert nova_database.startswith('postgres')\n"
    )
    found = made.run("python", "-m", "pytest", "-q", str(test))
    assert found.returncode == 0, found.stdout


def test_every_package_of_an_extra_is_named(environment: Callable[[str], Environment]) -> None:
    """What the source imports and the publisher alone lacks is in the table."""
    base = environment("")
    program = (
        "import ast, pathlib, importlib.util, sys\n"
        "names = set()\n"
        f"for path in pathlib.Path({str(ROOT / 'nova_stream')!r}).rglob('*.py'):\n"
        "    for node in ast.walk(ast.parse(path.read_text())):\n"
        "        if isinstance(node, ast.Import):\n"
        "            names |= {alias.name.partition('.')[0] for alias in node.names}\n"
        "        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:\n"
        "            names.add(node.module.partition('.')[0])\n"
        "names -= sys.stdlib_module_names\n"
        "print(*sorted(n for n in names if importlib.util.find_spec(n) is None))"
    )
    lacking = set(base.run("python", "-c", program).stdout.split())
    assert lacking <= EXTRA_OF.keys()
    assert "typer" in lacking
