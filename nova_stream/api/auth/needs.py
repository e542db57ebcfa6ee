"""What a route needs of whoever asks, as its dependency."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from nova_stream.api.auth.access import Confirm, access_of
from nova_stream.api.auth.trailed import acts_as_admin, deed_of
from nova_stream.api.state import services_of
from nova_stream.scopes import Scope
from nova_stream.storage.access.trail import BEGUN

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of NOVA_API_TOKEN, NOVA_API_TOKENS or `nova-stream tokens create`; where "
    "there is none, none is needed.",
)


def needs(*scopes: Scope, confirm: Confirm = "fresh") -> Any:
    """A route's dependency: the request carries a token with one of ``scopes``, and still may when
    its answer goes out, as ``confirm`` says. What administrators do begins once the audit trail
    has it.
    """

    async def check(
        request: Request,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> None:
        access = access_of(request.scope)
        access.check(*scopes, confirm=confirm)
        if acts_as_admin(request.scope, access) and not access.begun:
            access.begun = True
            deed = deed_of(request.scope, access, BEGUN, refused=False)
            await services_of(request).trail.begin(deed)

    return Depends(check)


def sees_documents(request: Request) -> bool:
    """Whether documents may be part of the answer; if so, they must be allowed when it goes out,
    too. For routes that ``needs`` lets in without.
    """
    access = access_of(request.scope)
    if "documents" not in access.granted:
        return False
    access.check("documents")
    return True
