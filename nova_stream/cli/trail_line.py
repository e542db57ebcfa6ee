"""What a command leaves in the audit trail."""

from __future__ import annotations

import contextlib
import getpass
import socket
from datetime import datetime

from nova_stream.storage.trail_store import Line


def command_line(command: str, about: str | None, outcome: str, now: datetime) -> Line:
    """The line of ``nova-stream COMMAND``; the address is the account and the machine."""
    account = "(unknown)"
    with contextlib.suppress(OSError, KeyError):  # a container's user may have no name
        account = getpass.getuser()
    return Line(
        at=now,
        until=now,
        requests=1,
        token=None,
        address=f"{account}@{socket.gethostname()}",
        action=f"nova-stream {command}",
        object=about,
        outcome=outcome,
        refused=False,
    )
