"""What MongoDB's connector writes: documents and ids as Extended JSON, of both versions."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.mongodb import key_value, plain_value
from tests.decoding import decode
from tests.unit.events.helpers import (
    NOON,
    NOON_MS,
    NOON_TEXT,
    Record,
    doc_of,
    dumps,
    read,
    reason,
    rejected,
)

OID = "65f0c0ffee00000000abcdef"
KEY = json.dumps({"id": json.dumps({"$oid": OID})}).encode()
DOCUMENT = {"_id": {"$oid": OID}, "eventType": "task_started", "timestamp": {"$date": NOON_MS}}
ACTIVITIES = Entity.ACTIVITIES


def record(op: str, after: Any, **fields: Any) -> dict[str, Any]:
    source = {"connector": "mongodb", "ts_ms": NOON_MS, "collection": "activity", "ord": 31}
    text = None if after is None else json.dumps(after)
    return {
        "op": op,
        "ts_ms": NOON_MS,
        "before": None,
        "after": text,
        "updateDescription": None,
        "source": source,
    } | fields


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"$oid": OID}, OID),
        ({"$symbol": "s"}, "s"),
        ({"$date": NOON_MS}, NOON_TEXT),
        ({"$date": {"$numberLong": str(NOON_MS)}}, NOON_TEXT),
        ({"$date": NOON_TEXT}, NOON_TEXT),
        ({"$date": 10**18}, 10**18),
        ({"$timestamp": {"t": NOON_MS // 1000, "i": 3}}, NOON_TEXT),
        ({"$numberInt": "-7"}, -7),
        ({"$numberLong": "9007199254740993"}, 9007199254740993),
        ({"$numberDouble": "1.50"}, Decimal("1.50")),
        ({"$numberDouble": "Infinity"}, "Infinity"),
        ({"$numberDouble": "NaN"}, "NaN"),
        ({"$numberDecimal": "0.1000"}, Decimal("0.1000")),
        ({"$numberDecimal": "1E+999999999"}, "1E+999999999"),
        (
            {"$binary": "FA7YEzXgQXSX9OxmzllH2w==", "$type": "04"},
            "140ed813-35e0-4174-97f4-ec66ce5947db",
        ),
        (
            {"$binary": {"base64": "FA7YEzXgQXSX9OxmzllH2w==", "subType": "04"}},
            "140ed813-35e0-4174-97f4-ec66ce5947db",
        ),
        ({"$binary": {"base64": "FA7Y", "subType": "00"}}, "FA7Y"),
        ({"$uuid": "140ed813-35e0-4174-97f4-ec66ce5947db"}, "140ed813-35e0-4174-97f4-ec66ce5947db"),
        ({"$undefined": True}, None),
        ({"$regex": "a", "$options": ""}, {"$regex": "a", "$options": ""}),
        ({"$ref": "c", "$id": {"$oid": OID}}, {"$ref": "c", "$id": OID}),
        ([{"a": {"$numberLong": "1"}}, "x", None], [{"a": 1}, "x", None]),
        ({"$oid": OID, "more": 1, "fields": 2}, {"$oid": OID, "more": 1, "fields": 2}),
    ],
)
def test_every_type_wrapper_means_its_plain_value(given: object, expected: object) -> None:
    found = plain_value(given)
    assert (found, type(found)) == (expected, type(expected))


def test_a_document_as_text_is_read_with_its_id() -> None:
    change = read(ACTIVITIES, record("c", DOCUMENT), key=KEY)
    assert (change.id, change.values, change.changed_at) == (OID, (NOON,), NOON)
    assert doc_of(change) == {"id": OID, "eventType": "task_started", "timestamp": NOON_TEXT}
    assert (change.kind, change.flattened) == (VersionKind.OFFSET, False)


def test_a_document_of_every_mode_of_serialization_reads_to_the_same() -> None:
    dates = (
        {"$date": NOON_MS},
        {"$date": {"$numberLong": str(NOON_MS)}},
        {"$date": NOON_TEXT},
    )
    found = [read(ACTIVITIES, record("r", DOCUMENT | {"timestamp": date})) for date in dates]
    assert {change.doc for change in found} == {found[0].doc}


def test_a_deletion_has_its_id_from_the_key() -> None:
    change = read(ACTIVITIES, record("d", None), key=KEY)
    assert (change.id, change.deleted) == (OID, True)


def test_a_deletion_with_a_preimage_has_its_id_from_that() -> None:
    change = read(ACTIVITIES, record("d", None, before=json.dumps(DOCUMENT)))
    assert (change.id, change.deleted) == (OID, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"1234"', "1234"),
        ("1234", 1234),
        (json.dumps({"$oid": OID}), OID),
        ('{"$numberLong" : "1004"}', 1004),
        ("12.34", Decimal("12.34")),
        ("t-1", "t-1"),
    ],
)
def test_the_id_in_a_key_is_extended_json(text: str, expected: object) -> None:
    assert key_value(text, "the key's id") == expected


@pytest.mark.parametrize(("key", "identity"), [('"t-9"', "t-9"), ("17", "17")])
def test_the_ids_of_a_document_and_of_its_deletion_are_the_same(key: str, identity: str) -> None:
    document = DOCUMENT | {"_id": json.loads(key)}
    raw = json.dumps({"id": key}).encode()
    for given in (record("c", document), record("d", None)):
        assert read(ACTIVITIES, given, key=raw).id == identity


def test_an_update_without_the_document_names_the_setting_that_helps() -> None:
    given = record("u", None, updateDescription={"updatedFields": '{"details": "x"}'})
    error = rejected(lambda: read(ACTIVITIES, given, key=KEY))
    assert error.reason == "partial_document"
    assert "capture.mode to change_streams_update_full" in str(error)


def test_a_document_that_is_none_is_told() -> None:
    assert reason(ACTIVITIES, record("c", None) | {"after": "{"}) == "bad_json"
    assert reason(ACTIVITIES, record("c", None) | {"after": "[]"}) == "wrong_type"


def test_a_flattened_document_has_its_id_too() -> None:
    row = {"_id": OID, "eventType": "task_started", "timestamp": NOON_MS, "__deleted": False}
    change = read(ACTIVITIES, row, key=dumps({"id": OID}))
    assert (change.id, change.flattened, "_id" in doc_of(change)) == (OID, True, False)
    gone = read(ACTIVITIES, {"__deleted": True}, key=dumps({"id": OID}))
    assert (gone.id, gone.deleted) == (OID, True)


def test_a_tombstone_of_the_connector_is_ignored() -> None:
    assert decode(ACTIVITIES, Record(None, key=KEY), 0) is None
