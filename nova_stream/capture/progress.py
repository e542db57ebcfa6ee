"""The line that says how far a snapshot is."""

from __future__ import annotations

import time

from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_EVERY_S = 5.0


class Progress:
    """Tells of a snapshot every few seconds; ``documents`` are there already."""

    def __init__(self, documents: int = 0) -> None:
        self._began = self._told = time.monotonic()
        self._first = documents

    def show(self, table: str, documents: int) -> None:
        """Say how many documents are published, unless that was said a moment ago."""
        if time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            _log.info(
                "snapshot", table=table, documents=documents, per_second=self._rate(documents)
            )

    def end(self, documents: int) -> None:
        """Say that it is complete."""
        seconds = round(time.monotonic() - self._began, 1)
        _log.info(
            "snapshot complete",
            documents=documents,
            seconds=seconds,
            per_second=self._rate(documents),
        )

    def _rate(self, documents: int) -> int:
        seconds = max(time.monotonic() - self._began, 0.001)
        return round((documents - self._first) / seconds)
