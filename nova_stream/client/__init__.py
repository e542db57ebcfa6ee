"""Reading from Python: figures, rows and what changes, through the HTTP API (``docs/clients.md``).

Needs the extra ``client``.
"""

from __future__ import annotations

from nova_stream.extras import missing

try:
    from nova_stream.client.client import NovaClient
    from nova_stream.client.live import LiveEvent
except ModuleNotFoundError as error:
    raise missing(error) from None

__all__ = ["LiveEvent", "NovaClient"]
