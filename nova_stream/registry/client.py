"""Confluent's registry client: how it is made from the settings, and what its errors mean."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from nova_stream.errors import (
    NoSuchSchemaError,
    RegistryRefusedError,
    RegistryUnavailableError,
    SettingsError,
)
from nova_stream.events.framing import RegisteredSchema, SchemaReference, in_order

if TYPE_CHECKING:
    from nova_stream.settings import Settings

_TIMEOUT_S = 10.0
_REFUSED = (401, 403, 407)
_NOT_FOUND = 404
#: The registry's own words for a schema, a subject or a version that it does not have; any other
#: 404 comes from something that is no registry.
_NO_SUCH = (40401, 40402, 40403)
#: References of references that are followed, and how many of them: no schema has as many.
_DEEPEST = 16
_MOST_REFERENCES = 200


class RegistryClient:
    """Reads schemas from the registry of the settings; every call may raise
    RegistryUnavailableError, of which RegistryRefusedError is the kind that a person has to end.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when the file of certificates cannot be used."""
        from confluent_kafka.schema_registry import (  # noqa: PLC0415 (slow to import)
            AsyncSchemaRegistryClient,
        )

        self._url = settings.schema_registry_url
        try:
            self._client: Any = AsyncSchemaRegistryClient(_options(settings))
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"NOVA_SCHEMA_REGISTRY_…: the client cannot be made: {error!s:.200}"
            ) from None

    async def schema(self, reference: SchemaReference) -> RegisteredSchema:
        """A schema with all that it refers to; raises NoSuchSchemaError."""
        try:
            async with self._telling():
                if isinstance(reference, int):
                    found = await self._client.get_schema(reference)
                else:
                    found = await self._client.get_schema_by_guid(reference)
                return await self._whole(found, _DEEPEST)
        except RegistryRefusedError:
            if isinstance(reference, str) and await self._answers():
                raise NoSuchSchemaError from None  # a registry that knows no GUIDs at all
            raise
        finally:
            # The client's own memory has no limit.
            await self._client.clear_caches()

    async def subjects(self) -> int:
        """How many subjects the registry has."""
        async with self._telling():
            return len(await self._client.get_subjects())

    async def _answers(self) -> bool:
        try:
            await self.subjects()
        except RegistryUnavailableError:
            return False
        return True

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def _whole(self, schema: Any, deep: int) -> RegisteredSchema:
        references = schema.references or []
        if references and (deep == 0 or len(references) > _MOST_REFERENCES):
            raise NoSuchSchemaError
        found = []
        for reference in references:
            registered = await self._client.get_version(
                reference.subject, reference.version, deleted=True
            )
            found.append((reference.name, await self._whole(registered.schema, deep - 1)))
        return RegisteredSchema(
            schema.schema_type or "AVRO", schema.schema_str or "", in_order(found)
        )

    @contextlib.asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        """What goes wrong in the client, as errors of ours."""
        from confluent_kafka.schema_registry.error import (  # noqa: PLC0415 (with the client)
            SchemaRegistryError,
        )

        try:
            yield
        except SchemaRegistryError as error:
            raise self._judged(error.http_status_code, error.error_code) from None
        except NoSuchSchemaError:
            raise
        except Exception as error:  # of whatever HTTP library the client has, and of what it reads
            raise RegistryUnavailableError(
                f"no Schema Registry answers at {self._url}: {type(error).__name__} {error!s:.200}"
            ) from None

    def _judged(self, status: int, code: object) -> Exception:
        if status == _NOT_FOUND and code in _NO_SUCH:
            return NoSuchSchemaError()
        if status == _NOT_FOUND:
            return RegistryRefusedError(
                f"at {self._url} is no Schema Registry with Confluent's API (HTTP 404): correct "
                "NOVA_SCHEMA_REGISTRY_URL (Apicurio's ends with /apis/ccompat/v7)"
            )
        if status in _REFUSED:
            return RegistryRefusedError(
                f"the Schema Registry at {self._url} refuses the credentials (HTTP {status}): "
                "correct NOVA_SCHEMA_REGISTRY_USERNAME and NOVA_SCHEMA_REGISTRY_PASSWORD, or "
                "NOVA_SCHEMA_REGISTRY_TOKEN"
            )
        return RegistryUnavailableError(
            f"the Schema Registry at {self._url} answers with HTTP {status}"
        )


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "url": settings.schema_registry_url,
        "timeout": _TIMEOUT_S,
        "max.retries": 0,  # who asks waits and asks again
    }
    if settings.schema_registry_ca_file:
        options["ssl.ca.location"] = settings.schema_registry_ca_file
    if settings.schema_registry_username:
        password = settings.schema_registry_password
        secret = password.get_secret_value() if password else ""
        options["basic.auth.user.info"] = f"{settings.schema_registry_username}:{secret}"
    elif settings.schema_registry_token:
        options["bearer.auth.credentials.source"] = "STATIC_TOKEN"
        options["bearer.auth.token"] = settings.schema_registry_token.get_secret_value()
        options["bearer.auth.logical.cluster"] = settings.schema_registry_cluster or ""
    return options
