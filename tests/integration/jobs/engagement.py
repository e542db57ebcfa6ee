"""What a random history does to engagement, activity by activity, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.recount_engagement import Visit

_KEPT = timedelta(days=7)


@dataclass
class SeenActivity:
    """An activity as it was at one time. It is ``live`` in the feed, or ``noted`` by a cleanup and
    not summarised since; ``counted`` when the last run that looked at it counted it.
    """

    id: str
    user: str
    time: datetime
    live: bool = True
    noted: bool = False
    counted: bool = False


class Memory:
    """All activities ever seen, and what became of them."""

    def __init__(self) -> None:
        self.seen: list[SeenActivity] = []
        self.registered: set[str] = set()
        self._cleaned: dict[int, list[SeenActivity]] = {}
        self._taken: dict[int, set[str]] = {}
        self._left_alone: set[str] = set()

    def store(self, id_: str, user: str, time: datetime) -> None:
        self.delete(id_)
        self.seen.append(SeenActivity(id_, user, time))

    def delete(self, id_: str) -> None:
        """What was cleaned up before is not put back, either."""
        for activity in self.seen:
            if activity.id == id_:
                activity.live = False
        for run, activities in self._cleaned.items():
            self._cleaned[run] = [activity for activity in activities if activity.id != id_]

    def clean(self, run: int, now: datetime) -> int:
        old = [
            activity
            for activity in self.seen
            if activity.live and activity.time < now - _KEPT and activity.id not in self._left_alone
        ]
        for activity in old:
            activity.live, activity.noted = False, True
        self._cleaned[run] = old
        self._taken[run] = {activity.id for activity in old}
        return len(old)

    def undo(self, run: int) -> None:
        """Put back what nothing newer replaces; all that the run took is left alone now."""
        for activity in self._cleaned.pop(run, []):
            activity.live = True
        self._left_alone |= self._taken.pop(run, set())

    def summarize(self, now: datetime) -> set[Visit]:
        """Who counts, by the rules of docs/engagement.md."""
        counting = self.registered - {"system"}
        for activity in self.seen:
            day = datetime.combine(activity.time, datetime.min.time(), UTC)
            if day.date() >= now.date():
                continue
            if activity.user not in counting:
                activity.counted = False
            elif activity.live or activity.noted:
                activity.counted, activity.noted = True, False
            elif day >= now - _KEPT:
                activity.counted = False
        return {
            Visit(activity.time.date(), activity.user) for activity in self.seen if activity.counted
        }
