"""docker-compose.yml brought up under a name, with ports and secrets of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nova_stream import ChangePublisher
from nova_stream.local.ports import HOST, free_port
from nova_stream.settings import load_settings

ROOT = Path(__file__).parents[2]
_SECRETS = (
    "POSTGRES_PASSWORD",
    "NOVA_ROLE_PASSWORD_MIGRATE",
    "NOVA_ROLE_PASSWORD_WORKER",
    "NOVA_ROLE_PASSWORD_API",
    "NOVA_ROLE_PASSWORD_BI",
    "NOVA_API_TOKEN",
    "PROMETHEUS_TOKEN",
    "GRAFANA_PASSWORD",
)
_PORTS = ("KAFKA_PORT", "POSTGRES_PORT", "API_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


class RunningCompose:
    """The whole of docker-compose.yml; ``files`` are laid over it."""

    def __init__(self, folder: Path, *files: Path) -> None:
        self.given = {name: secrets.token_hex(24) for name in _SECRETS}
        for name in _PORTS:
            taken = frozenset(int(self.given[known]) for known in _PORTS if known in self.given)
            self.given[name] = str(free_port(exclude=taken))
        self._env = folder / ".env"
        self._env.touch(mode=0o600)
        self._env.write_text("".join(f"{name}={value}\n" for name, value in self.given.items()))
        project = f"nova-test-{secrets.token_hex(4)}"
        self._command = ["docker", "compose", "--env-file", str(self._env)]
        self._command += ["--project-name", project, "--file", str(ROOT / "docker-compose.yml")]
        for file in files:
            self._command += ["--file", str(file)]
        self._published = 0

    def compose(self, *words: str, limit: float = 300) -> str:
        """What ``docker compose WORDS`` prints; AssertionError with all it says when it fails."""
        run = subprocess.run(
            [*self._command, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
        assert run.returncode == 0, f"docker compose {' '.join(words)}:\n{run.stdout}{run.stderr}"
        return run.stdout

    def up(self, *words: str) -> None:
        """Start what does not run, and wait until everything is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "180", *words)

    def states(self) -> dict[str, str]:
        """Container and its health, or the state of one without a health check."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {c["Name"]: c["Health"] or c["State"] for c in map(json.loads, lines)}

    def inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "--no-TTY", service, *command)

    def psql(self, statement: str) -> list[str]:
        """The lines that ``statement`` gives to the superuser."""
        asked = ("psql", "--username=nova", "--dbname=nova", "--tuples-only", "--no-align")
        return self.inside("postgres", *asked, "--command", statement).split()

    def database(self, role: str) -> str:
        """The address of the database for ``nova_ROLE``, from this machine."""
        password = self.given[f"NOVA_ROLE_PASSWORD_{role.upper()}"]
        return f"postgresql://nova_{role}:{password}@{HOST}:{self.given['POSTGRES_PORT']}/nova"

    # -- in and out --------------------------------------------------------------------------------

    def publish(self, count: int) -> str:
        """``count`` finished tasks of agent NOVA, from this machine; their position token."""
        first, self._published = self._published, self._published + count
        return asyncio.run(self._publish(range(first, self._published)))

    async def _publish(self, numbers: range) -> str:
        settings = load_settings(kafka_brokers=(f"{HOST}:{self.given['KAFKA_PORT']}",))
        async with ChangePublisher(settings) as publisher:
            token = await publisher.agent({"id": "a-1", "name": "NOVA"})
            for number in numbers:
                task = {"id": f"t-{number}", "agent": "NOVA", "status": "done"}
                token = token.merge(await publisher.task(task))
        return token.encode()

    def completed(self, after: str) -> int:
        """NOVA's completed tasks as the API tells them, once all up to ``after`` is in."""
        path = f"/api/v1/agents/stats?{urllib.parse.urlencode({'after': after})}"
        (agent,) = self.api(path)["items"]
        return int(agent["completedTasks"])

    @property
    def published(self) -> int:
        """How many tasks have been published so far."""
        return self._published

    def api(self, path: str) -> Any:
        status, body = self.get("API_PORT", path, self.given["NOVA_API_TOKEN"])
        assert status == 200, body
        return json.loads(body)

    def get(self, port: str, path: str, token: str = "") -> tuple[int, str]:
        """Status and body; AssertionError when nothing answers."""
        address = f"http://{HOST}:{self.given[port]}{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(address, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError as error:
            raise AssertionError(f"{address} does not answer: {error}") from error

    # -- Prometheus --------------------------------------------------------------------------------

    def targets(self) -> list[tuple[str, str]]:
        """Job and health of each target that Prometheus has."""
        _, body = self.get("PROMETHEUS_PORT", "/api/v1/targets")
        active = json.loads(body)["data"]["activeTargets"]
        return sorted((target["labels"]["job"], target["health"]) for target in active)

    def measured(self, query: str) -> list[float]:
        """The values that Prometheus gives for ``query``."""
        asked = urllib.parse.urlencode({"query": query})
        _, body = self.get("PROMETHEUS_PORT", f"/api/v1/query?{asked}")
        return [float(series["value"][1]) for series in json.loads(body)["data"]["result"]]


def wait_for(condition: Callable[[], bool], what: str, limit: float = 90) -> None:
    """Wait until ``condition`` holds; what is not there yet counts as not holding."""
    deadline = time.monotonic() + limit
    last = ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except AssertionError as error:
            last = str(error)
        time.sleep(0.5)
    raise AssertionError(f"not within {limit:.0f} s: {what} {last}")
