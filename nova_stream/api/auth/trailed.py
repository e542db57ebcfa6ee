"""The middleware that tells the audit trail what each request did."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.auth.access import ACCESS, Access
from nova_stream.api.auth.trail import Deed, Trail
from nova_stream.api.head import METHODS, asked_method
from nova_stream.api.problems import problem_of
from nova_stream.api.refusals import REFUSALS

_LOOKS = {"GET", "HEAD", "OPTIONS"}
_FAILED = 400


class TrailMiddleware:
    """Records what was published, what an administrator did or looked at, and what was refused."""

    def __init__(self, app: ASGIApp, trail: Trail) -> None:
        self._app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = False

        async def tell(outcome: str) -> None:
            nonlocal told
            if not told:
                told = True
                await self._tell(scope, outcome)

        def cut_off() -> None:
            nonlocal told
            if not told:
                told = True
                self._note(scope, "cut off")

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                access: Access | None = scope.get(ACCESS)
                done = (access.outcome if access else None) or "done"
                await tell(done if status < _FAILED else str(status))
            await send(message)

        with self._trail.under_way(cut_off):
            try:
                await self._app(scope, receive, telling)
            except (asyncio.CancelledError, ClientDisconnect):
                cut_off()  # who is cancelled has no time to write
                raise
            except Exception as error:
                problem = problem_of(error)
                await tell(problem.kind or str(problem.status))
                if problem is error:
                    raise
                raise problem from error

    async def _tell(self, scope: Scope, outcome: str) -> None:
        access: Access | None = scope.get(ACCESS)
        if access is not None and outcome not in REFUSALS and acts_as_admin(scope, access):
            await self._trail.record(deed_of(scope, access, outcome, refused=False))
        else:
            self._note(scope, outcome)

    def _note(self, scope: Scope, outcome: str) -> None:
        access: Access | None = scope.get(ACCESS)
        refused = outcome in REFUSALS
        if refused or (access is not None and access.acts):
            changed = {} if access is None else access.changed
            self._trail.note(deed_of(scope, access, outcome, refused=refused), changed)


def acts_as_admin(scope: Scope, access: Access) -> bool:
    """Whether the request is to do what only administrators may, rather than to look at it."""
    return "admin" in access.acts and scope["method"] not in _LOOKS


def deed_of(scope: Scope, access: Access | None, outcome: str, *, refused: bool) -> Deed:
    """What the request does, as the trail tells it."""
    caller = None if access is None else access.caller
    client = scope.get("client")
    path = getattr(scope.get("route"), "path", "(none)").replace(":path}", "}")
    method = asked_method(scope)
    return Deed(
        token=None if caller is None else caller.name,
        address=client[0] if client else None,
        action=f"{method if method in METHODS else 'other'} {path}",
        # What somebody without a token says is not worth keeping.
        object=None if refused and caller is None else _object(scope, access),
        outcome=outcome,
        refused=refused,
    )


def _object(scope: Scope, access: Access | None) -> str | None:
    if access is not None and access.about is not None:
        return access.about
    given: dict[str, Any] = scope.get("path_params") or {}
    return ", ".join(str(value) for name, value in given.items() if name != "token") or None
