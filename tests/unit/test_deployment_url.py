"""The key goes to a deployment's address: what may be one, and in which form it is kept."""

from __future__ import annotations

import pytest

from nova_stream.deployment_url import deployment_url, is_loopback
from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://happy-otter-123.convex.cloud", "https://happy-otter-123.convex.cloud"),
        (" https://Happy-Otter-123.convex.cloud/ ", "https://happy-otter-123.convex.cloud"),
        ("https://convex.example.com:8443/base/", "https://convex.example.com:8443/base"),
        ("http://127.0.0.1:3210", "http://127.0.0.1:3210"),
        ("http://[::1]:3210", "http://[::1]:3210"),
        ("http://localhost:3210", "http://localhost:3210"),
        ("http://backend:3210", "http://backend:3210"),
        ("http://10.1.2.3:3210", "http://10.1.2.3:3210"),
        ("http://convex.svc.internal", "http://convex.svc.internal"),
    ],
)
def test_an_address_has_one_form(given: str, kept: str) -> None:
    assert deployment_url(given) == kept


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("http://happy-otter-123.convex.cloud", "https://"),
        ("http://93.184.216.34", "https://"),
        ("https://happy-otter-123.convex.site", r"\.convex\.cloud"),
        ("happy-otter-123.convex.cloud", "the deployment URL"),
        ("ftp://happy-otter-123.convex.cloud", "the deployment URL"),
        ("https://", "the deployment URL"),
        ("https://a:b@c.convex.cloud", "the deployment URL"),
        ("https://c.convex.cloud/?key=1", "the deployment URL"),
        ("https://c.convex.cloud:99999", "the deployment URL"),
    ],
)
def test_what_is_none_is_refused(given: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        deployment_url(given)


def test_a_wrong_setting_is_one_line_without_the_key() -> None:
    with pytest.raises(SettingsError, match=r"NOVA_CONVEX_URL=.*https:// is allowed"):
        load_settings(convex_url="http://happy-otter-123.convex.cloud")
    with pytest.raises(SettingsError) as caught:
        load_settings(convex_key="prod:secret\nHost: elsewhere")
    assert "value not shown" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("backend")
