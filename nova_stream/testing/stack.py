"""A worker and an API on servers that are there: the stack behind the fixture ``nova_stack``."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_stream.local.commands import own_commands
from nova_stream.local.stack import Stack
from nova_stream.local.stack_env import forget_stack
from nova_stream.settings import Settings, load_settings
from nova_stream.testing.servers import fresh_database


@contextmanager
def running_stack(kafka: str, postgres: str) -> Iterator[Settings]:
    """A worker that is ready and an API, on topics and a migrated database of their own at these
    servers; their settings, which are in this process's environment as long.

    Raises LocalStackError, with the last lines of its log, for what does not start.
    """
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with (
        fresh_database(postgres) as database,
        tempfile.TemporaryDirectory(prefix="nova-test-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name in forget_stack(dict(os.environ)):  # of a shell that has read a stack.env
            environment.delenv(name)
        environment.setenv("NOVA_KAFKA_BROKERS", kafka)
        environment.setenv("NOVA_DATABASE_URL", database)
        environment.setenv("NOVA_TOPIC_PREFIX", prefix)
        environment.setenv("NOVA_CONSUMER_GROUP", prefix)
        stack = Stack(Path(folder), commands=own_commands(demo=False, rate=0))
        try:
            addresses = stack.start()
            environment.setenv("NOVA_API_URL", addresses.api)
            environment.setenv("NOVA_API_TOKEN", addresses.token)
            environment.setenv("NOVA_METRICS_PORT", "0")
            yield load_settings()
        finally:
            stack.stop()
