"""A capturing process: what it is made of, its signals, and what it waits for."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

from nova_stream.capture.client import ConvexClient, address_and_key
from nova_stream.capture.lease import hold
from nova_stream.capture.mapping import TABLES
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.reader import Reader
from nova_stream.capture.sending import Sender
from nova_stream.capture.steps import Steps
from nova_stream.capture.waiting import Outage
from nova_stream.clock import Clock, system_clock
from nova_stream.deployment_url import is_loopback
from nova_stream.errors import LeadershipLostError, TopicError
from nova_stream.events.change import VersionKind
from nova_stream.settings import Settings
from nova_stream.storage.apply.positions import version_kinds
from nova_stream.storage.database import open_session
from nova_stream.storage.faults import DATABASE_ERRORS, Fault, fault_of, is_away, name_of
from nova_stream.stream.metrics_server import serve_metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: The row of ``source_cursors``: one deployment feeds a database.
SOURCE = "convex"


def run_capture(settings: Settings, clock: Clock = system_clock) -> int:
    """Capture until SIGTERM or Ctrl-C; gives the exit status.

    Raises NovaStreamError where a person has to act.
    """
    metrics = CaptureMetrics(clock)
    serve_metrics(metrics.registry, settings)
    asyncio.run(_main(settings, metrics, clock))
    return 0


async def _main(settings: Settings, metrics: CaptureMetrics, clock: Clock) -> None:
    task = asyncio.create_task(capture(settings, metrics, clock))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if task.cancelled():
        _log.info("stopped", then="the next instance goes on from the cursor")
    else:
        task.result()


async def capture(settings: Settings, metrics: CaptureMetrics, clock: Clock) -> None:
    """Capture the deployment, or stand by while another instance does, until it is cancelled.

    Raises SettingsError, SourceRefusedError or SchemaVersionError.
    """
    address, _ = address_and_key(settings)
    _warn_of_plain_http(address)
    async with AsyncExitStack() as stack:
        reader = Reader(await stack.enter_async_context(ConvexClient(settings, clock)), metrics)
        stack.push_async_callback(reader.forget)
        sender = Sender(settings, metrics, clock)
        stack.push_async_callback(sender.close)
        _tell_tables(await reader.tables())
        outage = Outage("Postgres")
        while True:
            try:
                await _lead(settings, reader, sender, metrics, outage)
            except LeadershipLostError as error:
                _log.warning("no longer capturing", reason=str(error), then="standing by")
            except DATABASE_ERRORS as error:
                if fault_of(error) is Fault.DATA:
                    raise
                if not is_away(error):
                    _log.error("the capture's tables cannot be used", error=name_of(error))
                await asyncio.sleep(outage.pause_after(error))
            finally:
                metrics.leading.set(0)
                metrics.behind_since(None)


async def _lead(
    settings: Settings, reader: Reader, sender: Sender, metrics: CaptureMetrics, outage: Outage
) -> None:
    """Capture for as long as the lease is held."""
    await _check_topics(settings)
    poll = timedelta(seconds=settings.convex_poll_seconds)
    async with hold(settings, SOURCE, reader.client.address) as holding:
        outage.over()
        metrics.leading.set(1)
        known = holding.state.caught_up_at
        metrics.behind_since(None if known is None else known.timestamp())
        await reader.forget()
        steps = Steps(reader, sender, holding, metrics, poll=poll)
        while True:
            await steps.step()


def _tell_tables(found: list[str] | None) -> None:
    if found is None:
        _log.warning("the deployment cannot describe its tables", then="capturing goes on")
        return
    captured = [table for table in TABLES if table in found]
    missing = [table for table in TABLES if table not in found]
    ignored = [table for table in found if table not in TABLES]
    _log.info("tables", captured=captured, not_there_yet=missing, not_captured=ignored)


def _warn_of_plain_http(address: str) -> None:
    if address.startswith("http://") and not is_loopback(urlsplit(address).hostname or ""):
        _log.warning("the deploy key is sent without TLS", address=address)


async def _check_topics(settings: Settings) -> None:
    """Raises TopicError where a topic's versions are not of the kind that a capture gives."""
    async with open_session(settings, "capture") as connection:
        kinds = await version_kinds(connection, settings.topics())
    other = sorted(topic for topic, kind in kinds.items() if kind != VersionKind.SEQ)
    if other:
        raise TopicError(
            f"{', '.join(other)}: the versions in there are of kind {kinds[other[0]]}, those of a "
            "capture of kind seq, and the two do not compare. Capture into topics of their own "
            "(NOVA_TOPIC_PREFIX) and a database of its own"
        )
