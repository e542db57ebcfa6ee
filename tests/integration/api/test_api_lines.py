"""Alerts, runs, the audit trail and dead letters over HTTP: read both ways, and filtered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import pytest

from nova_stream.settings import Settings
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
COUNT = 7
#: Seven lines of each, the n-th n minutes after noon; two runs have the same time.
ALERTS = """
INSERT INTO alerts (kind, subject, message, began_at, ended_at)
SELECT CASE WHEN n % 2 = 0 THEN 'slow' ELSE 'missed' END, 'job ' || n, 'It took ' || n || ' s',
    $1::timestamptz + make_interval(mins => n), CASE WHEN n > 3 THEN $1 END
FROM generate_series(1, $2::int) n
"""
RUNS = """
INSERT INTO job_runs (job, kind, outcome, scheduled_at)
SELECT 'healthCheck', 'manual', CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'manual' END,
    $1::timestamptz + make_interval(mins => n / 2 * 2)
FROM generate_series(1, $2::int) n
"""
LETTERS = """
INSERT INTO dead_letters
    (topic, partition, "offset", key, value, headers, reason, message, failed_at)
SELECT 'nova.tasks', 0, n,
    CASE WHEN n % 2 = 0 THEN '\\xff00'::bytea ELSE convert_to('Key-' || n, 'UTF8') END,
    '\\x00', '[]', 'bad_status', 'a status ' || n, $1::timestamptz + make_interval(mins => n)
FROM generate_series(1, $2::int) n
"""
TRAIL = """
INSERT INTO audit_trail (at, until, requests, token, action, object, outcome, refused)
SELECT $1, $1::timestamptz + make_interval(mins => n), 1, 'ops',
    CASE WHEN n % 2 = 0 THEN 'jobs run' ELSE 'POST /api/v1/events' END, 'thing ' || n, 'done', n > 5
FROM generate_series(1, $2::int) n
"""


class List(NamedTuple):
    """A list, how it is filled, what its numbers are called, and filters with the places (of 1 to
    7, by age) of the lines that they find.
    """

    path: str
    fill: str
    number: str
    filters: tuple[tuple[dict[str, str], set[int]], ...]
    #: What leaves out lines that others write meanwhile.
    own: Mapping[str, str] = MappingProxyType({})


LISTS = [
    List(
        "/api/v1/alerts",
        ALERTS,
        "id",
        (
            ({"open": "true"}, {1, 2, 3}),
            ({"kind": "slow"}, {2, 4, 6}),
            ({"q": "JOB 4"}, {4}),
            ({"q": "it took 5"}, {5}),
        ),
    ),
    List(
        "/api/v1/jobs/healthCheck/runs",
        RUNS,
        "runId",
        (({"outcome": "failed"}, {2, 4, 6}),),
    ),
    List(
        "/api/v1/dead-letters",
        LETTERS,
        "id",
        (
            ({"state": "open", "reason": "bad_status"}, {1, 2, 3, 4, 5, 6, 7}),
            ({"topic": "nova.builds"}, set()),
            ({"q": "A Status 3"}, {3}),
            ({"q": "key-5"}, {5}),
        ),
    ),
    List(
        "/api/v1/trail",
        TRAIL,
        "id",
        (
            ({"refused": "true"}, {6, 7}),
            ({"q": "jobs RUN"}, {2, 4, 6}),
            ({"q": "thing 7"}, {7}),
        ),
        {"token": "ops"},
    ),
]


class Filled(NamedTuple):
    client: httpx.AsyncClient
    lines: List

    async def page(self, **params: str | int) -> Any:
        response = await self.client.get(self.lines.path, params={**params, **self.lines.own})
        assert response.status_code == 200, response.text
        return response.json()

    def numbers(self, page: Any) -> list[int]:
        return [row[self.lines.number] for row in page["items"]]


@pytest.fixture(params=LISTS, ids=lambda found: found.path)
async def filled(
    client: httpx.AsyncClient, nova_settings: Settings, request: pytest.FixtureRequest
) -> AsyncIterator[Filled]:
    await query(nova_settings, request.param.fill, NOON, COUNT)
    yield Filled(client, request.param)


async def test_a_list_is_read_in_both_directions(filled: Filled) -> None:
    whole = filled.numbers(await filled.page(limit=500))
    assert whole == sorted(whole, reverse=True)
    assert len(whole) == COUNT
    forth = [await filled.page(limit=3)]
    assert forth[0]["prevCursor"] is None
    while cursor := forth[-1]["nextCursor"]:
        forth.append(await filled.page(limit=3, cursor=cursor))
    assert [filled.numbers(page) for page in forth] == [whole[:3], whole[3:6], whole[6:]]
    back = [forth[-1]]
    while cursor := back[-1]["prevCursor"]:
        back.append(await filled.page(limit=3, cursor=cursor))
    assert [filled.numbers(page) for page in back] == [whole[6:], whole[3:6], whole[:3]]
    again = await filled.page(limit=3, cursor=back[-1]["nextCursor"])
    assert filled.numbers(again) == whole[3:6]


async def test_filters_find_what_they_say(filled: Filled) -> None:
    oldest_first = filled.numbers(await filled.page(limit=500))[::-1]
    for given, places in filled.lines.filters:
        found = filled.numbers(await filled.page(**given))
        assert {oldest_first.index(number) + 1 for number in found} == places, given


async def test_a_range_has_its_start_and_not_its_end(filled: Filled) -> None:
    oldest_first = filled.numbers(await filled.page(limit=500))[::-1]
    span = {"from": "2026-02-20T12:02:00Z", "to": "2026-02-20T13:04:00+01:00"}
    found = filled.numbers(await filled.page(**span))
    assert found == oldest_first[1:3][::-1]
    first = await filled.page(**span, limit=1)
    assert filled.numbers(await filled.page(**span, cursor=first["nextCursor"])) == found[1:]


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "noon"},
        {"from": "2026-02-20", "to": "2026-02-20"},
        {"q": "\x00"},
        {"status": "open"},
        {"cursor": "W10"},
        {"cursor": "WyI8Il0"},
        {"cursor": "WzEsMiwzXQ"},
        {"cursor": "Wzk5OTk5OTk5OTk5OTk5OTk5OTld"},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_told(filled: Filled, wrong: dict[str, str]) -> None:
    response = await filled.client.get(filled.lines.path, params=wrong)
    assert response.status_code == 422, response.text
