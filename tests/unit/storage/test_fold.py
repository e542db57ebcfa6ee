"""Folded in any pieces, in any order: the same documents stand at the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Change, VersionKind
from nova_stream.events.versions import GENERATION_BITS, generation_number
from nova_stream.storage.apply.fold import newest, older_versions, rank_offset, version_of

NOON_MS = 1_771_588_800_000


def change(
    id_: str,
    number: int,
    minor: int = 0,
    *,
    offset: int = 0,
    kind: VersionKind = VersionKind.SEQ,
    unavailable: tuple[str, ...] = (),
    stated: bool = False,
) -> Change:
    return Change(
        id_, number, minor, kind, False, NOON_MS, "{}", (), 0, offset, unavailable, stated=stated
    )


_changes = st.lists(
    st.builds(
        change,
        st.sampled_from("abc"),
        st.integers(0, 5),
        st.integers(0, 2),
        offset=st.integers(0, 99),
        unavailable=st.sampled_from([(), ("output",)]),
    ),
    max_size=30,
)


def folded(pieces: list[list[Change]]) -> dict[str, tuple[int, int]]:
    """What the version guard leaves of pieces that are folded one by one."""
    stored: dict[str, Change] = {}
    for piece in pieces:
        for id_, found in newest(piece).items():
            if id_ not in stored or version_of(found) > version_of(stored[id_]):
                stored[id_] = found
    return {id_: version_of(found) for id_, found in stored.items()}


@given(_changes, st.randoms(use_true_random=False), st.integers(1, 8))
def test_any_pieces_in_any_order_end_at_the_highest_versions(
    changes: list[Change], dice: object, size: int
) -> None:
    highest: dict[str, tuple[int, int]] = {}
    for item in changes:
        highest[item.id] = max(highest.get(item.id, (-1, -1)), (item.number, item.minor))
    shuffled = changes * 2
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    pieces = [shuffled[n : n + size] for n in range(0, len(shuffled), size)]
    assert folded(pieces) == folded([changes]) == highest


def test_of_equal_versions_the_first_counts() -> None:
    first, second = change("a", 3, offset=1), change("a", 3, offset=2)
    assert newest([first, second]) == {"a": first}


def test_minor_orders_within_a_number_and_never_beyond_it() -> None:
    changes = [change("a", 3, 9), change("a", 4, 0), change("a", 3, 10)]
    assert version_of(newest(changes)["a"]) == (4, 0)


@given(_changes)
def test_older_versions_are_those_below_what_is_kept_and_newest_first(
    changes: list[Change],
) -> None:
    kept = newest(changes)
    older = older_versions(changes, kept)
    for id_, winner in kept.items():
        expected = [
            version_of(c) for c in changes if c.id == id_ and version_of(c) < version_of(winner)
        ]
        if winner.unavailable:
            found = [version_of(c) for c in older.get(id_, [])]
            assert found == sorted(expected, reverse=True)
        else:
            assert id_ not in older


@given(
    st.integers(0, 2**GENERATION_BITS - 1),
    st.integers(0, 2**GENERATION_BITS - 1),
    st.integers(0, 2**18),
    st.integers(0, 2**18),
)
def test_a_later_generation_outranks_every_offset_of_the_earlier_ones(
    one: int, other: int, earlier: int, later: int
) -> None:
    first, second = (earlier, one), (later, other)
    ranks = generation_number(one, earlier), generation_number(other, later)
    assert (ranks[0] < ranks[1]) == (first < second)
    assert max(ranks) < 2**63


def test_offsets_that_the_record_does_not_state_are_ranked_and_only_once() -> None:
    own = change("a", 7, offset=7, kind=VersionKind.OFFSET)
    stated = change("a", 8, offset=8, kind=VersionKind.OFFSET, stated=True)
    seq = change("a", 7, offset=7)
    for item in (own, own, stated, seq):
        rank_offset(item, 2)
    assert (own.number, stated.number, seq.number) == (generation_number(7, 2), 8, 7)
