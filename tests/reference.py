"""The reference data: documents of the main app, and what the app's own jobs answered on them.

``tests/data/main_app/README.md`` says what stands in it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "data" / "main_app"


def documents(*, parse_float: Callable[[str], Any] = float) -> dict[str, list[dict[str, Any]]]:
    """The app's documents of each entity; ``parse_float`` makes what is no whole number."""
    found: dict[str, list[dict[str, Any]]] = json.loads(
        gzip.decompress((_FOLDER / "nova.input.json.gz").read_bytes()), parse_float=parse_float
    )
    return found


def steps() -> dict[str, dict[str, Any]]:
    """What the app answered at each step, in the order in which they ran."""
    found: dict[str, dict[str, Any]] = json.loads((_FOLDER / "nova.expected.json").read_bytes())[
        "steps"
    ]
    return found
