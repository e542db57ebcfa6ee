"""Commands run in this process: what they do to its logging is undone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No .env of the folder, no variables of the shell, no handlers left behind."""
    monkeypatch.chdir(tmp_path)
    for name in ("NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL", "NOVA_LOG_LEVEL", "NOVA_PARTITIONS"):
        monkeypatch.delenv(name, raising=False)
    root, kafka = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, levels = root.handlers[:], (root.level, kafka.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    kafka.setLevel(levels[1])
