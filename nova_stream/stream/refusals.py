"""What Kafka's ACLs refuse a worker: said once, and once more when it is refused no longer."""

from __future__ import annotations

from nova_stream.kafka.faults import refusal
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Seconds without a refusal after which it is over: what is refused is asked for more often.
_OVER_S = 10.0


class Refusals:
    """What is refused now, as far as it was noticed; ``now`` is monotonic."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def note(self, error: BaseException, now: float) -> bool:
        """Whether ``error`` is a refusal, which is then told unless it was before."""
        told = refusal(error)
        if told is None:
            return False
        if told not in self._since:
            _log.error(
                "Kafka refuses this user", error=told, then="tried again until it is granted"
            )
        self._since[told] = now
        return True

    def settle(self, now: float) -> None:
        """Tell what has not been refused for a while."""
        for told, last in list(self._since.items()):
            if now - last > _OVER_S:
                del self._since[told]
                _log.info("Kafka refuses this user no longer", what=told)
