"""A variable that is there and blank counts as not set, whichever it is and wherever it stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nova_stream.api.auth.tokens import Tokens
from nova_stream.errors import SettingsError
from nova_stream.jobs.engine.cron import schedule_of
from nova_stream.jobs.registry import JOBS
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings, is_secret, load_settings

NAMES = sorted(Settings.model_fields)
BLANK = ["", " ", "\t \n"]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("NOVA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("name", NAMES)
def test_a_blank_variable_is_not_set(
    monkeypatch: pytest.MonkeyPatch, name: str, blank: str
) -> None:
    unset = load_settings()
    monkeypatch.setenv(f"NOVA_{name.upper()}", blank)
    settings = load_settings()
    assert settings == unset
    assert name not in settings.model_fields_set
    client_options(settings)
    for job in JOBS:
        schedule_of(settings, job)


@pytest.mark.parametrize("name", NAMES)
def test_a_blank_line_of_the_file_is_not_set(tmp_path: Path, name: str) -> None:
    unset = load_settings()
    for line in (f"NOVA_{name.upper()}=\n", f"NOVA_{name.upper()}='  '\n", f"NOVA_{name.upper()}"):
        (tmp_path / ".env").write_text(line)
        assert load_settings() == unset


def test_a_blank_variable_leaves_the_files_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("NOVA_PARTITIONS=3\n")
    monkeypatch.setenv("NOVA_PARTITIONS", " ")
    assert load_settings().partitions == 3


@pytest.mark.parametrize("name", NAMES)
def test_what_is_secret_by_its_type_or_its_row_is_never_shown(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    row = next(
        line
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `NOVA_{name.upper()}` |")
    )
    typed = "SecretStr" in str(Settings.model_fields[name].annotation)
    assert ("*secret*" in row) is typed
    assert is_secret(name) or not typed


@pytest.mark.parametrize("text", [" , ,", ",", ",,", " ,"])
def test_tokens_of_separators_alone_do_not_open_the_api(text: str) -> None:
    with pytest.raises(SettingsError, match=r"NOVA_API_TOKENS: allowed is name:scope"):
        Tokens(load_settings(api_tokens=text))
