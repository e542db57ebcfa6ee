"""Schemas for the pumps: fetched when a record needs one, waited for while the registry is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nova_stream.errors import (
    NovaStreamError,
    RegistryRefusedError,
    RegistryUnavailableError,
    SettingsError,
)
from nova_stream.events.framing import SchemaReference
from nova_stream.registry.schemas import Schemas
from nova_stream.stream.metrics import Metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class SchemaWait:
    """Brings schemas, one request at a time each, and tries again until it has an answer.

    Partitions that need what the registry does not give stand still meanwhile, as all do without
    Postgres; there is one log line when that begins and one when it ends.
    """

    def __init__(self, schemas: Schemas, metrics: Metrics) -> None:
        self.schemas = schemas
        self._metrics = metrics
        self._fetching: dict[SchemaReference, asyncio.Task[None]] = {}
        self._told: type[NovaStreamError] | None = None

    async def bring(self, reference: SchemaReference, wanted: Callable[[], bool]) -> bool:
        """Whether the registry has answered about a schema; False when ``wanted`` turned false."""
        pause = _FIRST_PAUSE_S
        while wanted():
            try:
                await self._fetch(reference)
            except (RegistryUnavailableError, SettingsError) as error:
                self._say_trouble(error)
            else:
                self._say_well()
                return True
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        return False

    async def _fetch(self, reference: SchemaReference) -> None:
        """One request for all partitions that need it at the same moment."""
        task = self._fetching.get(reference)
        if task is None:
            task = asyncio.create_task(self.schemas.fetch(reference), name=f"schema {reference}")
            self._fetching[reference] = task
            task.add_done_callback(lambda _: self._fetching.pop(reference, None))
        await asyncio.shield(task)

    def _say_trouble(self, error: NovaStreamError) -> None:
        self._metrics.registry_failures.inc()
        self._metrics.registry_up.set(0)
        if self._told is type(error):
            return
        self._told = type(error)
        if isinstance(error, RegistryRefusedError | SettingsError):
            _log.error(
                "the Schema Registry refuses",
                error=str(error),
                then="partitions with framed records wait until a person has acted",
            )
        else:
            _log.error(
                "the Schema Registry is away",
                error=str(error),
                then="partitions with framed records wait and nothing is lost",
            )

    def _say_well(self) -> None:
        self._metrics.registry_up.set(1)
        if self._told is not None:
            _log.info("the Schema Registry answers again")
            self._told = None
