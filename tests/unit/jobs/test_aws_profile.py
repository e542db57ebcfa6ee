"""Where the keys of the archive's S3 come from."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.errors import ArchiveError
from nova_stream.jobs.archive.aws_profile import store_options
from nova_stream.jobs.archive.object_store import Archive

CREDENTIALS = """
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = default/secret%s
[nova]
aws_access_key_id=AKIANOVA
aws_secret_access_key=nova-secret
aws_session_token = nova-token
[half]
aws_access_key_id = AKIAHALF
"""
CONFIG = """
[default]
region = eu-south-1
s3 =
    addressing_style = path
[profile nova]
region = eu-central-1
endpoint_url = https://s3.example
[profile login]
sso_session = corp
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = nova
[profile process]
credential_process = /bin/keys
[profile empty]
region = x
"""
NOVA = {
    "access_key_id": "AKIANOVA",
    "secret_access_key": "nova-secret",
    "session_token": "nova-token",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The variables that name both files."""
    (tmp_path / "credentials").write_text(CREDENTIALS)
    (tmp_path / "config").write_text(CONFIG)
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


def test_the_profiles_keys_region_and_endpoint_are_taken(files: dict[str, str]) -> None:
    found = store_options({**files, "AWS_PROFILE": "nova"})
    assert found == {"region": "eu-central-1", "endpoint": "https://s3.example", **NOVA}
    assert store_options({**files, "AWS_DEFAULT_PROFILE": "nova"}) == found
    default = store_options(files)
    assert default == {
        "region": "eu-south-1",
        "access_key_id": "AKIADEFAULT",
        "secret_access_key": "default/secret%s",
    }
    assert store_options({**files, "AWS_PROFILE": " "}) == default


def test_variables_come_first(files: dict[str, str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "x"}
    where = {"AWS_REGION": "r", "AWS_ENDPOINT_URL": "http://e", "AWS_ENDPOINT_URL_S3": "http://s3"}
    found = store_options({**files, **keys, **where, "AWS_PROFILE": "nova"})
    assert found == {"region": "r", "endpoint": "http://s3"}  # the store knows the keys itself
    assert store_options({**files, **keys, "AWS_PROFILE": "nobody"}) == {"region": "us-east-1"}
    role = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_PROFILE": "nova"}
    assert "access_key_id" not in store_options({**files, **role})


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("nobody", "there is no profile 'nobody'"),
        ("half", "the profile 'half' has only some of its keys"),
        ("login", "has sso_session, which is not possible here"),
        ("role", "has role_arn"),
        ("process", "has credential_process"),
    ],
)
def test_a_profile_that_gives_no_keys_is_named(
    files: dict[str, str], profile: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        store_options({**files, "AWS_PROFILE": profile})


def test_the_machine_is_not_asked_where_it_must_not_be(tmp_path: Path) -> None:
    nowhere = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.raises(ValueError, match="there are no keys: set AWS_ACCESS_KEY_ID"):
        store_options(nowhere)
    for more in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE"):
        assert store_options({**nowhere, more: "true"}) == {"region": "us-east-1"}


def test_a_file_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("aws_secret_access_key = hush")
    with pytest.raises(ValueError) as raised:
        store_options({"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    assert str(file) in str(raised.value)
    assert "hush" not in str(raised.value)


class Stub(http.server.BaseHTTPRequestHandler):
    """An S3 that has nothing and notes who asks."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.headers.get("Authorization") or "")
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def stub() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the signatures that it has seen."""
    asked: list[str] = []
    handler = type("Handler", (Stub,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


async def test_requests_are_signed_with_the_profiles_key(
    files: dict[str, str], stub: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = stub
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")  # as charts pass them on
    for name, value in {**files, "AWS_PROFILE": "nova", "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    await Archive("s3://bucket/folder").check()
    assert len(asked) == 1
    assert "Credential=AKIANOVA/" in asked[0]

    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ArchiveError, match="there is no profile 'nobody'"):
        await Archive("s3://bucket/folder").check()
