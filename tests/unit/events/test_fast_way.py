"""The fast way and the careful way agree, and no bytes bring either of them down."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.clock import from_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Change, Entity
from nova_stream.events.decode import Decoder, decode

from .helpers import DOCUMENTS, MARK, NOON_TEXT, Record, doc_of, dumps, envelope, without

ENTITIES = st.sampled_from(list(Entity))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["\x00", "\\u0000", MARK, NOON_TEXT, "done", '["a"]', "5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def records(draw: st.DrawFn) -> tuple[Entity, dict[str, Any]]:
    """Change records, mostly of the main app's form, with some fields replaced or dropped."""
    entity = draw(ENTITIES)
    document = dict(DOCUMENTS[entity])
    names = st.sampled_from([*document, "build_id", "created_at", "unknown", "error"])
    document |= draw(st.dictionaries(names, JSON, max_size=2))
    document = without(document, draw(st.lists(names, max_size=1)))
    value = envelope(document, draw(st.sampled_from("ccurd")))
    part = draw(st.sampled_from(["op", "source", "after", "before", "ts_ms", "other"]))
    if draw(st.booleans()):
        value[part] = draw(JSON)
    return entity, value


def outcome(call: Callable[[], Change | None]) -> object:
    """What decoding comes to, with the document as a value instead of its text."""
    try:
        change = call()
    except RejectedError as error:
        return error.reason, str(error)
    if change is None:
        return None
    document = None if change.deleted else doc_of(change)
    values = tuple(float(item) if is_number(item) else item for item in change.values)
    return (
        document,
        values,
        (change.id, change.number, change.minor, change.kind),
        (change.deleted, change.changed_at, change.unavailable),
    )


def is_number(item: object) -> bool:
    return isinstance(item, str) and item.replace(".", "").isdecimal()


@given(records())
@settings(max_examples=400)
def test_whatever_the_fast_way_takes_the_careful_way_reads_to_the_same(
    given_record: tuple[Entity, dict[str, Any]],
) -> None:
    entity, value = given_record
    data = dumps(value)
    record, decoder = Record(data), Decoder(entity)
    found = outcome(lambda: decoder.decode(record, 3))
    assert found == outcome(lambda: decoder._decode_any(record, data, 3))
    assert not (isinstance(found, tuple) and found[0] == "undecodable")


@pytest.mark.parametrize("entity", Entity)
def test_the_main_apps_own_documents_take_the_fast_way(
    entity: Entity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Decoder, "_decode_any", None)
    record = envelope(DOCUMENTS[entity] | {"extra": [1, {"a": "b_c"}]})
    assert decode(entity, Record(dumps(record)), 0) is not None


@given(st.integers(10**11, 4 * 10**12 - 1))
def test_every_millisecond_of_the_fast_way_is_exact(millis: int) -> None:
    assert datetime.fromtimestamp(millis / 1000, UTC) == from_millis(millis)


@given(ENTITIES, st.binary(max_size=200), st.binary(max_size=40) | st.none())
def test_any_bytes_give_a_change_or_a_rejection(
    entity: Entity, value: bytes, key: bytes | None
) -> None:
    check(entity, Record(value, key=key))


@given(ENTITIES, JSON, JSON)
def test_any_json_gives_a_change_or_a_rejection(entity: Entity, value: object, key: object) -> None:
    check(entity, Record(dumps(value), key=dumps(key)))
    check(entity, Record(dumps(envelope(value)), key=dumps(key)))
    check(entity, Record(dumps({"payload": {"op": "c", "after": value, "source": key}})))
    check(entity, Record(dumps({"schema": value, "payload": envelope(DOCUMENTS[entity])})))


def test_ten_thousand_random_or_damaged_records_give_a_change_or_a_rejection() -> None:
    source = random.Random(20260220)
    whole = {entity: dumps(envelope(DOCUMENTS[entity])) for entity in Entity}
    for number in range(10_000):
        entity = list(Entity)[number % 6]
        if number % 2:
            value = source.randbytes(source.randrange(80))
        else:
            damaged = bytearray(whole[entity])
            for _ in range(source.randrange(1, 4)):
                damaged[source.randrange(len(damaged))] = source.choice(b'"{}[],:\\u0eE1-_\xff ')
            value = bytes(damaged)
        check(entity, Record(value, key=source.randbytes(4)))


def check(entity: Entity, record: Record) -> None:
    try:
        change = decode(entity, record, 0)
    except RejectedError as error:
        assert error.reason != "undecodable", repr(error.__cause__)
        assert len(str(error)) < 400
    else:
        assert change is None or change.id
