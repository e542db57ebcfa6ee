"""Those who read while everything fails: writers that read what they wrote, and a page."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

#: The agent whose tasks are all ``done``, written and read over HTTP, but for the one that changes.
OWN = "OWN"
#: The task that each write changes: it is given no version, so that the API's clock orders them.
CHANGED = "own-changed"


class OwnWrites:
    """Publishes a task after the other, and one again and again, and reads each with its token, as
    often as it can.

    An answer that lacks the write of its token, or what an answer had before, is ``unseen``; no
    answer is none.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.acknowledged: set[str] = set()
        self.asked: list[int] = []
        self.reads = 0
        self.unseen: list[str] = []
        self._shown: set[str] = set()
        self._most = 0
        self._number = 0
        self._quiet = asyncio.Event()
        self._paused = False

    async def pause(self) -> None:
        """Write no more, and return when nothing is under way."""
        self._paused = True
        await self._quiet.wait()

    async def run(self) -> None:
        """Go on until paused."""
        async with httpx.AsyncClient(base_url=self._address, timeout=20) as client:
            while not self._paused:
                with contextlib.suppress(httpx.HTTPError):
                    await self.write_and_read(client)
                    await self.change_and_read(client)
                await asyncio.sleep(0.2)
        self._quiet.set()

    async def ask_for_runs(self) -> None:
        """Ask for a recount every few seconds until paused."""
        async with httpx.AsyncClient(base_url=self._address, timeout=20) as client:
            while not self._paused:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.post("/api/v1/jobs/computeAgentStats/run")
                    if answer.status_code == 202:
                        self.asked.append(int(answer.json()["runId"]))
                await asyncio.sleep(4)

    async def write_and_read(self, client: httpx.AsyncClient) -> bool:
        """Whether a task was written and an answer came that has it."""
        id_ = f"own-{self._number}"
        self._number += 1
        task = {"id": id_, "status": "done", "agent": OWN}
        answer = await client.post("/api/v1/events", json={"entity": "tasks", "after": task})
        if not answer.is_success:
            return False
        self.acknowledged.add(id_)
        own = {"after": answer.json()["token"], "timeout": 3}
        answer = await client.get(f"/api/v1/agents/{OWN}/stats", params=own)
        if answer.status_code == 404:
            self.unseen.append(f"{id_}: the agent is not known")
            return False
        if not answer.is_success:
            return False
        self.reads += 1
        # A token is of its own write: others, of which no answer came, may still be on their way.
        self._shown.add(id_)
        told = answer.json()["completedTasks"]
        if told < max(len(self._shown), self._most):
            self.unseen.append(f"{id_}: {told}, after {self._most}; {len(self._shown)} were shown")
        self._most = max(told, self._most)
        return True

    async def change_and_read(self, client: httpx.AsyncClient) -> None:
        """Change the one task; an answer older than its token's change is told."""
        number = self._number
        task = {"id": CHANGED, "status": "ready", "agent": OWN, "title": str(number)}
        answer = await client.post("/api/v1/events", json={"entity": "tasks", "after": task})
        if not answer.is_success:
            return
        own = {"after": answer.json()["token"], "timeout": 3}
        answer = await client.get(f"/api/v1/tasks/{CHANGED}", params=own)
        if not answer.is_success:
            return
        self.reads += 1
        told = int(answer.json()["title"])
        if told < number:
            self.unseen.append(f"{CHANGED}: it stands at {told}, not at {number}")


class Page:
    """Follows the live events, connecting anew as a browser does, keeping the last of each row."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.rows: dict[str, dict[str, Any]] = {}
        self.events = 0
        self._last: str | None = None

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            headers = {"Last-Event-ID": self._last} if self._last else {}
            with contextlib.suppress(httpx.HTTPError):
                # A page's browser finds out sooner or later that nobody is there any more.
                timeout = httpx.Timeout(5, read=30)
                async with (
                    httpx.AsyncClient(base_url=self._address, timeout=timeout) as client,
                    client.stream("GET", "/api/v1/stream", headers=headers) as answer,
                ):
                    await self._follow(answer)
            await asyncio.sleep(0.3)

    async def _follow(self, answer: httpx.Response) -> None:
        event = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                self._last = value
            elif name == "event":
                event = value
            elif name == "data":
                self._take(event, json.loads(value))

    def _take(self, event: str, data: dict[str, Any]) -> None:
        self.events += 1
        if event == "reset":
            self._last = None
            self.rows.clear()
        elif event == "agent":
            self.rows[data["agentId"] or f"name:{data['agentName']}"] = data
        elif event == "agent-gone":
            self.rows.pop(data["agentId"] or f"name:{data['agentName']}", None)
        elif event == "builds":
            self.rows["(builds)"] = data


@contextlib.asynccontextmanager
async def reading(own: OwnWrites, page: Page) -> AsyncIterator[None]:
    """Both of them, for as long as the block lasts."""
    tasks = [asyncio.create_task(do()) for do in (own.run, own.ask_for_runs)]
    tasks.append(asyncio.create_task(page.run()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
