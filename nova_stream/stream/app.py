"""The one place that wires the Faust app: transport, agents, tables, timers."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import faust

from nova_stream.events.change import Entity
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings
from nova_stream.stream.intake import SingleValue
from nova_stream.stream.pumps import Pumps
from nova_stream.stream.seeking import Source
from nova_stream.stream.transport import chunk_transport
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: The entities whose partials are kept in tables.
TABLE_ENTITIES = (Entity.TASKS, Entity.EXECUTIONS, Entity.BUILDS)

#: Seconds until Kafka gives a dead worker's partitions to others.
_SESSION_S = 6.0
#: Until a worker hears that others have joined or gone.
_HEARTBEAT_S = 0.5
_FETCH_BYTES = 256 * 1024


class _AsItIs(faust.Schema):  # type: ignore[misc]
    """Messages carry an intake (or a raw record's bytes); decoding is the pump's work."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class _Record:
    """A single Faust message in the form of a fetched record."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(self, message: Any, value: bytes | None) -> None:
        self.offset = message.offset
        self.timestamp = int((message.timestamp or 0) * 1000)
        self.key = message.key
        self.value = value
        self.headers = message.headers or ()


def build_app(settings: Settings, *, client_id: str = "nova-stream") -> faust.App:
    """A Faust app with nova-stream's settings, without agents yet."""
    options = client_options(settings)
    return faust.App(
        settings.consumer_group,
        broker=[f"kafka://{broker}" for broker in settings.kafka_brokers],
        broker_credentials=_credentials(settings, options),
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="nova-stream-"),
        env_prefix="NOVA_FAUST",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        topic_allow_declare=False,
        reply_create_topic=False,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_commit_interval=1.0,
        broker_client_id=client_id,
        broker_session_timeout=_SESSION_S,
        broker_heartbeat_interval=_HEARTBEAT_S,
        broker_request_timeout=20.0,
        broker_max_poll_interval=300.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH_BYTES,
        producer_acks=1,
        producer_linger=0.02,
        logging_config=None,
    )


def changelog_topics(settings: Settings, partitions: Mapping[str, int]) -> dict[str, int]:
    """The changelog topics of the tables, with the partitions that each must have."""
    return {
        f"{settings.consumer_group}-{_table_name(entity)}-changelog": partitions[
            settings.topic(entity)
        ]
        for entity in TABLE_ENTITIES
    }


def add_tables(
    app: faust.App, partitions: Mapping[str, int], settings: Settings
) -> dict[Entity, Any]:
    """The tables of partials: (partition, agent or '') -> figures."""
    return {
        entity: app.Table(
            _table_name(entity), partitions=partitions[settings.topic(entity)], help="partials"
        )
        for entity in TABLE_ENTITIES
    }


def add_transport(app: faust.App, source: Source) -> None:
    """Install the chunk transport."""
    app.transport = chunk_transport(app, source)


def add_agents(app: faust.App, topics: Mapping[str, Entity], pumps: Pumps) -> None:
    """One agent a topic; each hands its partitions' intakes to their pumps.

    Not ``isolated_partitions``: their actors are cancelled and restarted at every rebalance, which
    ended the whole app (docs/decisions/0003).
    """
    for name, entity in topics.items():
        topic = app.topic(name, schema=_AsItIs(allow_empty=True), allow_empty=True, acks=False)
        app.agent(topic, name=f"{entity.value}-agent")(_agent(pumps))


def _agent(pumps: Pumps) -> Any:
    async def consume(stream: Any) -> None:
        async for event in stream.events():
            intake = event.value
            if isinstance(intake, SingleValue):  # one message an event: NOVA_CHUNK_TRANSPORT=false
                intake, value = intake
                intake.append([_Record(event.message, value)])
            pumps.on_announcement(intake)

    return consume


def add_timer(
    app: faust.App, name: str, seconds: float, work: Callable[[], Awaitable[None]]
) -> None:
    """A Faust timer; what ``work`` raises is logged, since Faust would end the worker."""

    async def tick() -> None:
        try:
            await work()
        except Exception:
            _log.exception("a timer's work failed", timer=name)

    app.timer(interval=seconds, name=name)(tick)


def _table_name(entity: Entity) -> str:
    return f"{entity.value}-partials"


def _credentials(settings: Settings, options: Mapping[str, Any]) -> Any:
    context: ssl.SSLContext | None = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
