"""Bearer tokens: which there are, and what each may do."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, MutableMapping
from datetime import datetime
from typing import Any, NamedTuple

from starlette.datastructures import Headers

from nova_stream.api import refusals
from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.api.problems import ProblemError
from nova_stream.errors import SchemaVersionError, SettingsError
from nova_stream.scopes import NAMES, SCOPES, Scope, scopes_of
from nova_stream.settings import Settings
from nova_stream.storage.access.tokens import PREFIX, digest_of

_ALLOWED = (
    "allowed is name:scope+scope:secret, several separated by commas, with scopes "
    f"{', '.join(NAMES)} and a secret of letters, digits and -._~+/= (value not shown)"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: What RFC 6750 lets stand in the header.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+")
#: Addresses of clients that send no header; as in routing, the last ``/api/`` ends the token.
_IN_PATH = re.compile(r"/c/(.*)/api/(?:query|mutation)", re.DOTALL)
_SCHEMES = {"bearer", "convex"}


#: Letters of a secret, and different ones among them, below which it can be guessed.
_LETTERS = 16
_DIFFERENT = 6


class Caller(NamedTuple):
    """Whose token it is, and what it may do until when (None = for ever)."""

    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None

    def need(self, scopes: Collection[Scope]) -> None:
        """Raise ProblemError 403 unless it has one of ``scopes``."""
        if self.scopes.isdisjoint(scopes):
            raise refusals.lacking(scopes, self.scopes)


class _Token(NamedTuple):
    name: str
    scopes: frozenset[str]
    digest: bytes
    #: Whether its secret is easily guessed.
    weak: bool


def _token(name: str, scopes: frozenset[str], secret: str) -> _Token:
    weak = len(secret) < _LETTERS or len(set(secret)) < _DIFFERENT
    return _Token(name, scopes, digest_of(secret), weak)


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
            self._tokens.append(_token("NOVA_API_TOKEN", frozenset(SCOPES), one))
        several = settings.api_tokens.get_secret_value() if settings.api_tokens else ""
        if several.strip():
            self._tokens += _parse_all(several)

    @property
    def open(self) -> bool:
        """Whether it is known that there is no token."""
        return not self._tokens and (self._stored is None or self._stored.any is False)

    @property
    def weak(self) -> list[str]:
        """Names of the settings' tokens whose secrets are easily guessed."""
        return [token.name for token in self._tokens if token.weak]

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

    def identify(self, given: str | None) -> Caller | None:
        """Whose token ``given`` is; None while the API is open.

        Raises ProblemError 401 unless it is somebody's, 503 or SchemaVersionError while Postgres
        cannot tell: unknown is no.
        """
        if self.open:
            return None
        if self.unknown:
            raise self._why_unknown()
        if not given:
            raise refusals.missing()
        found = self._find(given)
        if found is None:
            raise refusals.unknown()
        return found

    def check(self, given: str | None, *scopes: Scope) -> Caller | None:
        """As ``identify``; raises ProblemError 403 unless the token has one of ``scopes``."""
        caller = self.identify(given)
        if caller is not None:
            caller.need(scopes)
        return caller

    def _why_unknown(self) -> Exception:
        failure = None if self._stored is None else self._stored.failure
        return failure if isinstance(failure, SchemaVersionError) else self.undecided()

    def undecided(self) -> ProblemError:
        """The 503 while Postgres, which has the tokens, does not answer."""
        return refusals.undecided(None if self._stored is None else self._stored.failure)

    def allows(self, given: str | None, *scopes: Scope) -> bool | None:
        """Whether ``given`` still has one of ``scopes``; None while nobody can tell."""
        try:
            self.check(given, *scopes)
        except ProblemError as error:
            return None if error.status == 503 else False
        except SchemaVersionError:
            return None
        return True

    def caller(self, given: str | None) -> bytes | None:
        """Whose token ``given`` is, as a name for counting; None for nobody's."""
        if not given or self.open:
            return None
        try:
            return digest_of(given) if self._find(given) is not None else None
        except ProblemError:
            return None

    def configured(self, given: str | None) -> bool:
        """Whether ``given`` is one of the settings' tokens, which nobody can revoke in Postgres."""
        return bool(self._configured(digest_of(given or "")))

    def _configured(self, digest: bytes) -> list[_Token]:
        # All are compared, whichever fits, so that the time tells nothing about any.
        return [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]

    def _find(self, given: str) -> Caller | None:
        found = self._configured(digest_of(given))
        if found:
            name = "+".join(token.name for token in found)
            return Caller(name, frozenset().union(*(token.scopes for token in found)))
        if self._stored is None or not given.startswith(PREFIX):
            return None
        if not self._stored.known:
            raise self.undecided()
        stored = self._stored.find(given)
        if stored is None:
            return None
        return Caller(stored.name, scopes_of(stored.scopes), stored.expires_at)


def secret_of(scope: MutableMapping[str, Any]) -> str | None:
    """The token that a request presents, found here alone: whoever counts, admits or tells of
    callers goes by it.

    It is the one in the address, ``/c/TOKEN/api/…``, whatever the header says; else that of
    ``Authorization``, as ``Bearer TOKEN`` or ``Convex TOKEN``, each perhaps with ``:identity``.
    """
    if match := _IN_PATH.fullmatch(scope["path"]):
        return match[1] or None
    scheme, _, rest = Headers(scope=scope).get("authorization", "").partition(" ")
    return rest.strip().partition(":")[0] or None if scheme.lower() in _SCHEMES else None


def _parse_all(text: str) -> list[_Token]:
    """One at least: separators alone are a mistake that must not open the API."""
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    if not parts:
        raise SettingsError(f"NOVA_API_TOKENS: {_ALLOWED}")
    return [_parse(part) for part in parts]


def _parse(part: str) -> _Token:
    name, _, rest = part.partition(":")
    listed, _, secret = rest.partition(":")
    names = listed.split("+")
    if (
        not _NAME.fullmatch(name)
        or not _SECRET.fullmatch(secret)
        or any(one not in NAMES for one in names)
    ):
        raise SettingsError(f"NOVA_API_TOKENS: {_ALLOWED}")
    return _token(name, scopes_of(names), secret)
