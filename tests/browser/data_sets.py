"""What the pages show: nothing, rows of every kind, odd texts, a large platform."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, Route

from nova_stream.clock import system_clock
from nova_stream.settings import load_settings
from nova_stream.storage.database import connect
from tests.browser.dashboard import Running, until
from tests.browser.large import LARGE, SLOWER, lines
from tests.browser.routes import Entities

#: Of these there is nothing.
NOBODY: Entities = {
    "agent": "NOBODY",
    "build": "no-build",
    "task": "no-task",
    "execution": "no-execution",
    "archived": "no-archived",
    "user": "no-user",
    "job": "healthCheck",
    "run": 999_999,
    "letter": 999_999,
}
JOB = "compactOldExecutions"

#: Scripts that are written from right to left, overrides of the direction, line breaks.
_BIDI = "עברית \u202egnitirw\u202c العربية\nsecond line\r\n\tthird " + "word " * 60
_LONG = "A" * 10_000
_OPEN_LATER = "2099-01-01T00:00:00.000Z"

_ALERTS = """
INSERT INTO alerts (kind, subject, message, began_at, ended_at, acknowledged_by, acknowledged_at)
SELECT 'slow', $1, $2, now() - interval '3 days', now(),
    CASE WHEN n % 3 = 1 THEN $1 END, CASE WHEN n % 3 = 1 THEN now() END
FROM generate_series(1, $3) n
"""


def ordinary(running: Running) -> Entities:
    """An entity of each kind as people have them."""
    return _publish(running, "plain", name="PLAIN", title="Write the parser", text="It is done.")


def odd(running: Running) -> Entities:
    """An entity of each kind with texts that break pages: ids, names and documents."""
    long_id = "odd-" + "x" * 80
    found = _publish(running, long_id, name="N" * 90, title=_BIDI, text=_BIDI * 8 + _LONG)
    bidi = _publish(running, "bidi-א/?#", name=_BIDI[:120], title=_LONG, text=_LONG)
    return {**found, "letter": bidi["letter"]}


def large(running: Running, file: Path) -> Entities:
    """A large platform, its changes through ``file``, with an entity of each other kind too."""
    publish_large(running, file)
    numbers = range(300)
    running.publish(
        *({"entity": "users", "after": {"id": f"u-{n}", "userId": f"user-{n}"}} for n in numbers),
        *(
            {"entity": "activities", "after": {"id": f"a-{n}", "eventType": "task_started"}}
            for n in numbers
        ),
    )
    others = _publish(running, "plain", name="PLAIN", title="Write the parser", text="It is done.")
    return {**others, "agent": SLOWER, "build": "build-00003", "task": "task-000133"}


def publish_large(running: Running, file: Path) -> None:
    """Publish all changes of a large platform, and wait until the figures have them."""
    with file.open("wb") as written:
        written.writelines(lines(LARGE, system_clock()))
    done = subprocess.run(
        [sys.executable, "-m", "nova_stream.cli.main", "publish", str(file)],
        env=running.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    token = done.stdout.split()[-1]
    overview = running.call("GET", "/overview", params={"after": token, "timeout": 60})
    assert overview["totalAgents"] >= LARGE.agents


def _publish(running: Running, id_: str, *, name: str, title: str, text: str) -> Entities:
    """Entities with this id and these texts, one more an execution that is archived, a run, a
    dead letter, alerts that have ended, and a line of the trail.
    """
    found = {kind: f"{kind}-{id_}" for kind in ("build", "task", "execution", "archived", "user")}
    running.publish(*_events(found, id_, name, title, text))
    place = running.spoil(f"t-{id_}", text.encode())
    in_a_thread(execute(running, _ALERTS, title[:200], text[:2000], 4))
    httpx.get(f"{running.url}/api/v1/overview", headers={"Authorization": "Bearer nobodys"})
    run = running.call("POST", f"/jobs/{JOB}/run")["runId"]
    until(lambda: running.call("GET", f"/jobs/{JOB}/runs/{run}")["state"] == "ended", limit=40)
    archived = {"id": found["archived"]}
    assert running.call("GET", "/execution", params=archived)["archived"]
    return {**found, "agent": name, "job": JOB, "run": run, "letter": _letter(running, place)}


def _events(
    found: dict[str, str], id_: str, name: str, title: str, text: str
) -> list[dict[str, Any]]:
    build = {"id": found["build"], "prdId": id_, "prdName": title, "status": "failed"}
    task = {"id": found["task"], "buildId": found["build"], "agent": name, "status": "failed"}
    execution = {"taskId": found["task"], "agent": name, "model": title[:80], "duration": 61_234}
    documents = {"prompt": text, "response": text, "error": text, "gatesPassed": False}
    activity = {"agentName": name, "buildId": found["build"], "taskId": found["task"]}
    times = {"startedAt": _OPEN_LATER}
    rows: dict[str, list[dict[str, Any]]] = {
        "agents": [{"id": f"agent-{id_}", "name": name, "role": title}],
        "builds": [{**build, **times, "error": text}],
        "tasks": [
            {**task, "title": title, "error": text, "output": text, "dependencies": [id_] * 9},
            {**task, "id": f"{found['task']}-2", "agent": f"{name[:40]} is not registered"},
        ],
        "executions": [
            {"id": found["execution"], "timestamp": _OPEN_LATER, **execution, **documents},
            {
                "id": found["archived"],
                "timestamp": "2001-01-01T00:00:00.000Z",
                **execution,
                **documents,
            },
        ],
        "activities": [
            {
                "id": f"activity-{id_}",
                "timestamp": _OPEN_LATER,
                "eventType": title[:200],
                "details": text,
                **activity,
            },
        ],
        "users": [{"id": found["user"], "userId": title[:200], "tier": "pro", "email": text[:300]}],
    }
    return [
        {"entity": entity, "after": document}
        for entity, documents_ in rows.items()
        for document in documents_
    ]


def _letter(running: Running, place: str) -> int:
    """The number of the letter at this place of the log."""
    numbers: list[int] = []

    def is_there() -> bool:
        letters = running.call("GET", "/dead-letters?state=open&limit=20")["items"]
        numbers[:] = [
            one["id"]
            for one in letters
            if f"{one['topic']} / {one['partition']} / {one['offset']}" == place
        ]
        return bool(numbers)

    until(is_there)
    return numbers[0]


def in_a_thread(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread of its own: Playwright has a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work)).result()


async def execute(running: Running, sql: str, *values: Any) -> None:
    """Run a statement in the stack's database; in a thread, while there is a browser."""
    settings = load_settings(database_url=running.environment["NOVA_DATABASE_URL"])
    connection = await connect(settings, "test")
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()


def open_alerts_again(page: Page) -> None:
    """From now on the page sees the alerts that have ended as open ones, which the worker would
    otherwise end at once, since nothing is wrong.
    """

    def answer(route: Route) -> None:
        ended = route.fetch(url=route.request.url.replace("open=true", "open=false"))
        if not ended.ok:
            route.fulfill(response=ended)
            return
        told = ended.json()
        told["items"] = [{**alert, "endedAt": None} for alert in told["items"]]
        route.fulfill(response=ended, json=told)

    page.route("**/api/v1/alerts?*open=true*", answer)
