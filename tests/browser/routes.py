"""All pages of the dashboard, from its own table of routes: a new one cannot be forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

_APP = Path(__file__).parents[2] / "nova_stream/api/static/app.js"
_TABLE = re.compile(r"^const ROUTES = \[(.*?)^\];", re.DOTALL | re.MULTILINE)
_ROUTE = re.compile(r'\["(/[^"]*)", (\w+)\]')

#: What a page of one entity is looked at with; the names in braces are of ``Entities``.
_OF_ENTITIES = {
    "/agents/:name": ("/agents/{agent}", "/agents/{agent}?since=1d&figure=totalTasks"),
    "/agent": ("/agent?id={agent}",),
    "/builds/:id": ("/builds/{build}",),
    "/build": ("/build?id={build}",),
    "/tasks/:id": ("/tasks/{task}",),
    "/task": ("/task?id={task}",),
    "/executions/:id": ("/executions/{execution}", "/executions/{archived}"),
    "/execution": ("/execution?id={execution}",),
    "/users/:id": ("/users/{user}",),
    "/user": ("/user?id={user}",),
    "/jobs/:name": ("/jobs/{job}",),
    "/jobs/:name/runs/:id": ("/jobs/{job}/runs/{run}",),
    "/dead-letters/:id": ("/dead-letters/{letter}",),
}
#: Other looks of pages that need no entity.
_LOOKS = {
    "/agents": ("/agents?since=1d&sort=-p95Change",),
    "/alerts": ("/alerts?open=false",),
    "/executions": ("/executions?agent=MARS&since=1d&minDuration=1&order=-duration",),
    "/runs": ("/runs?since=7d&job=healthCheck&ended=went_wrong&how=scheduled",),
    "/tasks": ("/tasks?q=nothing-is-called-so",),
}
#: What no route is for.
_MISSING = "/nothing/here/at-all"

#: What is looked at on the pages of one, by its kind.
Entities = Mapping[str, str | int]


def routes() -> dict[str, str]:
    """The page's component of every route."""
    table = _TABLE.search(_APP.read_text(encoding="utf-8"))
    assert table is not None
    return dict(_ROUTE.findall(table[1]))


def of_entities() -> set[str]:
    """The routes that show one entity: by a part of the path, or else by a query."""
    found = routes()
    components = {component for route, component in found.items() if ":" in route}
    return {route for route, component in found.items() if component in components}


def forgotten() -> set[str]:
    """Routes of one entity that nobody said an entity for, and those that are no more."""
    return of_entities() ^ _OF_ENTITIES.keys() | _LOOKS.keys() - routes().keys()


def addresses() -> list[str]:
    """Addresses of all pages, with names of entities in braces."""
    found = [_MISSING]
    for route in routes():
        found += _OF_ENTITIES.get(route, (route,))
        found += _LOOKS.get(route, ())
    return found


def filled(address: str, entities: Entities) -> str:
    """The address with ``entities`` in it."""
    return address.format(**{kind: quote(str(id_), safe="") for kind, id_ in entities.items()})
