"""A deployment that is served, topics and a migrated database for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_stream.settings import Settings
from tests.integration.capture.harness import settings_of
from tests.integration.capture.stand_in import Deployment, Server, serving
from tests.integration.publish.topics import make_topics


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def server(deployment: Deployment) -> Iterator[Server]:
    with serving(deployment) as found:
        yield found


@pytest.fixture
def settings(
    server: Server,
    deployment: Deployment,
    nova_kafka: str,
    nova_topic_prefix: str,
    migrated_database: str,
) -> Settings:
    """Settings of a capture of the deployment."""
    found = settings_of(
        server.url, nova_kafka, nova_topic_prefix, migrated_database, deployment.key
    )
    make_topics(found)
    return found
