"""Stands in for nova-stream's own commands: an API that answers, a worker that waits.

``stub_stack.py api --host H --port N``, ``worker``, ``demo``, ``migrate``. Each leaves a file with
its name in ``STUB_DIR`` that holds its process number and the settings that it was given. ``dev
DATA_DIR [PORT] [--ephemeral]`` runs the dev command with these stubs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from nova_stream.local.commands import Commands


def commands(*, demo: bool = True, migrate: Sequence[str] | None = None) -> Commands:
    program = [sys.executable, __file__]
    return Commands(
        migrate=migrate or [*program, "migrate"],
        worker=[*program, "worker"],
        api=[*program, "api"],
        demo=[*program, "demo"] if demo else None,
        worker_ready=lambda brokers, group: True,
    )


def _leave_note(name: str) -> None:
    settings = {key: value for key, value in os.environ.items() if key.startswith("NOVA_")}
    note = Path(os.environ["STUB_DIR"]) / name
    fresh = note.with_name(f"{name}.new")
    fresh.write_text(json.dumps({"pid": os.getpid(), "settings": settings}))
    fresh.replace(note)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main() -> int:
    name = sys.argv[1]
    if name == "dev":
        from nova_stream.cli.dev_run import dev

        port = next((int(word) for word in sys.argv[3:] if word.isdigit()), None)
        return dev(
            Path(sys.argv[2]), port, ephemeral="--ephemeral" in sys.argv, commands=commands()
        )
    if name == "api":
        server = HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), _Handler)
        _leave_note(name)
        sys.stdout.write("nova-stream api listens on a port of its own\n")
        sys.stdout.flush()
        server.serve_forever()
    _leave_note(name)
    if name in {"worker", "demo"}:
        time.sleep(600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
