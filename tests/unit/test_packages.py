"""deploy/packages.py: a known vulnerability is always told; a database that is away is none."""

from __future__ import annotations

import importlib.util
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import ClassVar

import pytest

PROJECT = """
[project]
name = "made-up"
version = "1"
requires-python = ">=3.11"
dependencies = ["a-package"]
"""
LOCK = """
version = 1
requires-python = ">=3.11"

[[package]]
name = "a-package"
version = "1.2"
source = { registry = "https://registry.invalid/simple" }
sdist = { url = "https://registry.invalid/a-package-1.2.tar.gz", hash = "sha256:HASH" }

[[package]]
name = "made-up"
version = "1"
source = { editable = "." }
dependencies = [{ name = "a-package" }]
""".replace("HASH", "0" * 64)
VULNERABILITY = {
    "id": "GHSA-made-up",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    # Words of uv's own about servers that are away: the finding counts all the same.
    "summary": "error sending request that timed out",
    "affected": [],
}


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a lock of one package, so that uv needs no registry."""
    path = Path(__file__).parents[2] / "deploy" / "packages.py"
    spec = importlib.util.spec_from_file_location("packages_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def locked(project: Path) -> None:
        (project / "pyproject.toml").write_text(PROJECT, "utf-8")
        (project / "uv.lock").write_text(LOCK, "utf-8")

    monkeypatch.setattr(module, "_locked", locked)
    return module


class Database(BaseHTTPRequestHandler):
    """What OSV answers: ``status`` and ``answer`` to a question, the vulnerability to its id."""

    status: ClassVar[int]
    answer: ClassVar[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self.status, self.answer)

    def do_GET(self) -> None:
        self._send(200, json.dumps(VULNERABILITY))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
        """Say nothing."""


@contextmanager
def database(*, status: int = 200, answer: str) -> Iterator[str]:
    handler = type("Answering", (Database,), {"status": status, "answer": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def results(*ids: str) -> str:
    found = [{"id": name, "modified": VULNERABILITY["modified"]} for name in ids]
    return json.dumps({"results": [{"vulns": found} if found else {}]})


def test_packages_without_a_known_vulnerability_pass(packages: ModuleType) -> None:
    with database(answer=results()) as address:
        assert "no known vulnerabilities" in packages.audit(address)


def test_a_known_vulnerability_fails_with_its_name(packages: ModuleType) -> None:
    with (
        database(answer=results("GHSA-made-up")) as address,
        pytest.raises(packages.PackagesError, match="GHSA-made-up") as failed,
    ):
        packages.audit(address)
    assert not isinstance(failed.value, packages.OutOfReachError)


@pytest.mark.parametrize("status", [403, 407, 429, 503])
def test_a_database_that_refuses_or_is_broken_is_a_warning(
    packages: ModuleType, status: int
) -> None:
    with database(status=status, answer="no") as address:
        assert packages.audit(address).startswith("warning: known vulnerabilities were not looked")


def test_a_page_instead_of_an_answer_is_a_warning(packages: ModuleType) -> None:
    with database(answer="<html>Log in to the network</html>") as address:
        assert packages.audit(address).startswith("warning: ")


def test_a_port_that_nobody_listens_on_is_a_warning(packages: ModuleType) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert packages.audit(f"http://127.0.0.1:{port}").startswith("warning: ")


@pytest.mark.parametrize("status", [400, 404])
def test_a_question_that_is_not_understood_fails(packages: ModuleType, status: int) -> None:
    with (
        database(status=status, answer="no") as address,
        pytest.raises(packages.PackagesError, match=str(status)),
    ):
        packages.audit(address)


def test_an_option_that_uv_does_not_have_fails(
    packages: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown_option() -> None:
        packages._uv(Path.cwd(), "audit", "--made-up")

    monkeypatch.setattr(packages, "audit", unknown_option)
    assert packages.main(["audit"]) == 1
    assert "--made-up" in capsys.readouterr().err


def test_packages_that_cannot_be_locked_for_lack_of_a_registry_are_a_warning(
    packages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(project: Path) -> None:
        raise packages.OutOfReachError("uv lock: error sending request")

    monkeypatch.setattr(packages, "_locked", away)
    assert packages.audit().startswith("warning: ")


def test_the_list_is_of_the_extras_of_the_image(packages: ModuleType) -> None:
    assert packages.image_extras() == ["server", "archive", "otel"]
    assert {"faust-streaming", "opentelemetry-sdk", "pyarrow"} <= {n for n, _ in packages.pins()}
