"""A large column that did not change keeps what is known, whatever type it has."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import SettingsError
from nova_stream.events.change import Change, Entity
from nova_stream.events.decode import Decoder
from nova_stream.events.placeholders import DEFAULT, Placeholders
from nova_stream.settings import load_settings

from .helpers import Record, doc_of, document, dumps, envelope, wrapped

#: What Java's ``UUID.nameUUIDFromBytes`` makes of the default, as Debezium's connector does.
UUID = "b68a35a7-17ad-35b3-af2a-ae46edb4545a"


def forms(data: bytes, uuid: str) -> list[Any]:
    """What the connector writes in columns of every type, and the JSON converter after it."""
    text = data.decode("utf-8", "replace")
    numbers = [byte - 256 if byte > 127 else byte for byte in data]
    entry = {text: text}
    return [
        text,
        b64encode(data).decode(),
        [text],
        [b64encode(data).decode()],
        [uuid],
        numbers,
        entry,
        json.dumps(entry, separators=(",", ":"), ensure_ascii=False),
    ]


def decoded(value: object, decoder: Decoder, **dumping: Any) -> Change:
    change = decoder.decode(Record(json.dumps(value, **dumping).encode()), 0)
    assert change is not None
    return change


CONNECTORS: list[tuple[str | None, bytes, str]] = [
    (None, DEFAULT.encode(), UUID),
    ("??? nothing new", b"??? nothing new", "4dc6fecf-3128-3094-a275-07951cd07bd0"),
    ("hex:5F5Fffe0", b"__\xff\xe0", "e8da1d4f-73fc-3e16-8697-278fe8f9affd"),
    ('un"ver\\ändert', 'un"ver\\ändert'.encode(), "3918b1f9-daec-314d-9c77-0a1331031867"),
]


@pytest.mark.parametrize(
    "dumping", [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}]
)
@pytest.mark.parametrize("field", ["output", "dependencies", "somethingNew"])
@pytest.mark.parametrize(("own", "data", "uuid"), CONNECTORS)
def test_every_form_of_it_keeps_the_field(
    own: str | None, data: bytes, uuid: str, field: str, dumping: dict[str, Any]
) -> None:
    decoder = Decoder(Entity.TASKS, Placeholders(own))
    for value in forms(data, uuid):
        for record in (
            envelope(document(Entity.TASKS, **{field: value})),
            wrapped(
                envelope(document(Entity.TASKS, **{field: value})), **{field: {"type": "string"}}
            ),
        ):
            change = decoded(record, decoder, **dumping)
            assert change.unavailable == (field,), value
            assert field not in doc_of(change)
    default = decoded(envelope(document(Entity.TASKS, **{field: DEFAULT})), decoder)
    assert default.unavailable == (field,)


def test_an_id_left_out_is_the_keys_whatever_the_placeholder() -> None:
    decoder = Decoder(Entity.TASKS, Placeholders("(same)"))
    after = dumps(envelope(document(Entity.TASKS, id="(same)")))
    change = decoder.decode(Record(after, key=b"t-5"), 0)
    assert change is not None
    assert change.id == "t-5"
    deletion = dumps(envelope(None, "d", before={"id": "(same)"}))
    change = decoder.decode(Record(deletion, key=b"t-5"), 0)
    assert change is not None
    assert change.id == "t-5"


@pytest.mark.parametrize(
    "value",
    [
        f"{DEFAULT} ",
        [DEFAULT, DEFAULT],
        [],
        list(DEFAULT.encode())[:-1],
        [*DEFAULT.encode(), 0],
        [95, 95, 100],
        [95.5],
        {DEFAULT: "other"},
        {"other": DEFAULT},
        {DEFAULT: DEFAULT, "more": 1},
        {},
        [[DEFAULT]],
        [UUID.upper()],
        UUID,
        {DEFAULT: [DEFAULT]},
    ],
)
def test_what_only_resembles_it_is_a_value(value: object) -> None:
    change = decoded(envelope(document(Entity.TASKS, somethingNew=value)), Decoder(Entity.TASKS))
    assert change.unavailable == ()
    assert doc_of(change)["somethingNew"] == value


@given(
    st.sampled_from([own for own, *_ in CONNECTORS]),
    st.dictionaries(
        st.sampled_from(["output", "gates", "new", "more"]),
        st.sampled_from([form for _, data, uuid in CONNECTORS for form in forms(data, uuid)])
        | st.lists(st.integers(90, 102), max_size=4)
        | st.text('_a[]95,\\"', max_size=8),
    ),
    st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}]),
)
def test_the_fast_way_and_the_careful_way_see_the_same(
    own: str | None, fields: dict[str, Any], dumping: dict[str, Any]
) -> None:
    decoder = Decoder(Entity.AGENTS, Placeholders(own))
    record = Record(json.dumps(envelope(document(Entity.AGENTS, **fields)), **dumping).encode())
    assert record.value is not None
    fast, careful = decoder.decode(record, 0), decoder._decode_any(record, record.value, 0)
    assert fast is not None
    assert careful is not None
    assert (doc_of(fast), fast.unavailable) == (doc_of(careful), careful.unavailable)


@pytest.mark.parametrize("value", ["hex:", "hex:0", "hex:zz"])
def test_a_placeholder_that_is_none_is_a_wrong_setting(value: str) -> None:
    with pytest.raises(SettingsError, match=r"NOVA_UNAVAILABLE_VALUE='hex:.*hexadecimal"):
        load_settings(unavailable_value=value)
    assert load_settings(unavailable_value="hex:00ff").unavailable_value == "hex:00ff"
