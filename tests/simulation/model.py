"""What must stand, from what was published and how far it was applied: no code of the product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from decimal import Decimal
from math import floor
from typing import Any, NamedTuple, TypeAlias

#: Topic, generation, partition and offset.
Place: TypeAlias = tuple[str, int, int, int]


class Published(NamedTuple):
    """One record; ``fields`` is None for a deletion. What cannot be applied says why."""

    entity: str
    id: str
    version: tuple[int, ...]
    partition: int
    fields: dict[str, Any] | None
    letter: str | None = None


class Model:
    """The rows and dead letters of all records that are applied, and the figures of the rows."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Published]] = {}
        self.letters: dict[Place, str] = {}
        #: Refused by Postgres unless a newer change of the same entity came with it.
        self.unseen: dict[Place, Published] = {}

    def apply(self, record: Published, place: Place) -> None:
        if record.letter == "unstorable":
            self.unseen[place] = record
            return
        if record.letter is not None:
            self.letters.setdefault(place, record.letter)
            return
        rows = self.rows.setdefault(record.entity, {})
        known = rows.get(record.id)
        if known is None or record.version > known.version:
            rows[record.id] = record

    def settle(self, letters: Container[Place]) -> None:
        """At a commit: of what Postgres cannot store, the letters are due that nothing replaced."""
        for place, record in self.unseen.items():
            row = self.rows.get(record.entity, {}).get(record.id)
            if place in letters or row is None or row.version < record.version:
                self.letters.setdefault(place, "unstorable")
        self.unseen.clear()

    def documents(self, entity: str) -> dict[str, dict[str, Any]]:
        rows = self.rows.get(entity, {})
        return {id_: row.fields for id_, row in rows.items() if row.fields is not None}

    def agents(self) -> dict[str, dict[str, Any]]:
        tasks = Counter((t.get("agent", ""), t["status"]) for t in self.documents("tasks").values())
        executions = list(self.documents("executions").values())
        found = {}
        for id_, agent in self.documents("agents").items():
            name = agent["name"]
            total = sum(n for (who, _), n in tasks.items() if who == name)
            own = [e for e in executions if e.get("agent", "") == name]
            spent = [Decimal(str(e["duration"])) for e in own if e["duration"] is not None]
            found[id_] = {
                "name": name,
                "role": agent["role"],
                "tasks": (total, tasks[name, "done"], tasks[name, "failed"]),
                "rate": percent(tasks[name, "done"], total),
                "mean": half_up(float(sum(spent)) / len(spent)) if spent else 0.0,
                "last": max((e["timestamp"] for e in own), default=agent["createdAt"]),
                "status": "active" if tasks[name, "running"] else "idle",
                "sums": {
                    "total_tasks": total,
                    "completed_tasks": tasks[name, "done"],
                    "failed_tasks": tasks[name, "failed"],
                    "running_tasks": tasks[name, "running"],
                    "executions": len(spent),
                    "duration_sum": sum(spent),
                },
            }
        return found

    def builds(self) -> dict[str, Any]:
        builds = list(self.documents("builds").values())
        n = Counter(build["status"] for build in builds)
        ended = [b for b in builds if b["completedAt"] is not None]
        took = [b["completedAt"] - b["startedAt"] for b in ended if b["status"] == "completed"]
        return {
            "builds": (len(builds), n["completed"], n["failed"], n["running"]),
            "rate": percent(n["completed"], len(builds)),
            "mean": half_up(sum(took) / len(took)) if took else 0.0,
            "last": max((b["completedAt"] for b in ended), default=None),
        }


def percent(part: int, whole: int) -> float:
    return half_up(part / whole * 100.0 * 100.0) / 100.0 if whole else 0.0


def half_up(number: float) -> float:
    return float(floor(number + 0.5))
