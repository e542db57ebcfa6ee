"""Bearer tokens and their scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Literal, NamedTuple, get_args

from nova_stream.api.problems import ProblemError
from nova_stream.errors import SettingsError
from nova_stream.settings import Settings

Scope = Literal["read", "publish", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ALLOWED = (
    "allowed is name:scope+scope:secret, several separated by commas, with scopes "
    f"{', '.join(SCOPES)} and a secret of letters, digits and -._~+/= (value not shown)"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: What RFC 6750 lets stand in the header.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nova-stream"'}


class _Token(NamedTuple):
    name: str
    scopes: frozenset[str]
    digest: bytes


class Tokens:
    """The tokens of the settings; without any, everything is allowed (``open``).

    Raises SettingsError for NOVA_API_TOKENS that cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._tokens: list[_Token] = []
        one = settings.api_token.get_secret_value() if settings.api_token else ""
        if one:
            if not _SECRET.fullmatch(one):
                raise SettingsError(
                    "NOVA_API_TOKEN: letters, digits and -._~+/= are allowed (value not shown)"
                )
            self._tokens.append(_Token("NOVA_API_TOKEN", frozenset(SCOPES), _digest(one)))
        several = settings.api_tokens.get_secret_value() if settings.api_tokens else ""
        for part in filter(None, (part.strip() for part in several.split(","))):
            self._tokens.append(_parse(part))

    @property
    def open(self) -> bool:
        """Whether no token is configured."""
        return not self._tokens

    def check(self, given: str | None, scope: Scope) -> None:
        """Raise ProblemError 401 unless ``given`` is a token, 403 unless it has ``scope``."""
        if self.open:
            return
        if not given:
            raise ProblemError(
                401,
                "token-missing",
                "A token is needed: send the header Authorization: Bearer TOKEN.",
                headers=_CHALLENGE,
            )
        scopes = self._scopes(given)
        if scopes is None:
            challenge = f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'
            raise ProblemError(
                401,
                "token-unknown",
                "This token is not one of the configured ones.",
                headers={"WWW-Authenticate": challenge},
            )
        if scope not in scopes:
            challenge = f'{_CHALLENGE["WWW-Authenticate"]}, error="insufficient_scope"'
            raise ProblemError(
                403,
                "scope-missing",
                f"This needs a token with the scope {scope}; this one has "
                f"{', '.join(sorted(scopes))}.",
                headers={"WWW-Authenticate": f'{challenge}, scope="{scope}"'},
            )

    def _scopes(self, given: str) -> frozenset[str] | None:
        # All are compared, whichever fits, so that the time tells nothing about any.
        digest = _digest(given)
        found = [token.scopes for token in self._tokens if _same(token.digest, digest)]
        return frozenset().union(*found) if found else None


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
    return _Token(name, frozenset(scopes), _digest(secret))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
