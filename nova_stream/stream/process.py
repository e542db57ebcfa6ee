"""A worker's process: signals, what is set for all of it, and its replacement by a fresh one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from nova_stream.settings import Settings
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.metrics_server import serve_metrics
from nova_stream.stream.worker import READ_AGAIN, Outcome, Timer, Worker
from nova_stream.telemetry import configure_logging, get_logger
from nova_stream.tracing import finish

_log = get_logger(__name__)

#: SIGTERM leaves within 5 s whatever the database does; what is not committed is read again.
_GRACE_S = 4.0


def run_worker(settings: Settings, timers: Sequence[Timer], metrics: Metrics) -> int:
    """Run a worker until SIGTERM or Ctrl-C; gives the exit status.

    ``timers`` count into the registry of ``metrics``, the worker's own.

    A worker that must be built anew (a topic made again, Faust crashed) replaces its process by
    a fresh one of the same id. Raises NovaStreamError where a person has to act.
    """
    configure_logging(settings)
    serve_metrics(metrics.registry, settings)
    _calm_the_collector()
    # Metrics are served, and large batches decompressed, by threads of their own: the loop should
    # not wait long for its turn.
    sys.setswitchinterval(0.0002)
    started = time.monotonic()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        outcome = runner.run(_main(settings, metrics, timers))
    if outcome is Outcome.STOPPED:
        return 0
    time.sleep(max(0.0, 2.0 - (time.monotonic() - started)))
    _replace()
    return 0


async def _main(settings: Settings, metrics: Metrics, timers: Sequence[Timer]) -> Outcome:
    worker = Worker(settings, metrics, timers)
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        if not _is_asked_to_stop():
            signal.setitimer(signal.ITIMER_REAL, _GRACE_S)
        if not loop.is_closed():  # else the process is about to be replaced
            loop.call_soon_threadsafe(worker.request_stop)

    # Not the loop's own handlers, which wait while the loop is at work on something long.
    signal.signal(signal.SIGALRM, _give_up)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # The loop ends once all its tasks have, which it cancels; not all of them heed that.
    try:
        outcome = await worker.run()
    except Exception as error:
        loop.call_later(_GRACE_S, _fail, error)
        raise
    if outcome is Outcome.REBUILD:
        loop.call_later(_GRACE_S, _replace_now)
    return outcome


def _replace_now() -> None:
    _log.warning("stopping without waiting longer", then=READ_AGAIN)
    _replace()


def _replace() -> None:
    finish()
    if not _is_asked_to_stop():
        try:
            os.execv(sys.executable, [sys.executable, "-m", "nova_stream.cli.main", *sys.argv[1:]])  # noqa: S606 - ourselves
        except OSError as error:
            _fail(error)


def _fail(error: Exception) -> None:
    _log.error("the worker ends", error=repr(error), then="start it again")
    os._exit(1)


def _is_asked_to_stop() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _give_up(*_: object) -> None:
    with contextlib.suppress(Exception):  # somebody may be in the midst of another line
        _log.warning("stopping without waiting longer", then=READ_AGAIN)
        sys.stderr.flush()
    os._exit(0)


def _calm_the_collector() -> None:
    """Let Python's cycle collector look at what is new only, and seldom.

    Records, changes and documents come by the ten thousand, without cycles, and are gone after
    their flush; looking through all of them again and again took a fifth of the worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
