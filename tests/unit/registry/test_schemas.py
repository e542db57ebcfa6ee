"""What is remembered of a Schema Registry, and the settings that name it."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.errors import NoSuchSchemaError, RegistryRefusedError, RejectedError, SettingsError
from nova_stream.events.framing import RegisteredSchema, SchemaReference
from nova_stream.registry import schemas as module
from nova_stream.registry.client import RegistryClient, _options
from nova_stream.registry.schemas import Schemas
from nova_stream.settings import Settings, load_settings

URL = "http://127.0.0.1:8081"


class FakeClient:
    """A registry that has the schemas 1 to 2000."""

    def __init__(self, settings: Settings) -> None:
        self.asked: list[SchemaReference] = []
        self.closed = False

    async def schema(self, reference: SchemaReference) -> RegisteredSchema:
        self.asked.append(reference)
        if not isinstance(reference, int) or not 0 < reference <= 2000:
            raise NoSuchSchemaError
        return RegisteredSchema("JSON", '{"type": "object"}', {})

    async def close(self) -> None:
        self.closed = True


class Now:
    """A clock that is set by hand."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    found = FakeClient(load_settings())
    monkeypatch.setattr(module, "RegistryClient", lambda _: found)
    return found


async def test_a_schema_is_fetched_once_and_then_known(client: FakeClient) -> None:
    schemas = Schemas(load_settings(schema_registry_url=URL))
    assert schemas.known(7) is None
    await schemas.fetch(7)
    reader = schemas.known(7)
    assert reader is not None
    assert schemas.known(7) is reader
    assert client.asked == [7]
    await schemas.close()
    assert client.closed


async def test_that_there_is_no_such_schema_is_believed_for_some_seconds(
    client: FakeClient,
) -> None:
    now = Now()
    schemas = Schemas(load_settings(schema_registry_url=URL), now)
    await schemas.fetch(5000)
    with pytest.raises(RejectedError, match="no schema 5000"):
        schemas.known(5000)
    assert schemas.known(1) is None
    now.seconds += 60
    assert schemas.known(5000) is None


async def test_memory_is_bounded_whatever_ids_come(client: FakeClient) -> None:
    schemas = Schemas(load_settings(schema_registry_url=URL), Now())
    for number in range(1, 1201):
        await schemas.fetch(number)
        await schemas.fetch(number + 10_000)
    assert len(schemas._readers) == 1000
    assert len(schemas._unknown) <= 1000
    assert schemas.known(1) is None
    assert schemas.known(1200) is not None


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, 40403, NoSuchSchemaError),
        (404, 40401, NoSuchSchemaError),
        (404, -1, RegistryRefusedError),
        (401, 401, RegistryRefusedError),
        (403, 40301, RegistryRefusedError),
    ],
)
def test_what_a_registry_answers_is_told_apart(status: int, code: int, kind: type) -> None:
    client = RegistryClient(load_settings(schema_registry_url=URL))
    assert type(client._judged(status, code)) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_an_error_of_the_server_is_worth_asking_again(status: int) -> None:
    client = RegistryClient(load_settings(schema_registry_url=URL))
    found = client._judged(status, -1)
    assert type(found).__name__ == "RegistryUnavailableError"


def test_credentials_reach_the_client_and_no_message() -> None:
    user: dict[str, Any] = {"schema_registry_username": "u", "schema_registry_password": "pw"}
    options = _options(load_settings(schema_registry_url=URL, **user))
    assert options["basic.auth.user.info"] == "u:pw"
    token = load_settings(schema_registry_url=URL, schema_registry_token="tk")
    assert _options(token)["bearer.auth.token"] == "tk"
    assert "pw" not in str(load_settings(schema_registry_url=URL, **user))


def test_certificates_that_are_not_there_are_named() -> None:
    settings = load_settings(schema_registry_url="https://r", schema_registry_ca_file="/none.pem")
    with pytest.raises(SettingsError, match="NOVA_SCHEMA_REGISTRY_"):
        RegistryClient(settings)


@pytest.mark.parametrize("url", ["registry:8081", "ftp://registry", "http://", "http://u:p@r:8081"])
def test_an_address_that_is_none_or_has_credentials_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_SCHEMA_REGISTRY_URL") as caught:
        load_settings(schema_registry_url=url)
    assert "u:p" not in str(caught.value)


def test_no_address_is_no_registry() -> None:
    assert load_settings(schema_registry_url="").schema_registry_url is None
