"""Log lines of one module, whatever a command has made of logging before."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture


def captured(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Any]:
    """What ``module`` logs from here on. ``structlog.testing.capture_logs`` does not see loggers
    that were used while a command had logging configured.
    """
    capture = LogCapture()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[capture], wrapper_class=structlog.BoundLogger
    )
    monkeypatch.setattr(module, "_log", logger)
    return capture.entries
