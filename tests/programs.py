"""nova-stream's programs as processes of their own, and how one is made to die at a step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nova_stream.settings import Settings

_ROOT = Path(__file__).resolve().parents[1]


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """This process's variables without any setting, and Kafka and Postgres as ``settings`` have
    them; ``more`` are settings without their NOVA_.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
    return {
        **kept,
        "NOVA_KAFKA_BROKERS": ",".join(settings.kafka_brokers),
        "NOVA_DATABASE_URL": settings.database_url.get_secret_value(),
        "NOVA_TOPIC_PREFIX": settings.topic_prefix,
        "NOVA_CONSUMER_GROUP": settings.consumer_group,
        **{f"NOVA_{name.upper()}": value for name, value in more.items()},
    }


class Program:
    """A ``nova-stream WORDS`` that runs; its log is read from a file.

    ``module`` is run in place of the command line's own, to change something before it.
    """

    def __init__(
        self,
        words: list[str],
        environment: dict[str, str],
        path: Path,
        module: str = "nova_stream.cli.main",
    ) -> None:
        self._path = path
        with path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=environment | {"PYTHONPATH": str(_ROOT)},
                cwd=path.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._path.read_text(errors="replace")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of this event."""
        decoded = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in decoded if line.get("event") == event]


Operation = Callable[..., Awaitable[Any]]


def die_before(step: int, steps: list[tuple[Any, str]]) -> None:
    """Make this process die before its ``step``-th operation of these from here on."""
    left = [step]

    def watched(operation: Operation) -> Operation:
        async def perform(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return await operation(*arguments, **more)

        return perform

    for place, name in steps:
        setattr(place, name, watched(getattr(place, name)))
