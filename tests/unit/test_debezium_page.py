"""docs/debezium.md shows the configuration that the tests run, and names what its settings do."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / "deploy" / "debezium" / "postgres.json").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "debezium.md").read_text(encoding="utf-8")


def test_the_page_shows_the_configuration_that_is_tested() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert shown is not None
    assert shown[1] == CONFIG


def test_every_setting_that_the_page_explains_is_in_the_configuration() -> None:
    config = json.loads(CONFIG)
    rows = re.findall(r"^\| `([a-z.]+)(?:\.\*)?(?:=(\w+))?` \|", PAGE, re.MULTILINE)

    assert len(rows) == 9
    for name, value in rows:
        found = [config[key] for key in config if key == name or key.startswith(f"{name}.")]
        assert found, name
        assert not value or found == [value], name
