"""Logs: one structured line an event, on standard error, without personal data."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from nova_stream.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Send structlog's and the libraries' lines to standard error in one form.

    ``console`` for people, ``json`` for collectors; ``auto`` takes console on a terminal.
    """
    json_lines = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # aiokafka repeats itself many times a second while a broker is away; the worker says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Likewise while a collector of spans is away.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    logging.getLogger("faust").setLevel(logging.ERROR)
    logging.getLogger("mode").setLevel(logging.ERROR)
    logging.getLogger("nova_stream").setLevel(settings.log_level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry ``name``, a module's name."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
