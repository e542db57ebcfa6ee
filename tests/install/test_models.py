"""What docs/models.md shows runs as pasted, with the extra and a driver and nothing else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from tests.install.conftest import ROOT, UV, Environment
from tests.integration.conftest import ApplyLines

pytestmark = pytest.mark.integration

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/models.md").read_text(), re.S)
#: What each of them prints.
PRINTED = (
    "NOVA 2 50.0\nATLAS 0 0.0\n1 builds, 100.0 % completed\n",
    "NOVA 2 50.0\nATLAS 0 0.0\n",
    "Payments: write tests failed after 1 executions\n",
    "NOVA 1\n",
    "",
)
TIME = "2026-02-20T12:00:00Z"
TASK = {"buildId": "b-1", "agent": "NOVA", "createdAt": TIME}
LINES = [
    ("agents", {"id": "a-1", "name": "NOVA", "createdAt": TIME}),
    ("agents", {"id": "a-2", "name": "ATLAS", "createdAt": TIME}),
    ("builds", {"id": "b-1", "prdName": "Payments", "status": "completed", "startedAt": TIME}),
    ("tasks", {"id": "t-1", "title": "write code", "status": "done", **TASK}),
    ("tasks", {"id": "t-2", "title": "write tests", "status": "failed", **TASK}),
    (
        "executions",
        {"id": "e-1", "taskId": "t-2", "agent": "NOVA", "duration": 7, "timestamp": TIME},
    ),
]


@pytest.fixture
def with_drivers(environment: Callable[[str], Environment]) -> Environment:
    """The models, and two drivers of the user's own choice."""
    made = environment("models")
    python = ("--python", str(made.folder / "bin" / "python"))
    constraint = ("--constraint", str(ROOT / "requirements.lock"))
    drivers = ("psycopg[binary]==3.3.9", "asyncpg")
    subprocess.run([*UV, "pip", "install", "-q", *python, *constraint, *drivers], check=True)
    return made


async def test_each_example_runs_as_pasted(
    with_drivers: Environment, migrated_database: str, apply_lines: ApplyLines
) -> None:
    await apply_lines({"entity": entity, "op": "c", "after": after} for entity, after in LINES)
    for example, printed in zip(EXAMPLES, PRINTED, strict=True):
        found = with_drivers.run("python", "-c", example, NOVA_DATABASE_URL=migrated_database)
        assert (found.stdout, found.stderr) == (printed, "")
