"""What checkStalledBuilds says about a build."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from nova_stream.clock import to_millis
from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.json_text import parse_json
from nova_stream.jobs.stall_events import _raw, verdict_of
from nova_stream.kafka.records import RecordMaker
from nova_stream.storage.maintenance.stalled import StalledBuild
from tests.decoding import decode
from tests.integration.storage.chunks import Record

NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)


def build(id_: str = "b1", version: int = 7, minor: int = 0, more: str = "") -> StalledBuild:
    doc = f'{{"id": {json.dumps(id_)}, "status": "running"{more}}}'
    return StalledBuild(id_, version, minor, 3, doc, NOW)


def test_the_same_build_and_version_give_the_same_activity() -> None:
    first = verdict_of(build(), NOW, 30)
    again = verdict_of(build(), NOW.replace(hour=13), 30)
    assert first.activity_id == again.activity_id
    assert first.key == ("b1", 7, 1, first.activity_id)


@pytest.mark.parametrize("other", [build("b2"), build(version=8), build(minor=1), build("b1\n7")])
def test_another_build_or_version_gives_another_activity(other: StalledBuild) -> None:
    assert verdict_of(other, NOW, 30).activity_id != verdict_of(build(), NOW, 30).activity_id


def test_the_document_is_kept_with_all_its_digits() -> None:
    verdict = verdict_of(build(more=', "cost": 1.10, "deep": {"a": [1e400]}'), NOW, 30)
    assert verdict.failure.after is not None
    assert verdict.failure.after["cost"] == Decimal("1.10")
    assert verdict.failure.after["deep"] == {"a": [Decimal("1e400")]}
    assert verdict.failure.ts_ms == to_millis(NOW)
    assert verdict.failure.before == parse_json(
        build(more=', "cost": 1.10, "deep": {"a": [1e400]}').doc.encode(), "it"
    )


def test_a_document_that_would_not_fit_twice_is_sent_once() -> None:
    verdict = verdict_of(build(more=f', "log": "{"x" * 6_000_000}"'), NOW, 30)
    assert verdict.failure.before is None
    assert RecordMaker("jobs", lambda: NOW).make(verdict.failure).id == "b1"


def test_a_build_without_a_name_is_called_by_its_id() -> None:
    verdict = verdict_of(build(), NOW, 30)
    assert verdict.activity.after is not None
    assert verdict.activity.after["details"] == "Build stalled: b1"


def test_a_withdrawal_beats_the_activity() -> None:
    verdict = verdict_of(build(), NOW, 30)
    withdrawal = verdict.withdrawal()
    assert (withdrawal.op, withdrawal.id) == ("d", verdict.activity_id)
    assert (withdrawal.seq, withdrawal.minor) == (7, 2)


@pytest.mark.parametrize("kind", [VersionKind.LSN, VersionKind.OFFSET])
def test_versions_that_are_no_seq(kind: VersionKind) -> None:
    line = verdict_of(build(minor=4), NOW, 30).failure
    raw = _raw(line, kind, "nova.builds", 3)
    change = decode(Entity.BUILDS, Record(99, raw.value, raw.key, headers=raw.headers), 3)
    assert change is not None
    assert (change.kind, change.number, change.minor) == (kind, 7, 5)
    assert change.values[0] == "failed"
    assert (raw.topic, raw.partition, raw.key) == ("nova.builds", 3, b"b1")
