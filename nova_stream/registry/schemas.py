"""Schemas of a Schema Registry: fetched once, then known for as long as the process lives."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from nova_stream.errors import NoSuchSchemaError
from nova_stream.events.framing import FramedReader, SchemaReference, prepare, unknown_schema
from nova_stream.registry.client import RegistryClient
from nova_stream.settings import Settings

_Value = TypeVar("_Value")

#: Readers in memory. A stream has a few; more than this means that ids are being made up.
_CAPACITY = 1000
#: How long "no such schema" is believed, in seconds: a registry's replica may lag behind.
_UNKNOWN_FOR_S = 10.0


class Schemas:
    """The schemas of one registry, as ``SchemaLookup``; ``fetch`` brings those that are missing.

    One event loop uses it. Nothing is fetched, or imported for it, before the first ``fetch``.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._client: RegistryClient | None = None
        self._readers: OrderedDict[SchemaReference, FramedReader] = OrderedDict()
        self._unknown: OrderedDict[SchemaReference, float] = OrderedDict()

    def known(self, reference: SchemaReference) -> FramedReader | None:
        """The reader of a schema, None when it has to be fetched first.

        Raises RejectedError ``unknown_schema`` when the registry had no such schema just now.
        """
        reader = self._readers.get(reference)
        if reader is None and self._unknown:
            since = self._unknown.get(reference)
            if since is not None and self._now() - since < _UNKNOWN_FOR_S:
                raise unknown_schema(reference)
        return reader

    async def fetch(self, reference: SchemaReference) -> None:
        """Bring a schema; ``known`` then has it, or says that there is none.

        Raises RegistryUnavailableError, of which RegistryRefusedError is the kind that a person
        has to end, and SettingsError.
        """
        if self._client is None:
            self._client = RegistryClient(self._settings)
        try:
            schema = await self._client.schema(reference)
        except NoSuchSchemaError:
            _remember(self._unknown, reference, self._now())
            return
        _remember(self._readers, reference, prepare(schema, reference))
        self._unknown.pop(reference, None)

    async def close(self) -> None:
        """Let the connections go; a later ``fetch`` makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _remember(
    known: OrderedDict[SchemaReference, _Value], reference: SchemaReference, value: _Value
) -> None:
    """Add what is newest, and forget what is oldest above the limit."""
    known[reference] = value
    known.move_to_end(reference)
    while len(known) > _CAPACITY:
        known.popitem(last=False)
