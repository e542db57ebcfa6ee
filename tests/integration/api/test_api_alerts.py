"""Alerts over HTTP: open ones, past ones, page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from nova_stream.settings import Settings
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
INSERT = """
INSERT INTO alerts (kind, subject, message, value, began_at, ended_at)
SELECT 'slow', 'job ' || n, 'it took ' || n || ' s', n, $1::timestamptz, CASE WHEN n > 3 THEN $1 END
FROM generate_series($2::int, $3::int) n
"""


async def everything(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    """All pages of two alerts."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        given = {**params, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/alerts", params=given)).json()
        found += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found


async def test_an_open_alert(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await query(nova_settings, INSERT, NOON, 1, 1)
    (alert,) = (await client.get("/api/v1/alerts")).json()["items"]
    assert alert.pop("id") > 0
    assert alert == {
        "kind": "slow",
        "subject": "job 1",
        "message": "it took 1 s",
        "value": 1.0,
        "beganAt": "2026-02-20T12:00:00.000Z",
        "endedAt": None,
        "open": True,
        "acknowledgedAt": None,
        "acknowledgedBy": None,
    }


async def test_somebody_sees_to_an_alert(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await query(nova_settings, INSERT, NOON, 1, 1)
    (alert,) = (await client.get("/api/v1/alerts")).json()["items"]
    answer = await client.post(f"/api/v1/alerts/{alert['id']}/acknowledge")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["acknowledgedBy"] == "somebody without a token"
    assert (await client.get("/api/v1/alerts")).json()["items"] == [found]
    again = await client.post(f"/api/v1/alerts/{alert['id']}/acknowledge")
    assert again.json() == found
    unknown = await client.post("/api/v1/alerts/999999/acknowledge")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:nova-stream:unknown-alert")


async def test_alerts_newest_first(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    assert (await client.get("/api/v1/alerts")).json() == {
        "items": [],
        "nextCursor": None,
        "prevCursor": None,
    }
    await query(nova_settings, INSERT, NOON, 1, 6)
    assert [a["value"] for a in await everything(client)] == [6, 5, 4, 3, 2, 1]
    assert [a["value"] for a in await everything(client, open="true")] == [3, 2, 1]
    assert [a["value"] for a in await everything(client, open="false")] == [6, 5, 4]


async def test_an_alert_that_begins_meanwhile_repeats_no_other(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await query(nova_settings, INSERT, NOON, 4, 7)
    first = (await client.get("/api/v1/alerts?limit=2")).json()
    await query(nova_settings, INSERT, NOON, 8, 9)
    rest = await client.get("/api/v1/alerts", params={"cursor": first["nextCursor"]})
    assert [a["value"] for a in first["items"] + rest.json()["items"]] == [7, 6, 5, 4]


@pytest.mark.parametrize("query_string", ["open=perhaps", "limit=501", "cursor=e30", "cursor=W10"])
async def test_wrong_queries(client: httpx.AsyncClient, query_string: str) -> None:
    assert (await client.get(f"/api/v1/alerts?{query_string}")).status_code == 422
