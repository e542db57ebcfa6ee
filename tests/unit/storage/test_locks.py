"""Advisory locks: one number a thing, and the same number in every process and version."""

from __future__ import annotations

from nova_stream.storage import locks


def test_no_two_locks_share_a_number() -> None:
    second = [*locks.ALL_NAMES, locks.BUILDS, locks.COMPACTION]
    assert len(set(second)) == len(second)
    assert locks.ALERTS != locks.MIGRATION


def test_numbers_stay_as_they_are_since_workers_of_two_versions_meet() -> None:
    assert locks.names(["ATLAS", "VENUS", "ATLAS", "Åland"]) == [159, 191, 236]
    assert locks.entity("task:t-1") == -3856461445689693432
