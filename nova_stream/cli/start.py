"""What commands do before their work: settings, logs."""

# ruff: noqa: PLC0415  (--help must not wait for what a command needs)

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nova_stream.settings import Settings


def prepare(program: str = "nova-stream") -> Settings:
    """The settings of a command that runs until it is stopped; its logs go to standard error, and
    its spans, if any, are those of ``program``.

    Raises SettingsError.
    """
    from nova_stream import tracing
    from nova_stream.settings import load_settings
    from nova_stream.telemetry import configure_logging

    settings = load_settings()
    configure_logging(settings)
    tracing.start(settings, program)
    return settings


def prepare_long_run(program: str) -> Settings:
    """``prepare``, and a line that names misspelt variables: what they were to set is not set."""
    settings = prepare(program)
    from nova_stream.settings import unknown_variables
    from nova_stream.telemetry import get_logger

    if unknown := unknown_variables():
        _log = get_logger(__name__)
        _log.warning(
            "variables that are not settings",
            variables=list(unknown),
            meant=[meant for meant in unknown.values() if meant is not None],
            then="they have no effect",
        )
    return settings


def prepare_quiet() -> Settings:
    """The settings of a command that answers once: its error line says what the Kafka client's
    log would say, unless NOVA_LOG_LEVEL=debug asks for that too.
    """
    settings = prepare()
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    return settings
