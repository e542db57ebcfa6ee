"""Profiles of hypothesis, and logging that one test leaves to the next as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ("tests.sources.registry",)

#: ``pytest --hypothesis-profile=thorough FILE``: for a quiet machine and a long break.
settings.register_profile("thorough", max_examples=3000, deadline=None)

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
