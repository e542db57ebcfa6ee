"""Whatever a route takes at the largest: probes are answered, and the API's memory is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from nova_stream.api.app import ROUTES
from nova_stream.api.budget.budget import MB
from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.local.ports import free_port
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.database import connect
from tests.acceptance.harness import Stack, stopped_at_the_end, until
from tests.acceptance.test_broker_kills import ready, start_api
from tools.limits_page import budgets_of

_log = logging.getLogger(__name__)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

MEMORY = 300 * MB
#: Seconds within which probes answer: enough for a machine that does other things, too, and not
#: for a loop that is blocked. For a quiet one with two cores: NOVA_TEST_PROBE=0.25.
PROBED = float(os.environ.get("NOVA_TEST_PROBE", "2.5"))
#: Of each request so many at a time.
TOGETHER = 8
AGENTS = 30_000
TOKEN, OTHER = "largest", "another"

#: As many agents as a stream of changes begins with.
FILL_AGENTS = [
    f"""
INSERT INTO agents (id, name, version, version_minor, changed_at, src_partition, src_offset, doc)
SELECT 'a' || n, 'AGENT-' || n, 1, 0, now(), 0, n, jsonb_build_object('role', repeat('r', 100))
FROM generate_series(1, {AGENTS}) n""",
    f"""
INSERT INTO agent_stats_cache (agent_id, agent_name, role, total_tasks, completed_tasks,
    failed_tasks, success_rate, avg_duration, last_active, current_status, cached_at)
SELECT 'a' || n, 'AGENT-' || n, repeat('r', 100), 1, 1, 0, 100, 1,
    now() - n * interval '1 second', 'idle', now()
FROM generate_series(1, {AGENTS}) n""",
]
FILL_REST = [
    f"""
INSERT INTO agent_stats_partials (agent, topic, partition)
SELECT 'AGENT-' || n, 't', 0 FROM generate_series(1, {AGENTS}) n""",
    f"""
INSERT INTO execution_days (agent, day, executions, timed, duration_sum, histogram)
SELECT 'AGENT-' || n, '2026-01-02', 2, 2, 2e12, 1e6300::numeric + 1e15714::numeric
FROM generate_series(1, {AGENTS}) n""",
    """
INSERT INTO execution_hours (agent, hour, executions, timed, duration_sum, histogram)
SELECT 'AGENT-' || n % 3, '2026-01-01Z'::timestamptz + n / 3 * interval '1 hour', 2, 2, 2e12,
    1e6300::numeric + 1e15714::numeric
FROM generate_series(0, 8999) n""",
    f"""
INSERT INTO execution_days_until (agent, until)
SELECT 'AGENT-' || n, CASE WHEN n < 3 THEN '2026-06-01' ELSE '2026-01-03' END::timestamptz
FROM generate_series(1, {AGENTS}) n""",
    """
INSERT INTO builds (id, status, started_at, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'b' || n, 'running', now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('prdId', 'p', 'status', 'running', 'error', repeat('e', 100000))
FROM generate_series(1, 500) n""",
    """
INSERT INTO tasks (id, build_id, agent, status, version, version_minor, changed_at, src_partition,
    src_offset, created_at, doc)
SELECT 't' || n, 'b1', 'AGENT-1', 'failed', 1, 0, now(), 0, n, now(),
    jsonb_build_object('buildId', 'b1', 'status', 'failed', 'agent', 'AGENT-1', 'phase', n % 9,
        'output', repeat('o', 5000))
FROM generate_series(1, 20000) n""",
    """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'e' || n, 't1', 'AGENT-1', 1, now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('agent', 'AGENT-1', 'prompt', repeat('p', 100000),
        'response', repeat('r', 100000))
FROM generate_series(1, 2000) n""",
    # Each of the tasks has failed, and only an execution says why.
    """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'f' || n, 't' || n, 'AGENT-1', 1, '2020-01-01', 1, 0, now(), 0, n,
    jsonb_build_object('agent', 'AGENT-1', 'error', repeat('e', 100000))
FROM generate_series(1, 20000) n""",
    """
INSERT INTO agent_activity_feed (id, timestamp, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'v' || n, now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('userId', 'system', 'agentName', 'AGENT-1', 'eventType', 'playbook_updated',
        'prdId', 'p', 'details', repeat('d', 50000))
FROM generate_series(1, 2000) n""",
    """
INSERT INTO dead_letters (topic, partition, "offset", headers, reason, message, state, value)
SELECT 't', 0, n, '[]', 'r', 'm', 'open', convert_to(repeat(E'\\x01', 8000000), 'UTF8')
FROM generate_series(1, 3) n""",
    """
INSERT INTO job_runs (job, kind, scheduled_at, started_at, ended_at, outcome, result)
SELECT 'healthCheck', 'manual', now() - n * interval '1 second', now(), now(), 'manual', '{}'
FROM generate_series(1, 2000) n""",
]


def values(size: int, piece: bytes) -> bytes:
    """A list of so many bytes."""
    return b"[" + piece * (size // len(piece)) + b"1]"


def nested(size: int) -> bytes:
    """JSON as deep as it may be, again and again."""
    return values(size, b"[" * 250 + b"]" * 250 + b",")


def events() -> bytes:
    """As many changes as a body takes."""
    line = {"entity": "users", "op": "c", "after": {"id": "u", "tier": "x" * 300}}
    many = [json.dumps(line | {"seq": number}) for number in range(20_000)]
    return f"[{','.join(many)}]".encode()


def call(path: str, **args: Any) -> bytes:
    return json.dumps({"path": path, "args": args}).encode()


CALLS = [
    call("atlas:getAgentExecutions", agent="AGENT-1", limit=16384),
    call("atlas:getBuildStatus", prdId="p"),
    call("atlas:getLearnings", prdId="p"),
    call("dashboard:getAgentStats"),
    call("dashboard:getOverviewStats"),
    call("dashboard:getBuild", buildId="b1"),
    call("dashboard:listBuilds", pageSize=100),
    call("dashboard:listTasks", buildId="b1"),
    call("realtime:subscribeToActivity"),
    call("realtime:subscribeToBuilds"),
    call("realtime:getAgentActivityHistory", agentName="AGENT-1", limit=16384),
    call("realtime:getRecentActivity", limit=16384, hours=1000),
    call("realtime:getBuildActivityTimeline", buildId="b1"),
    call("activity:getAgentActivity", limit=16384),
    call("activity:getAgentActivityByAgent", agentName="AGENT-1", limit=16384),
    call("dashboard:createBuild", prdId="p", prdName="x" * 4_000_000),
    nested(4 * MB - 600),
    values(4 * MB - 10, b"1,"),
    values(390_000, b'{"a":{}},'),
    b'{"path": "dashboard:getBuild", "args": {"x": ' + values(MB, b'{"a":1.5},') + b"}}",
]
#: Days that are counted already.
DAYS = "from=2026-01-01T00:00:00Z&to=2026-01-04T00:00:00Z"
#: As many buckets as a series has at most.
SERIES = "bucket=1m&from=2026-01-01T00:00:00Z&to=2026-01-03T02:00:00Z"
#: The same of hours that are counted already.
HOURS = "bucket=1h&from=2026-01-01T00:00:00Z&to=2026-05-06T00:00:00Z"
#: The largest that each route takes; a path with several is several requests.
LARGEST: dict[str, list[tuple[str, bytes | None]]] = {
    "GET /api/v1/activity": [("/api/v1/activity?limit=500", None)],
    "GET /api/v1/agent/explain": [
        ("/api/v1/agent/explain?name=AGENT-1&figure=totalTasks&limit=500", None)
    ],
    "GET /api/v1/agent/stats": [
        ("/api/v1/agent/stats?name=AGENT-1", None),
        (f"/api/v1/agent/stats?name=AGENT-1&{DAYS}", None),
    ],
    "GET /api/v1/agents/history": [
        (f"/api/v1/agents/history?hours={168 - n}&buckets={200 - n}", None) for n in range(TOGETHER)
    ],
    "GET /api/v1/agents/stats": [
        ("/api/v1/agents/stats?unregistered=true", None),
        ("/api/v1/agents/stats", None),
        (f"/api/v1/agents/stats?{DAYS}", None),
    ],
    "GET /api/v1/agents/{name}/explain": [
        ("/api/v1/agents/AGENT-1/explain?figure=avgDuration&limit=500", None)
    ],
    "GET /api/v1/agents/{name}/stats": [("/api/v1/agents/AGENT-1/stats", None)],
    "GET /api/v1/agent/series": [
        (f"/api/v1/agent/series?name=AGENT-1&{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agents/series": [
        (f"/api/v1/agents/series?{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agents/comparison": [
        (f"/api/v1/agents/comparison?unregistered=true&{DAYS}", None)
    ],
    "GET /api/v1/agents/{name}/series": [
        (f"/api/v1/agents/AGENT-1/series?{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agent/slowest": [(f"/api/v1/agent/slowest?name=AGENT-1&limit=500&{DAYS}", None)],
    "GET /api/v1/agents/{name}/slowest": [
        (f"/api/v1/agents/AGENT-1/slowest?limit=500&{DAYS}", None)
    ],
    "GET /api/v1/alerts": [("/api/v1/alerts?limit=500", None)],
    "GET /api/v1/build": [("/api/v1/build?id=b1", None)],
    "GET /api/v1/builds": [("/api/v1/builds?limit=500", None)],
    "GET /api/v1/builds/history": [("/api/v1/builds/history?days=366", None)],
    "GET /api/v1/builds/series": [(f"/api/v1/builds/series?{SERIES}", None)],
    "GET /api/v1/builds/stats": [("/api/v1/builds/stats", None)],
    "GET /api/v1/builds/{id}": [("/api/v1/builds/b1", None)],
    "GET /api/v1/dead-letters": [("/api/v1/dead-letters?limit=500", None)],
    "GET /api/v1/dead-letters/{id}": [("/api/v1/dead-letters/1", None)],
    "GET /api/v1/engagement": [("/api/v1/engagement", None)],
    "GET /api/v1/execution": [("/api/v1/execution?id=e1", None)],
    "GET /api/v1/executions": [
        ("/api/v1/executions?limit=500", None),
        (f"/api/v1/executions?limit=500&agent=AGENT-1&order=-duration&{DAYS}", None),
    ],
    "GET /api/v1/executions/{id}": [("/api/v1/executions/e1", None)],
    "GET /api/v1/jobs": [("/api/v1/jobs", None)],
    "GET /api/v1/jobs/{name}/runs": [("/api/v1/jobs/healthCheck/runs?limit=500", None)],
    "GET /api/v1/jobs/{name}/runs/{runId}": [("/api/v1/jobs/healthCheck/runs/1", None)],
    "GET /api/v1/overview": [("/api/v1/overview", None)],
    "GET /api/v1/runs": [("/api/v1/runs?limit=500", None)],
    "GET /api/v1/runs/summary": [("/api/v1/runs/summary", None)],
    "GET /api/v1/search": [("/api/v1/search?q=agent&limit=20", None)],
    "GET /api/v1/settings": [("/api/v1/settings", None)],
    "GET /api/v1/stream": [],  # by itself, below
    "GET /api/v1/stream/history": [(f"/api/v1/stream/history?{SERIES}", None)],
    "GET /api/v1/stream/status": [("/api/v1/stream/status", None)],
    "GET /api/v1/task": [("/api/v1/task?id=t1&limit=500", None)],
    "GET /api/v1/tasks": [("/api/v1/tasks?limit=500", None)],
    "GET /api/v1/tasks/{id}": [("/api/v1/tasks/t1?limit=500", None)],
    "GET /api/v1/token": [("/api/v1/token", None)],
    "GET /api/v1/trail": [("/api/v1/trail?limit=500", None)],
    "GET /api/v1/user": [("/api/v1/user?id=u1", None)],
    "GET /api/v1/users": [("/api/v1/users?limit=500", None)],
    "GET /api/v1/users/{id}": [("/api/v1/users/u1", None)],
    "GET /health/live": [("/health/live", None)],
    "GET /health/ready": [("/health/ready", None)],
    "GET /metrics": [("/metrics", None)],
    "POST /api/mutation": [("/api/mutation", body) for body in CALLS],
    "POST /api/query": [("/api/query", body) for body in CALLS],
    "POST /api/v1/alerts/{id}/acknowledge": [("/api/v1/alerts/1/acknowledge", b"")],
    "POST /api/v1/dead-letters/{id}/discard": [("/api/v1/dead-letters/2/discard", b"")],
    "POST /api/v1/dead-letters/{id}/retry": [("/api/v1/dead-letters/3/retry", b"")],
    "POST /api/v1/events": [
        ("/api/v1/events", values(8 * MB, b"1,")),
        ("/api/v1/events", values(390_000, b"1,")),
        ("/api/v1/events", nested(10 * MB - 600)),
        ("/api/v1/events", events()),
        ("/api/v1/events", b" " * (10 * MB)),
    ],
    "POST /api/v1/jobs/{name}/pause": [("/api/v1/jobs/healthCheck/pause", nested(MB - 600))],
    "POST /api/v1/jobs/{name}/resume": [("/api/v1/jobs/healthCheck/resume", b"")],
    "POST /api/v1/jobs/{name}/run": [("/api/v1/jobs/healthCheck/run", nested(MB - 600))],
    "POST /api/v1/jobs/{name}/runs/{runId}/undo": [("/api/v1/jobs/healthCheck/runs/1/undo", b"")],
    "POST /c/{token}/api/mutation": [(f"/c/{TOKEN}/api/mutation", CALLS[0])],
    "POST /c/{token}/api/query": [(f"/c/{TOKEN}/api/query", CALLS[0])],
}


def test_the_walk_goes_to_every_route_and_function() -> None:
    routes = budgets_of(route for module in ROUTES for route in module.router.routes)
    assert routes.keys() == LARGEST.keys()
    text = b"".join(CALLS).decode()
    for path, function in FUNCTIONS.items():
        assert function.kind == "mutation" or path in text, path


class Probes:
    """A process that asks whether the API lives, again and again, and looks at its memory."""

    def __init__(self, stack: Stack, address: str, process: subprocess.Popen[bytes]) -> None:
        self._told = stack.folder / "probes.txt"
        self._asks = [sys.executable, "-c", PROBE, address, str(process.pid)]
        self._seen = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        with self._told.open("wb") as told, subprocess.Popen(self._asks, stdout=told) as probing:
            try:
                yield
                assert probing.poll() is None
            finally:
                probing.kill()

    def told(self) -> tuple[int, int]:
        """The slowest probe since the last question in milliseconds, and the largest memory so far
        in MB.
        """
        lines = [line.split() for line in self._told.read_text().splitlines()]
        assert lines
        slowest = max((float(line[0]) for line in lines[self._seen :]), default=0.0)
        self._seen = len(lines)
        return round(slowest * 1000), round(max(int(line[1]) for line in lines) / MB)


#: Prints how long each probe took, on a connection of its own, and the memory of a process.
PROBE = """
import sys, time, urllib.request
import psutil
address, process = sys.argv[1], psutil.Process(int(sys.argv[2]))
while True:
    began = time.monotonic()
    with urllib.request.urlopen(f"{address}/health/live", timeout=30) as answer:
        assert answer.status == 200
    print(time.monotonic() - began, process.memory_info().rss, flush=True)
    time.sleep(0.02)
"""


async def fill(stack: Stack, statements: list[str]) -> None:
    connection = await connect(stack.settings, "fill")
    try:
        await connection.execute("SET transaction_timeout = 0")
        for statement in statements:
            await connection.execute(statement, timeout=300)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    os.environ["NOVA_API_TOKEN"] = TOKEN
    os.environ["NOVA_API_TOKENS"] = f"other:publish:{OTHER}"
    os.environ["NOVA_API_RATE"] = "0"
    try:
        process = start_api(stack, port)
    finally:
        for name in ("NOVA_API_TOKEN", "NOVA_API_TOKENS", "NOVA_API_RATE"):
            del os.environ[name]
    with stopped_at_the_end([process, stack.start_worker()]):
        await until("the API is ready", lambda: ready(address))
        yield address, process
        assert process.poll() is None
        log = (stack.folder / "api.log").read_text()
        assert "Traceback" not in log, log[-4000:]


async def test_every_route_at_its_largest(stack: Stack) -> None:
    await fill(stack, [*FILL_AGENTS, *FILL_REST])
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        found: dict[str, Any] = {}
        with probes.watching():
            async with (
                httpx.AsyncClient(base_url=address, headers=headers, timeout=120) as client,
            ):

                async def ask(name: str, path: str, body: bytes | None) -> int:
                    method = name.partition(" ")[0]
                    answer = await client.request(method, path, content=body)
                    assert answer.status_code != 500, (name, answer.text[:500])
                    return answer.status_code

                for name, requests in LARGEST.items():
                    for path, body in requests:
                        asked = [ask(name, path, body) for _ in range(TOGETHER)]
                        statuses = set(await asyncio.gather(*asked))
                        slowest, largest = probes.told()
                        found[f"{path} {(body or b'')[:60]!r}"] = (slowest, largest, statuses)
        for line, figures in found.items():
            _log.info("%s ms, %s MB, %s: %s", *figures, line)
        assert max(largest for _, largest, _ in found.values()) * MB < MEMORY
        slow = {line: figures for line, figures in found.items() if figures[0] > PROBED * 1000}
        assert not slow


async def test_a_hundred_streams_that_never_read(stack: Stack) -> None:
    await fill(stack, FILL_AGENTS)
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])
        ask = (
            f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n"
        ).encode()
        with contextlib.ExitStack() as opened, probes.watching():
            for _ in range(100):
                peer = opened.enter_context(socket.socket())
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connect(("127.0.0.1", port))
                peer.sendall(ask)
                await asyncio.sleep(0.05)
            await asyncio.sleep(5)
        slowest, largest = probes.told()
        _log.info("%s ms, %s MB", slowest, largest)
        assert largest * MB < MEMORY
        assert slowest <= PROBED * 1000


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_3000_idle_and_500_half_open_connections(stack: Stack) -> None:
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])
        half = b"GET /api/v1/overview HTTP/1.1\r\nHost: x\r\n"
        with many_files(), contextlib.ExitStack() as opened, probes.watching():
            for number in range(3500):
                peer = opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                if number >= 3000:
                    peer.sendall(half)
                if number % 100 == 99:
                    await asyncio.sleep(0)
            async with httpx.AsyncClient(base_url=address, timeout=10) as client:
                for _ in range(20):
                    page = await client.get("/")
                    assert page.status_code == 200
                    answer = await client.get(
                        "/api/v1/overview", headers={"Authorization": f"Bearer {TOKEN}"}
                    )
                    assert answer.status_code == 200
                    await asyncio.sleep(0.05)
        slowest, largest = probes.told()
        _log.info("%s ms, %s MB", slowest, largest)
        assert slowest <= PROBED * 1000
        assert largest * MB < MEMORY


# -- those who hold on to what they get ------------------------------------------------------------


def after(stack: Stack, partitions: int) -> str:
    """A token that the stream does not come to."""
    topic = next(iter(stack.settings.topics()))
    return PositionToken({topic: dict.fromkeys(range(partitions), 0) | {0: 10**9}}).encode()


async def status_of(address: str, headers: bytes, body: bytes = b"") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(headers + body)
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return int(line.split()[1])


async def test_those_who_hold_on_keep_nobody_else_out(stack: Stack) -> None:
    packed = gzip.compress(json.dumps({"entity": "users", "after": {"id": "u"}}).encode())
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])

        def head(first: str, token: str = TOKEN, *more: str) -> bytes:
            lines = (first + " HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more)
            return "\r\n".join((*lines, "", "")).encode()

        found: dict[str, Any] = {}
        with contextlib.ExitStack() as opened, probes.watching():

            async def hold(sent: list[bytes]) -> None:
                for data in sent:
                    peer = opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                    peer.sendall(data)
                    await asyncio.sleep(0.005)
                await asyncio.sleep(1)

            names = ",".join(f"agent-{number:030}" for number in range(99))
            await hold([head(f"GET /api/v1/stream?agents=n{n},{names}") for n in range(180)])
            found["streams"] = probes.told()
            many = ",".join(f"{number:x}" for number in range(10_000))
            assert await status_of(address, head(f"GET /api/v1/stream?agents={many}")) == 422
            waits = "GET /api/v1/overview?timeout=5&after="
            assert await status_of(address, head(f"{waits}{after(stack, 2400)}")) == 422
            await hold([head(f"{waits}{after(stack, 1)}")] * 400)
            found["waiting"] = probes.told()
            slow = head("POST /api/query", TOKEN, "Transfer-Encoding: chunked")
            await hold([slow + b"10001\r\n" + b" " * 0x10001 + b"\r\n"] * 20)
            publish = head(
                "POST /api/v1/events",
                OTHER,
                "Content-Encoding: gzip",
                f"Content-Length: {len(packed)}",
            )
            assert await status_of(address, publish, packed) == 202
            found["bodies"] = probes.told()
        _log.info("%s", found)
        for slowest, largest in found.values():
            assert slowest <= PROBED * 1000
            assert largest * MB < MEMORY
