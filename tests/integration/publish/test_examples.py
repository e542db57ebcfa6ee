"""The examples of docs/publishing.md work as they stand there, with a worker and the API."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nova_stream.local import processes
from nova_stream.local.kafka import group_is_stable
from nova_stream.local.ports import free_port
from nova_stream.publish.files import LineFile
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[3] / "docs" / "publishing.md"
PROGRAM = [sys.executable, "-m", "nova_stream.cli.main"]


def example(language: str) -> str:
    """The first example in this language."""
    found = re.search(rf"^```{language}\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def environment(
    kafka_settings: Settings, nova_database: str, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """Variables of a stack that runs: a migrated database, a worker, the API."""
    port = free_port()
    brokers = kafka_settings.kafka_brokers[0]
    variables = {
        **os.environ,
        "NOVA_KAFKA_BROKERS": brokers,
        "NOVA_DATABASE_URL": nova_database,
        "NOVA_TOPIC_PREFIX": kafka_settings.topic_prefix,
        "NOVA_CONSUMER_GROUP": kafka_settings.consumer_group,
        "NOVA_PARTITIONS": "2",
        "NOVA_METRICS_PORT": "0",
        "NOVA_API_URL": f"http://127.0.0.1:{port}",
        "NOVA_API_TOKEN": "a-token-of-this-test",
    }
    processes.run([*PROGRAM, "migrate"], env=variables)
    services = [
        processes.start(
            processes.Launch([*PROGRAM, *words], log=tmp_path / f"{words[0]}.log", env=variables)
        )
        for words in (["worker"], ["api", "--port", str(port)])
    ]
    try:
        deadline = time.monotonic() + 60
        while not group_is_stable(brokers, kafka_settings.consumer_group) or not ready(port):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.2)
        yield variables
    finally:
        processes.stop_all(services)


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success
    except httpx.TransportError:
        return False


@pytest.mark.long
def test_the_examples_of_python_and_typescript(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example("python"))
    token = processes.run([sys.executable, str(tmp_path / "example.py")], env=environment).strip()

    assert PositionToken.decode(token).positions
    expected = {"agentName": "NOVA", "role": "docs", "totalTasks": 1, "completedTasks": 1}
    stats = httpx.get(
        f"{environment['NOVA_API_URL']}/api/v1/agents/NOVA/stats",
        params={"after": token, "timeout": "20"},
        headers={"Authorization": f"Bearer {environment['NOVA_API_TOKEN']}"},
        timeout=30,
    ).json()
    assert stats | expected == stats

    node = shutil.which("node")
    if node is None:
        pytest.skip("the TypeScript example needs node")
    (tmp_path / "example.mjs").write_text(example("typescript"))
    printing = f"import('{tmp_path / 'example.mjs'}')"
    script = f"const log = console.log; console.log = v => log(JSON.stringify(v)); {printing}"
    done = subprocess.run([node, "-e", script], env=environment, capture_output=True, check=True)
    shown = json.loads(done.stdout)
    assert shown | expected == shown


def test_the_lines_of_the_file_example_are_right(tmp_path: Path) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text(example("json"))

    with file.open("rb") as opened:
        checked = LineFile(opened).check(on_bad=lambda bad: pytest.fail(str(bad)))
    assert checked.good == 3
