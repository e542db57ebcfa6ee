"""Profiles of hypothesis, ports of each process, logging that a test leaves as it found it, less
work for the garbage collector.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from nova_stream.local import ports

pytest_plugins = ("tests.sources.registry",)

# How long a busy machine takes says nothing of the code.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", _patient)
#: ``pytest --hypothesis-profile=thorough FILE``: for a quiet machine and a long break.
settings.register_profile("thorough", _patient, max_examples=3000)
settings.load_profile("usual")

_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if _WORKER is not None:
    # Processes that look for a free port at the same time must not find the same: each looks at 200
    # of its own. The parent's number keeps two runs on one machine apart.
    _SLOT = (os.getppid() + int(_WORKER.removeprefix("gw"))) % (len(ports.RANGE) // 200)
    ports.RANGE = ports.RANGE[200 * _SLOT :][:200]


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the collector need not look through them again and again,
    nor so often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


_LOGGERS = ("", "aiokafka", "faust", "mode", "nova_stream", "opentelemetry")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Commands run in this process: what they do to its logging is undone."""
    handlers = logging.getLogger().handlers[:]
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()
