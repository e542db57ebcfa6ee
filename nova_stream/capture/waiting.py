"""Waiting for what is away: longer from time to time, and one line when it begins and ends."""

from __future__ import annotations

import random

from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_FIRST_S, _LONGEST_S = 0.5, 30.0
#: More than this is not waited for on a server's word.
_LONGEST_ASKED_S = 300.0


class Outage:
    """Whether something that the capture needs is away now."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = 0

    def pause_after(self, error: Exception, asked: float | None = None) -> float:
        """Note a failure; gives the seconds to wait: as long as the server ``asked`` for, else
        from half a second to half a minute, spread by chance so that not all come at once.
        """
        if not self._failures:
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning("waiting", what=self._what, reason=reason)
        pause = min(_FIRST_S * 2.0 ** min(self._failures, 10), _LONGEST_S)
        self._failures += 1
        spread: float = pause * (0.5 + random.random() / 2)  # noqa: S311 - no secret hangs on it
        return spread if asked is None else max(min(asked, _LONGEST_ASKED_S), spread)

    def over(self) -> None:
        """Note that it works."""
        if self._failures:
            _log.info("no longer waiting", what=self._what, tries=self._failures)
        self._failures = 0
