"""Bearer tokens: how they are written, and what each may do."""

from __future__ import annotations

import pytest

from nova_stream.api.problems import ProblemError
from nova_stream.api.tokens import Tokens
from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings

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
    for found in (tokens(), tokens("", ""), tokens(None, " , ")):
        assert found.open
        assert status(found, None, "admin") == 200


@pytest.mark.parametrize("scope", ["read", "publish", "admin"])
def test_the_one_token_has_every_scope(scope: str) -> None:
    found = tokens("secret")
    assert not found.open
    assert status(found, "secret", scope) == 200
    assert status(found, "Secret", scope) == 401
    assert status(found, "", scope) == 401
    assert status(found, None, scope) == 401


def test_scopes_are_what_is_written() -> None:
    found = tokens(several=SEVERAL)
    assert status(found, "g-secret", "read") == 200
    assert status(found, "g-secret", "publish") == 403
    assert status(found, "a-secret", "publish") == 200
    assert status(found, "a-secret", "admin") == 403
    assert status(found, "o-secret", "read") == 403
    assert status(found, "grafana:read:g-secret", "read") == 401


def test_both_settings_count() -> None:
    found = tokens("secret", SEVERAL)
    assert status(found, "secret", "admin") == 200
    assert status(found, "g-secret", "read") == 200


def test_a_secret_given_twice_has_the_scopes_of_both() -> None:
    found = tokens(several="a:read:same,b:publish:same")
    assert status(found, "same", "read") == status(found, "same", "publish") == 200


def test_the_answers_say_what_to_send() -> None:
    with pytest.raises(ProblemError) as missing:
        tokens("secret").check(None, "read")
    assert missing.value.headers["WWW-Authenticate"].startswith("Bearer")
    with pytest.raises(ProblemError) as small:
        tokens(several=SEVERAL).check("g-secret", "admin")
    assert "scope admin" in small.value.detail
    assert "read" in small.value.detail
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
