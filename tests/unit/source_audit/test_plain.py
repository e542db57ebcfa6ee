"""Values whose forms differ between a column and a document have one text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.documents import Kind
from nova_stream.source_audit.plain import loose_text

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["[1]", "null", '"x"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(_JSON, st.sampled_from([Kind.ANY, Kind.JSON, Kind.LIST]), st.integers(1, 3))
def test_json_is_itself_however_often_it_was_written_as_text(
    value: object, kind: Kind, times: int
) -> None:
    text = json.dumps(value)
    wanted = loose_text(kind, text)
    for _ in range(times):
        text = json.dumps(text)
        assert loose_text(kind, text) == wanted


@pytest.mark.parametrize("kind", [Kind.ANY, Kind.JSON, Kind.LIST])
def test_json_that_says_something_else_has_another_text(kind: Kind) -> None:
    texts = ["[1]", "[1, 2]", '{"a": 1}', '"x"', "x", "1", "true", "null"]
    assert len({loose_text(kind, text) for text in texts}) == len(texts) - 1  # "x" and x
