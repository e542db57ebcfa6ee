"""What the API answers that is no success, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from nova_stream.errors import (
    ApiAccessError,
    ApiError,
    ApiNotFoundError,
    ApiUnavailableError,
    NovaStreamError,
    PositionNotReachedError,
)

_KINDS: dict[int, type[ApiError]] = {
    401: ApiAccessError,
    403: ApiAccessError,
    404: ApiNotFoundError,
    429: ApiUnavailableError,
}


def error_of(response: httpx.Response) -> NovaStreamError:
    """The exception that a response is which has been read; a proxy's need not be a problem."""
    members: Mapping[str, Any] = {"detail": response.text[:200] or response.reason_phrase}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        members = msgspec.json.decode(response.content)
    kind = str(members.get("type", "about:blank")).removeprefix("urn:nova-stream:")
    status = response.status_code
    # Without the query, which may hold what nobody wants in a log.
    asked = f"{response.request.method} {response.request.url.copy_with(query=None)}"
    message = f"{asked}: {status} {kind}: {members.get('detail')}"
    if kind == "position-not-reached":
        return PositionNotReachedError(message, members["position"], members["behind"])
    usual = ApiUnavailableError if status >= 500 else ApiError
    wait = response.headers.get("retry-after", "")
    return _KINDS.get(status, usual)(
        message, status, kind, members, float(wait) if wait.isdecimal() else None
    )


def unreachable(error: httpx.HTTPError | str, asked: str) -> ApiUnavailableError:
    """What to raise where no answer came, or not all of it."""
    return ApiUnavailableError(
        f"{asked}: no answer ({error or type(error).__name__}); is NOVA_API_URL right, and does "
        "nova-stream api run there?",
        None,
        "unreachable",
        {},
    )
