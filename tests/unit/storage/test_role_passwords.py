"""Passwords of the database's roles, as Postgres stores them."""

from __future__ import annotations

import base64

import pytest

from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings
from nova_stream.storage.access.roles import scram_verifier


def test_the_verifier_is_the_standards() -> None:
    # The example of RFC 7677, section 3.
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    assert scram_verifier("pencil", base64.b64decode(salt)) == (
        f"SCRAM-SHA-256$4096:{salt}$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize("password", ["pässword", "a\nb", "a\tb", "\u00ad"])
def test_what_clients_may_write_differently_is_no_password(password: str) -> None:
    with pytest.raises(SettingsError, match="printable ASCII") as told:
        load_settings(role_password_api=password)
    assert password not in str(told.value)
