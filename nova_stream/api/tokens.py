"""Bearer tokens and their scopes."""

from __future__ import annotations

import hmac
import re
from collections.abc import MutableMapping
from typing import Any, Literal, NamedTuple, cast, get_args

from starlette.datastructures import Headers

from nova_stream.api.problems import ProblemError
from nova_stream.api.stored_tokens import StoredTokens
from nova_stream.errors import SchemaVersionError, SettingsError
from nova_stream.settings import Settings
from nova_stream.storage.token_store import PREFIX, digest_of

Scope = Literal["read", "publish", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ALLOWED = (
    "allowed is name:scope+scope:secret, several separated by commas, with scopes "
    f"{', '.join(SCOPES)} and a secret of letters, digits and -._~+/= (value not shown)"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: What RFC 6750 lets stand in the header.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+")
_IN_PATH = re.compile(r"/c/([^/]+)")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nova-stream"'}


class _Token(NamedTuple):
    name: str
    scopes: frozenset[str]
    digest: bytes


class Tokens:
    """The tokens of the settings and the stored ones; without any, everything is allowed
    (``open``).

    Raises SettingsError for NOVA_API_TOKENS that cannot be read.
    """

    def __init__(self, settings: Settings, stored: StoredTokens | None = None) -> None:
        self._stored = stored
        self._tokens: list[_Token] = []
        one = settings.api_token.get_secret_value() if settings.api_token else ""
        if one:
            if not _SECRET.fullmatch(one):
                raise SettingsError(
                    "NOVA_API_TOKEN: letters, digits and -._~+/= are allowed (value not shown)"
                )
            self._tokens.append(_Token("NOVA_API_TOKEN", frozenset(SCOPES), digest_of(one)))
        several = settings.api_tokens.get_secret_value() if settings.api_tokens else ""
        if several.strip():
            self._tokens += _parse_all(several)

    @property
    def open(self) -> bool:
        """Whether it is known that there is no token."""
        return not self._tokens and (self._stored is None or self._stored.any is False)

    @property
    def unknown(self) -> bool:
        """Whether there may be tokens or none, and Postgres has not told yet."""
        return not self._tokens and self._stored is not None and self._stored.any is None

    @property
    def fresh(self) -> bool:
        """Whether what is known of stored tokens is as new as it ever has to be."""
        return self._stored is None or self._stored.fresh

    @property
    def version(self) -> int:
        """Rises whenever the stored tokens are others."""
        return 0 if self._stored is None else self._stored.version

    def assume_stored(self) -> None:
        """Take it that there are stored tokens, before Postgres is asked."""
        if self._stored is not None:
            self._stored.assume_any()

    async def refresh(self, *, insist: bool = False) -> None:
        """Bring the stored tokens up to date; what follows tells by them."""
        if self._stored is not None:
            await self._stored.refresh(insist=insist)

    async def close(self) -> None:
        """Wait for what is being written about stored tokens."""
        if self._stored is not None:
            await self._stored.close()

    def check(self, given: str | None, scope: Scope) -> None:
        """Raise ProblemError 401 unless ``given`` is a token, 403 unless it has ``scope``, 503
        or SchemaVersionError while Postgres cannot tell: unknown is no.
        """
        if self.open:
            return
        if self.unknown:
            raise self._why_unknown()
        if not given:
            raise ProblemError(
                401,
                "token-missing",
                "A token is needed: send the header Authorization: Bearer TOKEN.",
                headers=_CHALLENGE,
            )
        scopes = self._scopes(given)
        if scopes is None:
            raise _unknown()
        if scope not in scopes:
            raise _lacking(scope, scopes)

    def _why_unknown(self) -> Exception:
        failure = None if self._stored is None else self._stored.failure
        return failure if isinstance(failure, SchemaVersionError) else _cannot_tell()

    def allows(self, given: str | None, scope: Scope) -> bool:
        """Whether ``given`` still has ``scope``; true while nobody can tell."""
        try:
            self.check(given, scope)
        except ProblemError as error:
            return error.status == 503
        except SchemaVersionError:
            pass
        return True

    def caller(self, given: str | None) -> bytes | None:
        """Whose token ``given`` is, as a name for counting; None for nobody's."""
        if not given or self.open:
            return None
        try:
            return digest_of(given) if self._scopes(given) is not None else None
        except ProblemError:
            return None

    def configured(self, given: str | None) -> bool:
        """Whether ``given`` is one of the settings' tokens, which nobody can revoke in Postgres."""
        digest = digest_of(given or "")
        # As below: all are compared.
        return True in [_same(token.digest, digest) for token in self._tokens]

    def _scopes(self, given: str) -> frozenset[str] | None:
        # All are compared, whichever fits, so that the time tells nothing about any.
        digest = digest_of(given)
        found = [token.scopes for token in self._tokens if _same(token.digest, digest)]
        if found or self._stored is None or not given.startswith(PREFIX):
            return frozenset().union(*found) if found else None
        if not self._stored.known:
            raise _cannot_tell()
        stored = self._stored.find(given)
        return None if stored is None else stored.scopes


class Access:
    """What one request was allowed, by which token: its answer goes out if that still holds."""

    def __init__(self, tokens: Tokens, *, reads: bool) -> None:
        """``reads``: the request does nothing but read."""
        self._tokens = tokens
        self._reads = reads
        self._allowed: tuple[str | None, Scope] | None = None

    def check(self, given: str | None, scope: Scope, *, confirm: bool = True) -> None:
        """As ``Tokens.check``; ``confirm``: the answer is to have data that are yet to be read."""
        self._tokens.check(given, scope)
        # What publishes or acts has done so by then; its answer has nothing to hide.
        if confirm and (self._reads or scope == "read"):
            self._allowed = given, scope

    async def confirm(self) -> None:
        """Raise ProblemError unless what was allowed is allowed by what is known now.

        Postgres may have stood still between the check and the data, and a token made or revoked
        meanwhile. Costs nothing while what is known is fresh.
        """
        if self._allowed is None or self._tokens.configured(self._allowed[0]):
            return
        await self._tokens.refresh(insist=True)
        self._tokens.check(*self._allowed)
        if self._tokens.open and not self._tokens.fresh:
            raise _cannot_tell()


#: Where a request's scope has its Access.
ACCESS = "nova_stream.access"


def access_of(scope: MutableMapping[str, Any]) -> Access:
    """The access of a request to a protected path."""
    return cast("Access", scope[ACCESS])


def bearer_of(headers: Headers) -> str | None:
    """The token that a request's headers carry."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def secret_of_path(path: str) -> str | None:
    """The token that a path carries, for clients that send no header: ``/c/TOKEN/…``."""
    match = _IN_PATH.match(path)
    return match[1] if match else None


def _unknown() -> ProblemError:
    challenge = f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'
    return ProblemError(
        401,
        "token-unknown",
        "This token is not one of those that are configured or stored, or it has expired.",
        headers={"WWW-Authenticate": challenge},
    )


def _lacking(scope: Scope, scopes: frozenset[str]) -> ProblemError:
    challenge = f'{_CHALLENGE["WWW-Authenticate"]}, error="insufficient_scope", scope="{scope}"'
    return ProblemError(
        403,
        "scope-missing",
        f"This needs a token with the scope {scope}; this one has {', '.join(sorted(scopes))}.",
        headers={"WWW-Authenticate": challenge},
    )


def _cannot_tell() -> ProblemError:
    return ProblemError(
        503,
        "database-unavailable",
        "Postgres does not answer at the moment, and has the tokens; try again.",
        headers={"Retry-After": "2"},
    )


def _parse_all(text: str) -> list[_Token]:
    """One at least: separators alone are a mistake that must not open the API."""
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    if not parts:
        raise SettingsError(f"NOVA_API_TOKENS: {_ALLOWED}")
    return [_parse(part) for part in parts]


def _parse(part: str) -> _Token:
    name, _, rest = part.partition(":")
    listed, _, secret = rest.partition(":")
    scopes = listed.split("+")
    if (
        not _NAME.fullmatch(name)
        or not _SECRET.fullmatch(secret)
        or any(scope not in SCOPES for scope in scopes)
    ):
        raise SettingsError(f"NOVA_API_TOKENS: {_ALLOWED}")
    return _Token(name, frozenset(scopes), digest_of(secret))


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
