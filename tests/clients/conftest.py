"""One stack for all clients: what each publishes has names of its own."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_stream.settings import Settings
from nova_stream.testing.stack import running_stack
from tests.clients.workshop import CLIENT, Workshop


@pytest.fixture(scope="package")
def nova_stack(nova_kafka: str, nova_postgres: str) -> Iterator[Settings]:
    with running_stack(nova_kafka, nova_postgres) as settings:
        yield settings


@pytest.fixture(scope="package")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("typescript"))


@pytest.fixture(scope="package")
def user(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a user who has installed the package that `npm pack` makes."""
    project = tmp_path_factory.mktemp("project")
    (packed,) = json.loads(workshop.run(*workshop.npm, "pack", "--json", "--silent"))
    modules = project / "node_modules"
    modules.mkdir()
    with tarfile.open(workshop.folder / packed["filename"]) as archive:
        archive.extractall(project, filter="data")
    (project / "package").rename(modules / "nova-stream")
    for name in (*json.loads((CLIENT / "package.json").read_text())["dependencies"], "@types"):
        (modules / name).symlink_to(workshop.packages / name)
    helpers = "openapi-typescript-helpers"
    (modules / helpers).symlink_to(workshop.packages / helpers)
    (project / "package.json").write_text('{"type": "module"}')
    return project
