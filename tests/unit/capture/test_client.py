"""What a deployment answers: waited for, ended with, or the sign of a cursor that is too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nova_stream.capture.client import ConvexClient, address_and_key
from nova_stream.capture.waiting import Outage
from nova_stream.clock import system_clock
from nova_stream.errors import (
    CursorExpiredError,
    NovaStreamError,
    SettingsError,
    SourceAwayError,
    SourceRefusedError,
)
from nova_stream.settings import Settings, load_settings
from tests.integration.capture.stand_in import Deployment, Fault, Refusal, Server, serving


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def server(deployment: Deployment) -> Iterator[Server]:
    with serving(deployment) as found:
        yield found


@pytest.fixture
def settings(server: Server) -> Settings:
    return load_settings(convex_url=server.url, convex_key=server.deployment.key)


async def error_of(settings: Settings, call: str, *arguments: Any) -> NovaStreamError:
    async with ConvexClient(settings, system_clock) as client:
        with pytest.raises(NovaStreamError) as caught:
            await getattr(client, call)(*arguments)
    assert settings.convex_key is not None
    assert settings.convex_key.get_secret_value() not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_what_passes_may_be_asked_again(
    deployment: Deployment, settings: Settings, status: int
) -> None:
    deployment.faults.append(Fault(status))
    error = await error_of(settings, "document_deltas", 1)
    assert isinstance(error, SourceAwayError)
    assert error.retry_after is None


async def test_a_server_may_say_how_long_to_wait(
    deployment: Deployment, settings: Settings
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    for value, least, most in (
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        (later.strftime("%a, %d %b %Y %H:%M:%S GMT"), 90, 100),
    ):
        deployment.faults.append(Fault(429, {"Retry-After": value}))
        error = await error_of(settings, "document_deltas", 1)
        assert isinstance(error, SourceAwayError)
        assert error.retry_after is not None
        assert least <= error.retry_after <= most
    deployment.faults.append(Fault(429, {"Retry-After": "soon"}))
    error = await error_of(settings, "document_deltas", 1)
    assert isinstance(error, SourceAwayError)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "InvalidWindowToReadDocuments", "older than the database's retention window"),
        (400, "SnapshotTooOld", "Snapshot value 1 is too far in the past."),
        (400, "InvalidListSnapshotCursor", "Invalid value for the cursor"),
        (400, "SomeLaterCode", "the cursor has expired"),
        (410, "", ""),
    ],
)
async def test_a_cursor_that_is_too_old_is_told_by_code_or_words(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, status: int, code: str, message: str
) -> None:
    def refuse(*_: object) -> Any:
        raise Refusal(status, code, message)

    monkeypatch.setattr(Deployment, "document_deltas", refuse)
    assert isinstance(await error_of(settings, "document_deltas", 1), CursorExpiredError)


async def test_a_snapshot_of_the_future_is_no_expired_one(
    deployment: Deployment, settings: Settings
) -> None:
    async with ConvexClient(settings, system_clock) as client:
        with pytest.raises(SourceRefusedError, match="SnapshotTooNew"):
            await client.list_snapshot("tasks", snapshot=2**62)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"values": [], "cursor": None, "hasMore": False},
        {"values": 1},
        [],
        {"values": [{"_id": "a", "_table": "t"}], "cursor": 1, "hasMore": False},
        {"values": [{"_id": "", "_table": "t", "_ts": 1}], "cursor": 1, "hasMore": False},
        {"values": [{"_id": "a\n", "_table": "t", "_ts": 1}], "cursor": 1, "hasMore": False},
        {"values": [{"_id": "a", "_table": "t", "_ts": -1}], "cursor": 1, "hasMore": False},
        {"values": [{"_id": "a" * 2000, "_table": "t", "_ts": 1}], "cursor": 1, "hasMore": False},
    ],
    ids=range(9),
)
async def test_an_answer_of_another_form_is_none(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, answer: Any
) -> None:
    monkeypatch.setattr(Deployment, "document_deltas", lambda *_: answer)
    assert isinstance(await error_of(settings, "document_deltas", 1), SourceAwayError)


async def test_a_page_that_leads_nowhere_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    answer = {"values": [], "snapshot": 1, "cursor": None, "hasMore": True}
    monkeypatch.setattr(Deployment, "list_snapshot", lambda *_: answer)
    assert isinstance(await error_of(settings, "list_snapshot", "tasks"), SourceAwayError)


async def test_tables_that_cannot_be_described_hinder_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def refuse(*_: object) -> Any:
        raise Refusal(400, "UnsupportedSchemaForExport", "a union of object types")

    monkeypatch.setattr(Deployment, "json_schemas", refuse)
    async with ConvexClient(settings, system_clock) as client:
        assert await client.tables() is None


def test_both_settings_are_needed() -> None:
    with pytest.raises(SettingsError, match="NOVA_CONVEX_URL is not set"):
        address_and_key(load_settings(convex_key="k"))
    with pytest.raises(SettingsError, match="NOVA_CONVEX_KEY is not set"):
        address_and_key(load_settings(convex_url="http://127.0.0.1:1"))


def test_pauses_grow_and_are_bounded() -> None:
    outage = Outage("a test")
    pauses = [outage.pause_after(ValueError("no")) for _ in range(12)]
    assert pauses[0] <= 0.5
    assert 15 <= pauses[-1] <= 30
    assert outage.pause_after(ValueError(), 100) == 100
    assert outage.pause_after(ValueError(), 10_000) == 300
    outage.over()
    assert outage.pause_after(ValueError("again")) <= 0.5
