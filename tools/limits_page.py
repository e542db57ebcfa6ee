"""docs/limits.md: what every route and every function of the main app may cost.

``python -m tools.limits_page`` writes the tables anew from what the routes declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute

from nova_stream.api.app import ROUTES
from nova_stream.api.budget.budget import KB, MB, Budget
from nova_stream.api.convex.backend import FUNCTIONS

PAGE = Path("docs/limits.md")
_BEGIN, _END = "<!-- tables: begin -->", "<!-- tables: end -->"
_HEAD = (
    "body",
    "JSON values",
    "rows",
    "bytes of rows",
    "answer",
    "seconds",
    "memory",
)


def page(text: str) -> str:
    """The page ``text`` with tables of what is declared now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    routes = budgets_of(route for module in ROUTES for route in module.router.routes)
    functions = {f"{found.kind} `{path}`": found.within for path, found in FUNCTIONS.items()}
    tables = [
        *_table("route", {f"`{name}`": budget for name, budget in routes.items()}),
        "",
        *_table("function", functions),
    ]
    return "\n".join([f"{before}{_BEGIN}", *tables, f"{_END}{after}"])


def budget_of(route: APIRoute) -> Budget | None:
    """What a route declares; of several the last, which is the route's own."""
    found = [getattr(dependency.dependency, "budget", None) for dependency in route.dependencies]
    return next((budget for budget in reversed(found) if budget is not None), None)


def budgets_of(routes: Iterable[Any]) -> dict[str, Budget]:
    """The budgets of all routes as ``METHOD /path``; KeyError for a route without one."""
    found = {}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        budget = budget_of(route)
        for method in route.methods or ():
            name = f"{method} {route.path.replace(':path}', '}')}"
            if budget is None:
                raise KeyError(name)
            found[name] = budget
    return found


def _table(what: str, budgets: Mapping[str, Budget]) -> Iterable[str]:
    yield f"| {' | '.join((what, *_HEAD))} |"
    yield f"|{'---|' * (len(_HEAD) + 1)}"
    for name, budget in sorted(budgets.items()):
        cells = (
            _size(budget.body),
            _number(budget.values),
            _number(budget.rows),
            _size(budget.row_bytes),
            _size(budget.answer) if budget.seconds else "no end",
            _number(round(budget.seconds)),
            _size(budget.memory),
        )
        yield f"| {' | '.join((name, *cells))} |"


def _size(size: int) -> str:
    if not size:
        return ""
    return f"{size // MB} MB" if size >= MB else f"{size // KB} kB"


def _number(number: int) -> str:
    return f"{number:,}" if number else ""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
