"""Alerts open once, end once, and are told at least once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from nova_stream.jobs.alerting.alerts import Alerts
from nova_stream.jobs.alerting.telling import Teller, channels
from nova_stream.jobs.timers import Watch
from nova_stream.settings import Settings
from nova_stream.storage.database import open_session
from nova_stream.storage.jobs.alerts import AlertStore
from nova_stream.storage.jobs.read import alerts as read_alerts
from nova_stream.storage.jobs.rows import AlertKind
from tests.integration.jobs.stubs import SKIP, FakeClock, Stub, job, query, scheduler

pytestmark = pytest.mark.integration


class Receiver:
    """A webhook's other end on 127.0.0.1; answers with the next of ``answers``, else 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.keys.append(request.headers["Idempotency-Key"])
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture
def telling(jobs_settings: Settings, receiver: Receiver) -> Settings:
    return jobs_settings.model_copy(update={"alert_webhook_url": SecretStr(receiver.url)})


def teller(settings: Settings) -> Teller:
    return Teller(settings, channels(settings))


async def hurry(settings: Settings) -> None:
    await query(settings, "UPDATE alert_deliveries SET next_try_at = now()")


async def rows(settings: Settings) -> list[asyncpg.Record]:
    return await query(settings, "SELECT * FROM alerts ORDER BY id")


async def test_begin_and_end(jobs_settings: Settings) -> None:
    """A failing job: one alert, however many workers look, which ends when it goes well again."""
    clock, work = FakeClock(), Stub(errors=2)
    one = scheduler(jobs_settings, [job(work, attempts=1)], clock)
    watchers = [Alerts(jobs_settings, clock, channels(jobs_settings)) for _ in range(3)]
    await one.tick()
    for expected in (0.0, 0.0, 33.33):
        clock.move(minutes=1)
        await one.tick()
        await one.drain()
        await asyncio.gather(*(alerts.check() for alerts in watchers))
        (row,) = await rows(jobs_settings)
        assert (row["kind"], row["subject"]) == ("success_rate", "stub")
        assert (row["value"], row["ended_at"]) == (expected, None)
    for _ in range(20):
        clock.move(minutes=1)
        await one.tick()
        await one.drain()
    for alerts in watchers:
        await alerts.check()
    (row,) = await rows(jobs_settings)
    assert row["ended_at"] == clock.now
    async with open_session(jobs_settings, "test") as connection:
        assert await read_alerts(connection, 10, is_open=True) == ([], None, None)
        [ended] = (await read_alerts(connection, 10)).rows
    assert (ended.kind, ended.open) == (AlertKind.SUCCESS_RATE, False)
    assert await query(jobs_settings, "SELECT * FROM alert_deliveries") == []
    await one.close()
    for alerts in watchers:
        alerts.close()


async def test_missed_slots(jobs_settings: Settings) -> None:
    """Also those that have no line yet; the alert ends an hour after the last was noted."""
    clock = FakeClock()
    jobs = [job(Stub(), schedule="*/30 * * * *", missed=SKIP)]
    one, alerts = (
        scheduler(jobs_settings, jobs, clock),
        Alerts(jobs_settings, clock, channels(jobs_settings)),
    )
    await one.tick()
    clock.move(minutes=31)
    await alerts.check()  # no worker runs jobs, but one watches
    (row,) = await rows(jobs_settings)
    assert row["message"] == "1 slot of stub missed, the last at 2026-02-20T12:30:00.000Z"
    await one.tick()
    clock.move(minutes=20)
    await alerts.check()
    (row,) = await rows(jobs_settings)
    assert (row["kind"], row["ended_at"]) == ("missed", None)
    for minutes in (9, 30):  # the slots of 13:00 and 13:30 are in time
        clock.move(minutes=minutes)
        await one.tick()
        await one.drain()
    clock.move(minutes=2)
    await alerts.check()
    (row,) = await rows(jobs_settings)
    assert row["ended_at"] is not None
    await one.close()
    alerts.close()


async def test_the_webhook_is_tried_until_it_takes_both(
    telling: Settings, receiver: Receiver
) -> None:
    clock, alerts, webhook = (
        FakeClock(),
        Alerts(telling, FakeClock(), channels(telling)),
        teller(telling),
    )
    one = scheduler(telling, [job(Stub(errors=1), attempts=1)], clock)
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    await alerts.check()
    await query(telling, "DELETE FROM job_runs")
    await alerts.check()  # ended before anybody was told of its begin

    receiver.answers = [500, 404]
    assert await webhook.deliver() == 0
    assert len(receiver.bodies) == 1
    assert await webhook.deliver() == 0  # it waits
    assert len(receiver.bodies) == 1
    await hurry(telling)
    assert await webhook.deliver() == 0
    (waits,) = await query(telling, "SELECT * FROM alert_deliveries WHERE event = 'begin'")
    assert (waits["tries"], waits["error"], waits["sent_at"]) == (2, "HTTP 404", None)
    await hurry(telling)
    assert await webhook.deliver() == 2
    assert await webhook.deliver() == 0
    events = [body["event"] for body in receiver.bodies]
    assert events == ["begin", "begin", "begin", "end"]
    assert len(set(receiver.keys)) == 2
    last = receiver.bodies[-1]
    assert (last["kind"], last["subject"], last["value"]) == ("success_rate", "stub", 0)
    assert last["endedAt"] is not None
    assert last["text"].startswith("nova-stream: over: 0 of the last 1 runs of stub went well")
    await one.close()
    alerts.close()
    webhook.close()


async def test_nobody_at_the_other_end(telling: Settings) -> None:
    settings = telling.model_copy(
        update={"alert_webhook_url": SecretStr("http://127.0.0.1:1/secret")}
    )
    await query(
        settings,
        "WITH a AS (INSERT INTO alerts (kind, subject, message, began_at)"
        " VALUES ('slow', 'x', 'm', now()) RETURNING id)"
        " INSERT INTO alert_deliveries (alert_id, event, next_try_at)"
        " SELECT id, 'begin', now() FROM a",
    )
    webhook = teller(settings)
    assert await webhook.deliver() == 0
    (row,) = await query(settings, "SELECT * FROM alert_deliveries")
    assert row["error"] == "ClientConnectorError"
    webhook.close()


async def test_an_outage_of_postgres_is_told_without_it(
    telling: Settings, receiver: Receiver
) -> None:
    clock = FakeClock()
    alerts, webhook = Alerts(telling, clock, channels(telling)), teller(telling)
    watch = Watch(alerts, webhook, clock)
    await watch.check()
    gone = telling.model_copy(
        update={"database_url": SecretStr("postgresql://u:secret@127.0.0.1:1/nova")}
    )
    alerts.close()
    alerts._session.settings = gone
    for _ in range(6):
        clock.now += timedelta(seconds=10)
        await watch.check()
    alerts._session.settings = telling
    await watch.check()
    await watch.check()
    assert [body["event"] for body in receiver.bodies] == ["begin", "end"]
    assert receiver.bodies[0]["kind"] == "database"
    assert "secret" not in str(receiver.bodies)
    alerts.close()
    webhook.close()


async def test_channels_do_not_wait_for_each_other(telling: Settings, receiver: Receiver) -> None:
    """One that takes nothing keeps the others from nothing, in outages neither."""
    settings = telling.model_copy(
        update={"alert_slack_url": SecretStr("http://127.0.0.1:1/services/T0/secret")}
    )
    clock = FakeClock()
    alerts, told = Alerts(settings, clock, channels(settings)), teller(settings)
    one = scheduler(settings, [job(Stub(errors=1), attempts=1)], clock)
    await one.tick()
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    await alerts.check()
    assert await told.deliver() == 1
    waiting = await query(settings, "SELECT channel, error, sent_at FROM alert_deliveries")
    assert {(row["channel"], row["error"], row["sent_at"] is None) for row in waiting} == {
        ("webhook", None, False),
        ("slack", "ClientConnectorError", True),
    }
    for _ in range(3):
        await told.tell_outage(clock.now, clock.now)
    for _ in range(3):
        await told.tell_end_of_outage(clock.now)
    outages = [b["event"] for b in receiver.bodies if b["kind"] == "database"]
    assert outages == ["begin", "end"]

    # A channel that nobody uses any more keeps no old alert.
    await query(settings, "DELETE FROM job_runs")
    await alerts.check()
    assert await told.deliver() == 1
    clock.move(days=100)
    await alerts.prune()
    assert len(await rows(settings)) == 1
    without_slack = Alerts(telling, clock, channels(telling))
    await without_slack.prune()
    assert await rows(settings) == []
    await one.close()
    for each in (alerts, without_slack, told):
        each.close()


async def test_who_sees_to_an_alert_first_stays_named(jobs_settings: Settings) -> None:
    (row,) = await query(
        jobs_settings,
        "INSERT INTO alerts (kind, subject, message, began_at)"
        " VALUES ('slow', 'x', 'm', now()) RETURNING id",
    )
    clock = FakeClock()
    async with open_session(jobs_settings, "test") as connection:
        store = AlertStore(connection)
        assert await store.acknowledge(row["id"] + 1, "ann", clock.now) is None
        first = await store.acknowledge(row["id"], "ann", clock.now)
        clock.move(minutes=1)
        assert await store.acknowledge(row["id"], "bob", clock.now) == first
    assert first is not None
    assert (first.acknowledged_by, first.acknowledged_at) == ("ann", "2026-02-20T12:00:00.000Z")
    assert first.open
