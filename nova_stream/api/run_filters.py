"""What lists of runs are filtered by: how they were started, and how they ended."""

from __future__ import annotations

from typing import Annotated

from nova_stream.api.parameters import several
from nova_stream.storage.jobs.rows import Ended, How

_HOW = several(How, "Only runs that were started so.")
_ENDED = several(Ended, "Only runs that ended so; `running` has those that have not.")


class RunFilters:
    """As a dependency of a route: what its query gives, one or several separated by commas."""

    def __init__(
        self,
        how: Annotated[str | None, *_HOW] = None,
        ended: Annotated[str | None, *_ENDED] = None,
    ) -> None:
        self.how = how
        self.ended = ended
