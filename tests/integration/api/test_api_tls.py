"""The API over TLS, behind proxies, and without either."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings
from tests.certificates import make_certificate

pytestmark = pytest.mark.integration

#: Where nothing listens.
NOWHERE = "postgresql://nova:nova@127.0.0.1:1/nova"
TOKEN = "a-token-for-everything"


class Api(NamedTuple):
    """A serving process."""

    address: str
    said: Path


@contextmanager
def serving(folder: Path, *words: str, **variables: str) -> Iterator[Api]:
    """``nova-stream api`` on a free port."""
    said = folder / "said"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "nova_stream", "api", "--port", "0", *words],
            env={**kept, "NOVA_DATABASE_URL": NOWHERE, "NOVA_API_TOKEN": TOKEN, **variables},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " listens on " in line, said.read_text()
        yield Api(line.split()[4], said)
    finally:
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def refused(folder: Path, *words: str, **variables: str) -> str:
    """What ``nova-stream api`` says before it ends with status 2."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
    found = subprocess.run(
        [sys.executable, "-m", "nova_stream", "api", "--port", "0", *words],
        env={**kept, "NOVA_DATABASE_URL": NOWHERE, "NOVA_API_TOKEN": TOKEN, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert found.stdout == ""
    (line,) = found.stderr.splitlines()
    return line


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A chain and its key."""
    return make_certificate(tmp_path)


def until(condition: object, limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def serial(address: str, ca: Path) -> int:
    """The serial number of the certificate that new connections are shown."""
    url = httpx.URL(address)
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection((url.host, url.port or 0), 10) as plain,
        context.wrap_socket(plain, server_hostname=url.host) as secured,
    ):
        found = secured.getpeercert()
    assert found is not None
    return int(str(found["serialNumber"]), 16)


@pytest.mark.long
def test_it_serves_over_tls_and_loads_a_new_certificate(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    chain, key = pair
    with serving(tmp_path, "--tls-cert", str(chain), "--tls-key", str(key)) as api:
        assert api.address.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(chain))
        assert httpx.get(f"{api.address}/health/live", verify=context).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{api.address}/health/live".replace("https", "http"))
        assert serial(api.address, chain) == 1

        other = tmp_path / "other"
        other.mkdir()
        new_chain, new_key = make_certificate(other, serial=2)
        key.write_text("no key at all")
        until(lambda: "the new certificate cannot be used" in api.said.read_text())
        assert serial(api.address, chain) == 1
        new_key.replace(key)
        new_chain.replace(chain)
        until(lambda: "reloaded" in api.said.read_text())
        assert serial(api.address, chain) == 2
        assert "without TLS" not in api.said.read_text()


@pytest.mark.long
def test_who_agrees_on_nothing_is_ended(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    chain, key = pair
    with serving(tmp_path, NOVA_API_TLS_CERT=str(chain), NOVA_API_TLS_KEY=str(key)) as api:
        url = httpx.URL(api.address)
        idle = [socket.create_connection((url.host, url.port or 0), 10) for _ in range(1500)]
        context = ssl.create_default_context(cafile=str(chain))
        assert httpx.get(f"{api.address}/health/live", verify=context).status_code == 200
        for one in idle:
            one.settimeout(20)
            assert one.recv(1) == b""
            one.close()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--tls-cert", "CHAIN"), "both are needed"),
        (("--tls-key", "KEY"), "both are needed"),
        (("--tls-cert", "nowhere.pem", "--tls-key", "KEY"), "nowhere.pem: No such file"),
        (("--tls-cert", "CHAIN", "--tls-key", "nowhere.pem"), "nowhere.pem: No such file"),
        (("--tls-cert", "CHAIN", "--tls-key", "CHAIN"), "--tls-key"),
        (("--tls-cert", "CHAIN", "--tls-key", "OTHER"), "mismatch"),
        (("--tls-cert", "GARBAGE", "--tls-key", "KEY"), "--tls-cert"),
        (("--tls-cert", "CHAIN", "--tls-key", "LOCKED"), "has a password"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, pair: tuple[Path, Path], words: tuple[str, ...], what: str
) -> None:
    (tmp_path / "other").mkdir()
    _, other = make_certificate(tmp_path / "other")
    (tmp_path / "locked").mkdir()
    _, locked = make_certificate(tmp_path / "locked", password=b"secret")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    names = {"CHAIN": pair[0], "KEY": pair[1], "OTHER": other, "GARBAGE": garbage, "LOCKED": locked}
    assert what in refused(tmp_path, *(str(names.get(word, word)) for word in words))


@pytest.mark.parametrize(
    ("host", "proxies", "warned"),
    [("127.0.0.1", "", False), ("0.0.0.0", "", True), ("0.0.0.0", "10.0.0.0/8", False)],
)
def test_plain_http_for_others_is_warned_of(
    tmp_path: Path, host: str, proxies: str, *, warned: bool
) -> None:
    with serving(tmp_path, "--host", host, NOVA_API_TRUSTED_PROXIES=proxies) as api:
        httpx.get(api.address.replace("0.0.0.0", "127.0.0.1") + "/health/live")
        assert ("served without TLS" in api.said.read_text()) == warned


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8", "127.0.0.1", "127.0.0.0/8"])
def test_only_a_trusted_proxy_says_who_asks(tmp_path: Path, proxies: str) -> None:
    trusted = proxies.startswith("127")
    limits = {"NOVA_API_RATE": "0.001", "NOVA_API_BURST": "5"}
    with serving(tmp_path, NOVA_API_TRUSTED_PROXIES=proxies, **limits) as api:
        found = [
            httpx.get(
                f"{api.address}/api/v1/overview", headers={"X-Forwarded-For": f"192.0.2.{n}"}
            ).status_code
            for n in range(20)
        ]
    assert found.count(429) == (0 if trusted else 15)


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.1/33", "10.0.0.7/24", "*"])
def test_what_is_no_address_is_no_proxy(value: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_API_TRUSTED_PROXIES"):
        load_settings(api_trusted_proxies=value)
