"""Bearer tokens: how they are written, and what each may do."""

from __future__ import annotations

from typing import Any, cast

import pytest

from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.problems import ProblemError
from nova_stream.errors import SettingsError
from nova_stream.scopes import SCOPES
from nova_stream.settings import load_settings
from nova_stream.storage.access.tokens import KnownToken

SEVERAL = "grafana:read:g-secret, app:read+publish:a-secret,ops:admin:o-secret"


def tokens(token: str | None = None, several: str | None = None) -> Tokens:
    return Tokens(load_settings(api_token=token, api_tokens=several))


def status(found: Tokens, given: str | None, scope: str) -> int:
    try:
        found.check(given, scope)  # type: ignore[arg-type]
    except ProblemError as error:
        return error.status
    return 200


def test_without_tokens_all_is_open() -> None:
    for found in (tokens(), tokens("", ""), tokens(None, " ")):
        assert found.open
        assert status(found, None, "admin") == 200


@pytest.mark.parametrize("scope", SCOPES)
def test_the_one_token_has_every_scope(scope: str) -> None:
    found = tokens("secret")
    assert not found.open
    assert status(found, "secret", scope) == 200
    assert status(found, "Secret", scope) == 401
    assert status(found, "", scope) == 401
    assert status(found, None, scope) == 401


def test_scopes_are_what_is_written() -> None:
    found = tokens(several=SEVERAL)
    assert status(found, "g-secret", "stats") == 200
    assert status(found, "g-secret", "publish") == 403
    assert status(found, "a-secret", "publish") == 200
    assert status(found, "a-secret", "admin") == 403
    assert status(found, "o-secret", "stats") == 403
    assert status(found, "grafana:read:g-secret", "stats") == 401


def test_read_is_a_name_for_stats_and_documents() -> None:
    found = tokens(several="r:read:r,b:stats+documents:b")
    for secret in ("r", "b"):
        allowed = {scope for scope in SCOPES if status(found, secret, scope) == 200}
        assert allowed == {"stats", "documents"}


@pytest.mark.parametrize("scope", SCOPES)
def test_no_scope_contains_another(scope: str) -> None:
    found = tokens(several=f"one:{scope}:secret")
    assert {other for other in SCOPES if status(found, "secret", other) == 200} == {scope}


def test_a_token_needs_one_of_several_scopes() -> None:
    found = tokens(several="m:metrics:m,s:stats:s")
    assert found.check("s", "stats", "documents")
    with pytest.raises(ProblemError, match="stats or documents; this one has metrics"):
        found.check("m", "stats", "documents")


def test_a_caller_is_known_by_name() -> None:
    found = tokens("secret", SEVERAL)
    for secret, name in {"secret": "NOVA_API_TOKEN", "g-secret": "grafana"}.items():
        caller = found.identify(secret)
        assert caller is not None
        assert caller.name == name


def test_both_settings_count() -> None:
    found = tokens("secret", SEVERAL)
    assert status(found, "secret", "admin") == 200
    assert status(found, "g-secret", "stats") == 200


def test_a_secret_given_twice_has_the_scopes_of_both() -> None:
    found = tokens(several="a:read:same,b:publish:same")
    assert status(found, "same", "stats") == status(found, "same", "publish") == 200


def test_the_answers_say_what_to_send() -> None:
    with pytest.raises(ProblemError) as missing:
        tokens("secret").check(None, "stats")
    assert missing.value.headers["WWW-Authenticate"].startswith("Bearer")
    with pytest.raises(ProblemError) as small:
        tokens(several=SEVERAL).check("g-secret", "admin")
    assert "scope admin" in small.value.detail
    assert "this one has read" in small.value.detail
    assert "g-secret" not in small.value.detail


@pytest.mark.parametrize(
    "several",
    [
        "hush",
        "name:hush",
        "name:read",
        "name:read:",
        ":read:x",
        "n:reed:x",
        "n:stats+reed:x",
        " , ,",
        "n::x",
        "n:read:ä",
        "n:read:a:b",
    ],
)
def test_wrong_settings_are_named_without_the_secret(several: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_API_TOKENS: allowed is name:scope") as error:
        tokens(several=several)
    assert several not in str(error.value)


def test_a_token_that_no_header_can_carry() -> None:
    with pytest.raises(SettingsError, match="NOVA_API_TOKEN: "):
        tokens("two words")


class Stored:
    """Stored tokens without a database."""

    def __init__(self, any_: bool | None, *, known: bool = True, **scopes: str) -> None:
        self.any = any_
        self.failure = None
        self.known = known
        self._scopes = scopes

    def find(self, secret: str) -> KnownToken | None:
        scope = self._scopes.get(secret)
        return None if scope is None else KnownToken(1, "a", b"", frozenset([scope]), None)


def with_stored(stored: Stored, **settings: Any) -> Tokens:
    return Tokens(load_settings(**settings), cast("StoredTokens", stored))


def test_stored_tokens_count_beside_configured_ones() -> None:
    found = with_stored(Stored(True, nova_x="read"), api_token="secret")
    assert status(found, "nova_x", "stats") == 200
    assert status(found, "nova_x", "publish") == 403
    assert status(found, "nova_y", "stats") == 401
    assert status(found, "secret", "admin") == 200


def test_an_api_with_a_stored_token_is_not_open() -> None:
    assert with_stored(Stored(False)).open
    found = with_stored(Stored(True))  # revoked ones count, too
    assert not found.open
    assert status(found, None, "stats") == 401


def test_while_nobody_knows_the_stored_ones() -> None:
    found = with_stored(Stored(None, known=False))
    assert not found.open
    for scope in SCOPES:
        assert status(found, None, scope) == status(found, "nova_x", scope) == 503
    found = with_stored(Stored(None, known=False), api_token="secret")
    assert status(found, "nova_x", "stats") == 503
    assert status(found, "other", "stats") == 401
    assert status(found, "secret", "stats") == 200
