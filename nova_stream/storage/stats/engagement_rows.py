"""What the readers give of engagement."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nova_stream.storage.stats.rows import Time

Day = Annotated[str, msgspec.Meta(description="A day (UTC), as YYYY-MM-DD.")]


class EngagementDay(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The users who were active on a day, and in the 7 and 30 days that end with it."""

    day: Day
    dau: int
    wau: int
    mau: int
    new_users: Annotated[int, msgspec.Meta(description="Active for the first time.")]
    returning_users: Annotated[int, msgspec.Meta(description="Active before: dau - newUsers.")]
    returned: Annotated[
        int, msgspec.Meta(description="Of those, not active in the 30 days before.")
    ]


class CohortWeek(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How many of the users who were new in a week were active in a later one."""

    cohort_week: Annotated[str, msgspec.Meta(description="The week's Monday, as YYYY-MM-DD.")]
    week: Annotated[int, msgspec.Meta(description="Weeks after it; 0 is the week itself.")]
    users: int
    retained: int


class ChurnMonth(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The users who were active in a month, and those who were in the month before and no more."""

    month: Annotated[str, msgspec.Meta(description="The month's first day, as YYYY-MM-DD.")]
    active: int
    active_before: Annotated[int, msgspec.Meta(description="Active in the month before.")]
    churned: Annotated[int, msgspec.Meta(description="Of those, not active in this month.")]
    rate: Annotated[
        float, msgspec.Meta(description="churned in percent of activeBefore, to two decimals.")
    ]


class Engagement(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All figures of engagement in a range, of one run; ``countedAt`` is the time that the run
    believed in, null before the first one.
    """

    days: list[EngagementDay]
    retention: list[CohortWeek]
    churn: list[ChurnMonth]
    inactive_users: Annotated[
        int, msgspec.Meta(description="On the list of markInactiveUsers now.")
    ]
    counted_at: Time | None
