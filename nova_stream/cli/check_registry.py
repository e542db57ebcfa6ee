"""What ``nova-stream doctor`` says of the Schema Registry, where one is set."""

from __future__ import annotations

from nova_stream.cli.finding import Finding
from nova_stream.errors import NovaStreamError
from nova_stream.settings import Settings


async def check_registry(settings: Settings) -> Finding | None:
    """Whether the registry of the settings answers and lets us in; None without one."""
    url = settings.schema_registry_url
    if url is None:
        return None

    from nova_stream.registry.client import RegistryClient

    try:
        client = RegistryClient(settings)
        try:
            subjects = await client.subjects()
        finally:
            await client.close()
    except NovaStreamError as error:
        return Finding(
            "registry",
            ok=False,
            message=str(error),
            advice="framed records wait until it answers; correct NOVA_SCHEMA_REGISTRY_… or the "
            "registry",
        )
    return Finding("registry", ok=True, message=f"{subjects} subjects at {url}")
