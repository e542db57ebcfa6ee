"""What checkStalledBuilds says about a build: its failure, and the activity that tells of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from nova_stream.events.change import SNAPSHOT_MINOR, Entity, Version, VersionKind
from nova_stream.events.json_text import parse_json
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.events.times import time_text
from nova_stream.publish.raw import BY_KEY, RawPublisher, RawRecord, change_record
from nova_stream.storage.maintenance.stalled import StalledBuild

if TYPE_CHECKING:
    from nova_stream.jobs.engine.job import JobContext

#: How the error of a stalled build begins, the fields that its failure sets, and the ids of the
#: activities that tell of one.
STALLED = "Build stalled (no activity for "
STALL_FIELDS = frozenset({"status", "completedAt", "error"})
STALL_ACTIVITY = re.compile("stalled-[0-9a-f]{32}")

_SOURCE = "nova-stream"
#: Characters of a document from which on a record has no room for it twice.
_LARGE = 1_000_000


class Verdict(msgspec.Struct, frozen=True):
    """A stalled build, and the changes that say so.

    They have the build's version with the next minor number: the main app's next change of the
    build beats them, whenever it comes, and saying it twice is saying it once.
    """

    build: StalledBuild
    activity_id: str
    failure: ChangeLine
    activity: ChangeLine

    @property
    def key(self) -> tuple[str, int, int, str]:
        """Build, its version with the next minor number, activity."""
        build = self.build
        return (build.id, build.version, build.version_minor + 1, self.activity_id)

    @property
    def asked(self) -> tuple[str, int, int, str, int]:
        """What ``storage.stalled.fates`` asks by: the key, and the version's generation."""
        return (*self.key, self.build.version_generation)

    def withdrawal(self) -> ChangeLine:
        """The deletion of the activity, for a build that finished at the same moment."""
        line = self.activity
        return change_line(
            {
                "entity": line.entity,
                "op": "d",
                "seq": line.seq,
                "minor": line.minor + 1,
                "ts_ms": line.ts_ms,
                "before": line.after,
            }
        )


def verdict_of(build: StalledBuild, now: datetime, minutes: int) -> Verdict:
    """The verdict on a build that nothing has happened to for ``minutes``."""
    document: dict[str, Any] = parse_json(build.doc.encode(), "the build")
    minor, time = build.version_minor + 1, time_text(now)
    # On top of a snapshot's row of an lsn: a snapshot's row too, or it would outrank the changes
    # that follow the snapshot at that lsn.
    op = "u" if minor >= 0 else "r"
    minor -= 0 if minor >= 0 else SNAPSHOT_MINOR
    failed = {
        **document,
        "status": "failed",
        "completedAt": time,
        "error": f"{STALLED}{minutes}+ minutes)",
    }
    told = f"{build.id}\n{build.version}\n{minor}"
    activity_id = f"stalled-{hashlib.sha256(told.encode()).hexdigest()[:32]}"
    activity = {
        "id": activity_id,
        "userId": "system",
        "agentName": "ATLAS",
        "eventType": "task_failed",
        "details": f"Build stalled: {document.get('prdName') or build.id}",
        "timestamp": time,
    }
    before = document if len(build.doc) <= _LARGE else None
    common = {"seq": build.version, "minor": minor, "ts_ms": time}
    return Verdict(
        build=build,
        activity_id=activity_id,
        failure=change_line(
            {"entity": Entity.BUILDS, "op": op, "after": failed, "before": before, **common}
        ),
        activity=change_line({"entity": Entity.ACTIVITIES, "op": "c", "after": activity, **common}),
    )


class StallPublisher:
    """Publishes verdicts with the kind of version that each topic has."""

    def __init__(self, context: JobContext, kinds: Mapping[str, VersionKind]) -> None:
        settings = context.settings
        self._context = context
        self._builds = kinds.get(settings.topic(Entity.BUILDS), VersionKind.SEQ)
        # Nobody has written an activity yet: whoever writes the builds will do it alike.
        self._activities = kinds.get(settings.topic(Entity.ACTIVITIES), self._builds)

    async def say(self, verdicts: Sequence[Verdict]) -> None:
        """Publish activities, then failures: a build that has failed has its activity, wherever
        this ends. Raises what publishing raises; to say it again is safe.
        """
        await self._send(self._activities, [_Statement(v.activity, BY_KEY) for v in verdicts])
        failures = [
            _Statement(v.failure, v.build.partition, v.build.version_generation) for v in verdicts
        ]
        await self._send(self._builds, failures)

    async def withdraw(self, verdicts: Sequence[Verdict]) -> None:
        """Publish the deletion of activities whose builds did not fail after all."""
        await self._send(self._activities, [_Statement(v.withdrawal(), BY_KEY) for v in verdicts])

    async def _send(self, kind: VersionKind, said: Sequence[_Statement]) -> None:
        if kind is VersionKind.SEQ:
            publisher = await self._context.publisher()
            await publisher.publish([item.line for item in said])
            return
        settings = self._context.settings
        async with RawPublisher(settings) as raw:
            await raw.send(
                [
                    _raw(s.line, kind, settings.topic(s.line.entity), s.partition, s.generation)
                    for s in said
                ]
            )


class _Statement(NamedTuple):
    """A change to publish: its partition, and the generation of the source of its version."""

    line: ChangeLine
    partition: int
    generation: int = 0


def _raw(
    line: ChangeLine, kind: VersionKind, topic: str, partition: int, generation: int = 0
) -> RawRecord:
    """The record of a change whose version is no ``seq``; where that is an offset, a header tells
    which one. ``generation`` is that of the source of an lsn.
    """
    assert line.seq is not None
    return change_record(
        (topic, partition),
        line.entity,
        line.op,
        line.id,
        Version(line.seq, line.minor),
        {"lsn": line.seq, "generation": generation} if kind is VersionKind.LSN else {},
        ts_ms=line.ts_ms or 0,
        source_name=_SOURCE,
        before=line.before,
        after=line.after,
    )
