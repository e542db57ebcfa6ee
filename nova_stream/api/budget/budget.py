"""What one request may cost: declared where its route is, held by one mechanism.

A route says ``within(Budget(...))`` among its dependencies. ``Budgets`` stands around all routes
and holds what was declared: it refuses larger bodies, ends what takes too long, refuses to send
larger answers, and lets only as many requests work at a time as there is room in memory for.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Depends, Request

from nova_stream.api.parameters import refuse_unknown
from nova_stream.api.problems import ProblemError

KB = 1024
MB = 1024 * KB

#: Bytes of a body that needs no room, however much memory its route declares.
SMALL_BODY = 64 * KB
#: Where a scope has the request's Spending, the name of who asks, and what ends the connection.
SPENDING = "nova_stream.spending"
CALLER = "nova_stream.caller"
CUT = "nova_stream.cut"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a request."""

    #: Bytes of its query, and of a position token (``?after=``) beside that.
    query: int = 4 * KB
    token: int = 0
    #: Bytes of its body, after unpacking; 0 where the route reads none.
    body: int = 0
    #: Values of the JSON in its body, containers included.
    values: int = 0
    #: Rows of its answer; 0 where it has no list.
    rows: int = 0
    #: Bytes of those rows, after which a list stops; a row that is larger comes alone.
    row_bytes: int = 0
    #: Bytes of its answer, before packing.
    answer: int = 64 * KB
    #: Seconds until its answer begins; 0 for one that lasts.
    seconds: float = 20
    #: Bytes of memory that it takes with all of the above at their largest.
    memory: int = 0


#: Of what no route has declared: pages, and paths that lead nowhere.
UNDECLARED = Budget(answer=4 * MB)
#: Seconds for what may wait a minute for one's own writes first.
_WAITING_S = 90.0
#: As long as a request's address can be.
_TOKEN = 64 * KB
#: Answers without a row of a document.
PROBE = Budget()
FIGURES = Budget(token=_TOKEN, seconds=_WAITING_S)
#: One row, which may be as large as a record is.
ROW = Budget(token=_TOKEN, answer=16 * MB, seconds=_WAITING_S, memory=2 * MB)
#: An execution with its prompt and response, which may have to be looked up in the archive.
DOCUMENT = Budget(token=_TOKEN, answer=32 * MB, seconds=_WAITING_S, memory=32 * MB)
#: A few hits of each of six kinds.
SEARCH = Budget(token=_TOKEN, rows=120, answer=MB, seconds=_WAITING_S, memory=MB)
#: A page of a list, and a list that has pages without being asked for them.
PAGE = Budget(
    token=_TOKEN, rows=500, row_bytes=2 * MB, answer=16 * MB, seconds=_WAITING_S, memory=12 * MB
)
#: A page of what nova-stream itself writes, each row of which is short.
LINES = Budget(rows=500, answer=4 * MB, memory=8 * MB)
TASKS = Budget(
    token=_TOKEN, rows=2000, row_bytes=4 * MB, answer=16 * MB, seconds=_WAITING_S, memory=24 * MB
)
AGENTS = Budget(
    token=_TOKEN, rows=5000, row_bytes=4 * MB, answer=16 * MB, seconds=_WAITING_S, memory=24 * MB
)
#: Plots: a row is a piece of time.
HISTORY = Budget(token=_TOKEN, rows=24_000, answer=8 * MB, seconds=_WAITING_S, memory=32 * MB)
#: 400 days, the cohorts of their weeks, and their months.
ENGAGEMENT = Budget(rows=2200, answer=MB, memory=4 * MB)
#: Statistics over time: a row is a bucket.
SERIES = Budget(token=_TOKEN, rows=3000, answer=4 * MB, seconds=_WAITING_S, memory=12 * MB)
#: Something that is done, with a few options in its body.
ACTION = Budget(body=MB, values=1000, answer=16 * MB, seconds=60, memory=8 * MB)
#: Change events.
EVENTS = Budget(body=10 * MB, values=200_000, seconds=120, memory=96 * MB)
#: A call of a function of the main app, of which each declares its own answer.
CALL = Budget(body=4 * MB, values=50_000, answer=64 * KB, seconds=60, memory=48 * MB)
#: What a query of the main app gives: documents, each of which is in the answer twice.
DOCUMENTS = Budget(
    body=4 * MB, values=50_000, rows=16_384, row_bytes=4 * MB, answer=32 * MB, memory=48 * MB
)
#: The figures of all agents as one of them gives them.
FIGURES_OF_ALL = Budget(
    body=4 * MB, values=50_000, rows=5000, row_bytes=4 * MB, answer=32 * MB, memory=48 * MB
)
#: Changes, as long as somebody listens.
STREAM = Budget(seconds=0)


def within(budget: Budget) -> Any:
    """A route's dependency: its requests may cost ``budget``, and ask for nothing that the route
    does not know.
    """

    async def begin(request: Request) -> None:
        _check_query(request.scope["query_string"], budget)
        request.scope[SPENDING].begin(budget)
        refuse_unknown(request)

    begin.budget = budget  # type: ignore[attr-defined]
    return Depends(begin)


def _check_query(query: bytes, budget: Budget) -> None:
    """Raise ProblemError 422 for a longer one than the route takes."""
    if len(query) <= budget.query:
        return
    token = sum(len(part) for part in query.split(b"&") if part.startswith(b"after="))
    if token > budget.token or len(query) - token > budget.query:
        aside = f", {budget.token >> 10} kB of a position token aside" if budget.token else ""
        raise ProblemError(
            422,
            "query-too-large",
            f"The query has {len(query):,} bytes; at most {budget.query >> 10} kB are taken"
            f"{aside}.",
        )


def too_large(limit: int) -> ProblemError:
    """The body is larger than its route takes."""
    return ProblemError(
        413,
        "too-large",
        f"The body has more than {limit >> 20} MB; send it in several requests.",
        headers={"Connection": "close"},
    )


def too_many_values(limit: int) -> ProblemError:
    """The body has more JSON values than its route takes."""
    return ProblemError(
        413,
        "too-many-values",
        f"The body has more than {limit:,} JSON values; send it in several requests.",
    )
