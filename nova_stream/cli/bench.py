"""``nova-stream bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from nova_stream.errors import UsageError

#: Everything after ``bench`` is the benchmarks' own, also what begins with a dash.
CONTEXT = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}


def bench(context: typer.Context) -> int:
    """Run the benchmarks of a checkout; alone it shows which there are."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise UsageError(
            f"the benchmarks are not part of the installed package (none in {root}); run this in "
            "a checkout of nova-stream, where `make setup` has made .venv"
        )
    command = [sys.executable, "-m", "benchmarks", *context.args]
    return subprocess.run(command, cwd=root, check=False).returncode  # noqa: S603  (our own)
