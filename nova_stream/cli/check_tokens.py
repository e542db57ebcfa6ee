"""What ``nova-stream doctor`` finds out about the API's stored tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from nova_stream.clock import isoformat
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.database import Connection

#: How long before its end a token is named.
_SOON = timedelta(days=14)


async def check_tokens(connection: Connection, now: datetime) -> tuple[str, str]:
    """Which tokens end soon, and what to do about it; no advice where none does."""
    found = await token_store.ending(connection, now, now + _SOON)
    if not found:
        return "none expires within two weeks", ""
    listed = ", ".join(f"{name} at {isoformat(end)}" for name, end in found)
    return (
        f"ending soon: {listed}",
        f"give them new secrets in time: nova-stream tokens rotate {found[0][0]}",
    )
