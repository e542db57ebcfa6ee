"""Whether brokers that cannot be used refuse connections or keep everybody waiting."""

from __future__ import annotations

import asyncio
import contextlib

from nova_stream.kafka.model import KafkaState
from nova_stream.settings import Settings

#: Seconds for a connection.
_LIMIT_S = 0.3


async def state_of_brokers(settings: Settings) -> KafkaState:
    """For brokers that gave no answer: ``refusing`` when each address refuses a connection within
    0.3 s, else ``silent``.
    """
    tries = [_refuses(broker) for broker in settings.kafka_brokers]
    return "refusing" if all(await asyncio.gather(*tries)) else "silent"


async def _refuses(broker: str) -> bool:
    host, _, port = broker.rpartition(":")
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return False
    except OSError:
        return True
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return False
