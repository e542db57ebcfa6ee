"""The fast way and the careful way agree, and no bytes bring either of them down."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.change import Change, Entity
from nova_stream.events.decode import Decoder
from tests.decoding import decode

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
def records_of(draw: st.DrawFn, entity: Entity) -> dict[str, Any]:
    """A change record, mostly of the main app's form, with some fields replaced or dropped."""
    document = dict(DOCUMENTS[entity])
    names = st.sampled_from([*document, "build_id", "created_at", "unknown", "error"])
    names |= names.flatmap(lambda name: st.sampled_from([name.lower(), name.upper()]))
    document |= draw(st.dictionaries(names, JSON, max_size=2))
    document = without(document, draw(st.lists(names, max_size=1)))
    value = envelope(document, draw(st.sampled_from("ccurd")))
    part = draw(st.sampled_from(["op", "source", "after", "before", "ts_ms", "other"]))
    if draw(st.booleans()):
        value[part] = draw(JSON)
    return value


def records() -> st.SearchStrategy[tuple[Entity, dict[str, Any]]]:
    return ENTITIES.flatmap(lambda entity: records_of(entity).map(lambda value: (entity, value)))


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


@given(
    ENTITIES.flatmap(
        lambda entity: st.lists(
            st.builds(dumps, records_of(entity))
            | st.sampled_from([None, b"", b" ", b"\n", b"{}", b"[]", b"5"])
            | st.builds(b"\n".join, st.lists(st.builds(dumps, records_of(entity)), max_size=3))
            | st.binary(max_size=5),
            max_size=8,
        ).map(lambda values: (entity, values))
    ),
    st.integers(1, 4),
)
@settings(max_examples=200)
def test_records_that_are_read_together_are_read_as_each_alone(
    given_values: tuple[Entity, list[bytes | None]], times: int
) -> None:
    entity, values = given_values
    some = [Record(value, offset=offset) for offset, value in enumerate(values * times)]
    decoder = Decoder(entity)
    found = decoder.decode_plain(some, 3)
    assert found == [change for record in some for change in decoder.decode_plain([record], 3)]
    for record, change in zip(some, found, strict=True):
        if change is not None:
            assert record.value is not None
            careful = partial(decoder._decode_any, record, record.value, 3)
            assert outcome(partial(copy, change)) == outcome(careful)


def named(name: str, op: str = "c", **fields: Any) -> bytes:
    document = {"id": name, "status": "done"}
    if op == "d":
        return dumps(envelope(None, "d", before=document, **fields))
    return dumps(envelope(document, op, **fields))


_CUT = named("cut")
_PLACE = _CUT.index(b'{"id"')

#: Values that are read as one stream have as many documents as values, and begin with a bracket.
MIXED = {
    "two in one, and one that is cut": [
        named("two-a") + named("two-b"),
        named("good"),
        named("good", "d"),
        _CUT[:_PLACE],
        _CUT[_PLACE:],
    ],
    "cut, and two in two lines": [
        b'{"x":',
        b"{}," + named("ghost")[1:],
        named("p") + b"\n" + named("q"),
    ],
    "in an array": [b'{"op": [', named("a"), b"{}]}" + named("b") + named("c")],
    "in a text": [b'{"x": "', named("a"), b'{"}' + named("b") + named("c")],
}


@pytest.mark.parametrize("name", MIXED)
def test_no_record_is_taken_for_its_neighbour(name: str) -> None:
    some = [Record(value, offset=offset) for offset, value in enumerate(MIXED[name])]
    decoder = Decoder(Entity.TASKS)
    for record, change in zip(some, decoder.decode_plain(some, 0), strict=True):
        assert record.value is not None
        if change is not None:
            assert outcome(partial(copy, change)) == outcome(
                partial(decoder._decode_any, record, record.value, 0)
            )


@given(st.data())
@settings(max_examples=200)
def test_documents_cut_anywhere_are_read_as_each_alone(data: st.DataObject) -> None:
    stream = b"".join(
        named(f"n{number}") + data.draw(st.sampled_from([b"", b"", b"\n", b" "]))
        for number in range(data.draw(st.integers(1, 6)))
    )
    cuts = sorted(data.draw(st.sets(st.sampled_from(brackets(stream)), max_size=5)))
    ends = [*cuts, len(stream)]
    values = [stream[a:b] for a, b in zip([0, *cuts], ends, strict=True) if a < b]
    values = [*data.draw(st.permutations(values)), named("good")]
    some = [Record(value, offset=offset) for offset, value in enumerate(values)]
    decoder = Decoder(Entity.TASKS)
    found = decoder.decode_plain(some, 0)
    assert found == [change for record in some for change in decoder.decode_plain([record], 0)]


def brackets(stream: bytes) -> list[int]:
    return [place for place, byte in enumerate(stream) if byte == ord("{")]


@pytest.mark.parametrize("times", [1, 3])
def test_bytes_that_are_no_text_are_left_to_the_careful_way(times: int) -> None:
    value = named("a").replace(b'"source"', b'"\xff-source"')
    some = [Record(value, offset=offset) for offset in range(times)]
    assert Decoder(Entity.TASKS).decode_plain(some, 0) == [None] * times


@pytest.mark.parametrize("entity", Entity)
def test_one_odd_record_leaves_its_neighbours_on_the_fast_way(entity: Entity) -> None:
    plain = [Record(dumps(envelope(DOCUMENTS[entity])), offset=n) for n in range(200)]
    for odd in (None, b"", b"no", dumps(envelope(DOCUMENTS[entity], "d")), b"{}\n{}"):
        some = [*plain[:70], Record(odd, offset=70), *plain[71:]]
        found = Decoder(entity).decode_plain(some, 0)
        assert [n for n, change in enumerate(found) if change is None] == [70]
        assert [change.offset for change in found if change] == [n for n in range(200) if n != 70]


@pytest.mark.parametrize("entity", Entity)
def test_the_main_apps_own_documents_take_the_fast_way(
    entity: Entity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Decoder, "_decode_any", None)
    record = envelope(DOCUMENTS[entity] | {"extra": [1, {"a": "b_c"}]})
    assert decode(entity, Record(dumps(record)), 0) is not None


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
