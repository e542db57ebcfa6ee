"""Why brokers cannot be used: nothing listens, nobody answers, or their names are not known."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from nova_stream import names
from nova_stream.kafka.model import KafkaState
from nova_stream.settings import Settings

#: Seconds for a broker: to look its name up, and for a connection.
_LIMIT_S = 0.3


async def state_of_brokers(settings: Settings) -> KafkaState:
    """For brokers that gave no answer: ``unresolved`` when the name of none can be looked up,
    ``refusing`` when every one that has an address refuses a connection within 0.3 s, else
    ``silent``.
    """
    found = await asyncio.gather(*(_state_of(broker) for broker in settings.kafka_brokers))
    if "silent" in found:
        return "silent"
    return "refusing" if "refusing" in found else "unresolved"


async def _state_of(broker: str) -> KafkaState:
    host, _, port = broker.rpartition(":")
    try:
        async with asyncio.timeout(_LIMIT_S):
            found = await names.look_up(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            for *_, address in found:
                if not await _refuses(address[0], address[1]):
                    return "silent"
    except TimeoutError:
        return "silent"
    except socket.gaierror:
        return "unresolved"
    return "refusing"


async def _refuses(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise
    except OSError:
        return True
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return False
