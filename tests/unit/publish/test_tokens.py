"""Position tokens: opaque, mergeable, comparable; garbage is refused."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.publish.position_token import PositionToken

OFFSETS = st.integers(0, 2**63 - 1)
PARTITIONS = st.dictionaries(st.integers(0, 2**31 - 1), OFFSETS, max_size=4)
TOKENS = st.builds(PositionToken, st.dictionaries(st.text(max_size=20), PARTITIONS, max_size=4))


@given(TOKENS)
def test_a_token_survives_being_text(token: PositionToken) -> None:
    text = str(token)

    assert PositionToken.decode(text) == token
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)


def test_equal_tokens_are_equal_texts() -> None:
    one = PositionToken({"a": {1: 5, 0: 6}, "b": {}})
    other = PositionToken({"b": {}, "a": {0: 6, 1: 5}})

    assert str(one) == str(other)


@given(TOKENS, TOKENS, st.dictionaries(st.tuples(st.text(max_size=20), st.integers(0, 3)), OFFSETS))
def test_a_merged_token_is_reached_when_both_are(
    one: PositionToken, other: PositionToken, positions: dict[tuple[str, int], int]
) -> None:
    merged = one.merge(other)

    both = one.reached(positions) and other.reached(positions)
    assert merged.reached(positions) == both
    assert merged.reached(dict(one.offsets()) | dict(merged.offsets()))
    assert merged == other.merge(one)


@given(TOKENS, st.dictionaries(st.text(max_size=20), st.text(max_size=30), max_size=4))
def test_lives_survive_too(token: PositionToken, lives: dict[str, str]) -> None:
    living = PositionToken(token.positions, lives)

    assert PositionToken.decode(str(living)) == living


def test_of_two_lives_of_a_topic_the_later_tokens_counts() -> None:
    former = PositionToken({"a": {0: 9}, "b": {0: 1}}, {"a": "x", "b": "z"})
    present = PositionToken({"a": {1: 2}}, {"a": "y"})
    unknown = PositionToken({"a": {0: 3}})

    assert former.merge(present) == PositionToken({"a": {1: 2}, "b": {0: 1}}, {"a": "y", "b": "z"})
    assert former.merge(unknown) == former
    assert unknown.merge(former).lives == former.lives


def test_tokens_of_before_topics_had_lives_are_read() -> None:
    text = urlsafe_b64encode(b'\x01{"a":{"0":5}}').decode().rstrip("=")

    assert PositionToken.decode(text) == PositionToken({"a": {0: 5}})
    assert str(PositionToken({"a": {0: 5}})) == text


def test_merging_changes_neither() -> None:
    one, other = PositionToken({"a": {0: 1}}), PositionToken({"a": {0: 2}})

    assert one.merge(other) == other
    assert one == PositionToken({"a": {0: 1}})


def test_a_partition_that_nobody_reads_stands_at_0() -> None:
    assert not PositionToken({"a": {0: 1}}).reached({})
    assert PositionToken({"a": {0: 0}}).reached({})
    assert PositionToken().reached({})


@given(st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_whatever_is_no_token_is_refused(text: str) -> None:
    try:
        token = PositionToken.decode(text)
    except RejectedError as error:
        assert error.reason == "bad_token"
    else:
        assert PositionToken.decode(str(token)) == token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AQ",
        "é",
        "AXs=extra",
        "x" * 2_000_000,
        urlsafe_b64encode(b"\x02{}").decode(),
        urlsafe_b64encode(b"\x01[]").decode(),
        urlsafe_b64encode(b'\x01{"a":{"-1":0}}').decode(),
        urlsafe_b64encode(b'\x01{"a":{"0":-1}}').decode(),
        urlsafe_b64encode(b'\x01{"a":{"x":1}}').decode(),
        urlsafe_b64encode(b"\x01" + b'{"a":' * 5000).decode(),
    ],
)
def test_garbage(text: str) -> None:
    with pytest.raises(RejectedError, match="is not a position token") as caught:
        PositionToken.decode(text)

    assert caught.value.reason == "bad_token"
    assert len(str(caught.value)) < 200
