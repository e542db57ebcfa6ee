"""How a caller is told that the token is missing, unknown or too small, or that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

from nova_stream.api.problems import RETRY, ProblemError
from nova_stream.scopes import named
from nova_stream.storage.faults import state_of

_BEARER = 'Bearer realm="nova-stream"'

#: The kinds of the problems that refuse access, as the audit trail names them.
REFUSALS = frozenset(
    {
        "token-missing",
        "token-unknown",
        "scope-missing",
        "foreign-host",
        "foreign-origin",
        "forwarded",
    }
)


def missing() -> ProblemError:
    """The request carries no token."""
    return ProblemError(
        401,
        "token-missing",
        "A token is needed: send the header Authorization: Bearer TOKEN.",
        headers={"WWW-Authenticate": _BEARER},
    )


def unknown() -> ProblemError:
    """The request's token is none, or not one any more."""
    return ProblemError(
        401,
        "token-unknown",
        "This token is not one of those that are configured or stored, or it has expired.",
        headers={"WWW-Authenticate": f'{_BEARER}, error="invalid_token"'},
    )


def lacking(needed: Iterable[str], scopes: Iterable[str]) -> ProblemError:
    """The request's token has these scopes, and none of those that are ``needed``."""
    wanted = list(needed)
    asked = " ".join(wanted)
    return ProblemError(
        403,
        "scope-missing",
        f"This needs a token with the scope {' or '.join(wanted)}; this one has {named(scopes)}.",
        headers={
            "WWW-Authenticate": f'{_BEARER}, error="insufficient_scope", scope="{asked}"',
        },
    )


def foreign_host() -> ProblemError:
    """Without tokens: the request names another host than this machine."""
    return ProblemError(
        403,
        "foreign-host",
        "Without a configured token only 127.0.0.1 and localhost are served; set NOVA_API_TOKEN.",
    )


def foreign_origin() -> ProblemError:
    """Without tokens: a page of another origin sent the request."""
    return ProblemError(
        403,
        "foreign-origin",
        "Without a configured token pages of other origins are not served; set NOVA_API_TOKEN.",
    )


def forwarded(header: str) -> ProblemError:
    """Without tokens: ``header`` says that a proxy hands the request on."""
    return ProblemError(
        403,
        "forwarded",
        f"The header {header} says that a proxy forwards this request. Without a configured "
        "token only this machine is served; set NOVA_API_TOKEN.",
    )


def untold() -> ProblemError:
    """The audit trail takes no line, and nothing is done without one."""
    return ProblemError(
        503,
        "audit-trail",
        "The audit trail cannot be written at the moment, so nothing was done; try again.",
        headers=RETRY,
    )


def undecided(failure: BaseException | None = None) -> ProblemError:
    """Postgres has the tokens, and does not answer; ``failure`` says what it did instead."""
    more = {} if failure is None else {"databaseState": state_of(failure)}
    return ProblemError(
        503,
        "database-unavailable",
        "Postgres, which holds the tokens, does not answer; try again.",
        headers=RETRY,
        **more,
    )
