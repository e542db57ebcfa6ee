"""Commands run as if nothing were set on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .env of the folder, no variables of the shell."""
    monkeypatch.chdir(tmp_path)
    for name in ("NOVA_KAFKA_BROKERS", "NOVA_DATABASE_URL", "NOVA_LOG_LEVEL", "NOVA_PARTITIONS"):
        monkeypatch.delenv(name, raising=False)
