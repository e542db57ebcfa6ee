"""How often a caller may ask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Network, ip_address

from nova_stream.errors import TryAgainError

#: Callers that are remembered; beyond, those go first who have asked the longest ago.
_REMEMBERED = 10_000


def counted_address(address: str) -> str:
    """What an address is counted as: of IPv6 its network of 64 bits, all of whose addresses one
    caller has; an IPv4 address in IPv6's form is itself.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # a socket's, or whatever a proxy says
        return address
    if isinstance(found, IPv4Address):
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))


class RateLimit:
    """Token buckets, one a caller: ``burst`` requests at once, then ``rate`` a second. A rate of 0
    is no limit.
    """

    def __init__(
        self, rate: float, burst: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = 1 / rate if rate else 0.0
        self._ahead = burst * self._pause
        self._rate = rate
        self._seconds = seconds
        self._full_at: dict[bytes | str, float] = {}  # when the bucket is full again

    def take(self, caller: bytes | str) -> None:
        """Count a request; raises TryAgainError when it comes too soon."""
        if not self._pause:
            return
        now = self._seconds()
        full_at = max(self._full_at.pop(caller, now), now)
        wait = full_at + self._pause - self._ahead - now
        if wait > 1e-9:
            self._full_at[caller] = full_at
            raise TryAgainError(
                "too-many-requests",
                f"More than {self._rate:g} requests a second (NOVA_API_RATE); try again later.",
                retry_after=math.ceil(wait),
                own_share=True,
            )
        self._full_at[caller] = full_at + self._pause
        if len(self._full_at) > _REMEMBERED:
            del self._full_at[next(iter(self._full_at))]
