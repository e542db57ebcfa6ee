"""What a worker measures of itself: its lag, its partitions, and what waits in memory."""

from __future__ import annotations

import asyncio

import faust

from nova_stream.kafka.faults import is_away
from nova_stream.stream.intake import Budget
from nova_stream.stream.metrics import Metrics
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_MEASURE_EVERY_S = 2.0
_MEASURE_LIMIT_S = 5.0


async def measure(app: faust.App, budget: Budget, metrics: Metrics) -> None:
    """Set the gauges every two seconds, until cancelled; a lag that cannot be had is told once."""
    failing = False
    while True:
        await asyncio.sleep(_MEASURE_EVERY_S)
        metrics.buffered.set(budget.used)
        try:
            async with asyncio.timeout(_MEASURE_LIMIT_S):
                lags = await app.consumer.lag()
        except Exception as error:  # the last lag stands; nothing rests on this
            # Between two assignments, and while Kafka is away, there is none to be had.
            if not failing and not is_away(error):
                _log.warning(
                    "the lag cannot be measured",
                    error=repr(error),
                    then="tried again until it works",
                )
                failing = True
            continue
        failing = False
        metrics.assigned.set(len(lags))
        metrics.lag.clear()
        for (topic, partition), lag in lags.items():
            metrics.lag.labels(topic, str(partition)).set(lag)
