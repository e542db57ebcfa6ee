"""When tasks got their present status, where one flush brings several changes of a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from nova_stream.events.change import COLUMNS, Change, Entity
from nova_stream.storage.apply.upserts_sql import FINISHED_AT

_STATUS = COLUMNS[Entity.TASKS].index("status")


class _Step(msgspec.Struct, omit_defaults=True):
    """A change to compare with the stored row; one of another status than the last has no time."""

    version: int
    version_minor: int
    version_generation: int
    src_partition: int
    src_offset: int
    at: datetime | None = None
    n: int = 0


def steps(
    passed: Iterable[Change], kept: Mapping[str, Change]
) -> tuple[dict[str, datetime], str | None]:
    """For finished tasks of ``kept`` that ``passed`` has older changes of: since when they have
    their status, by id, where that is not the time of their last change; and as JSON the changes to
    compare with the stored rows: the last of another status, and those that follow it.
    """
    since: dict[str, datetime] = {}
    found: dict[str, list[_Step]] = {}
    repeated = set()
    # Most tasks had another status just before: then that one change says all.
    for id_, before in {change.id: change for change in passed}.items():
        status = kept[id_].values[_STATUS]
        if status in FINISHED_AT:
            if before.values[_STATUS] == status or before.unavailable:
                repeated.add(id_)
            else:
                found[id_] = [_step(before)]
    chains: dict[str, list[Change]] = {id_: [] for id_ in repeated}
    for change in passed if repeated else ():
        if change.id in chains:
            chains[change.id].append(change)
    for id_, earlier in chains.items():
        found[id_], since[id_] = _run(earlier, kept[id_])
    return since, msgspec.json.encode(found).decode() if found else None


def _run(earlier: list[Change], last: Change) -> tuple[list[_Step], datetime]:
    """The steps of a task that has had its status for several changes, and since when it has."""
    place = len(earlier)
    run = [_step(last, last.changed_at, place)]
    since = last.changed_at
    for change in reversed(earlier):
        place -= 1
        same = change.values[_STATUS] == last.values[_STATUS] or "status" in change.unavailable
        run.append(_step(change, change.changed_at if same else None, place))
        if not same:
            break
        since = change.changed_at
    return run, since


def _step(change: Change, at: datetime | None = None, n: int = 0) -> _Step:
    return _Step(
        change.number,
        change.minor,
        change.rank_generation,
        change.partition,
        change.place,
        at,
        n,
    )
