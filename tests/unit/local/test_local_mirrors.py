from __future__ import annotations

from pathlib import Path

import pytest

from nova_stream.local.mirrors import central_mirror, maven_repositories

_SETTINGS = """<?xml version="1.0"?>
<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">
  <mirrors>
    <mirror><id>other</id><mirrorOf>jboss</mirrorOf><url>https://other.invalid</url></mirror>
    <mirror><id>ours</id><mirrorOf>{of}</mirrorOf><url>https://{url}.invalid/maven/</url></mirror>
  </mirrors>
</settings>
"""


def _write(path: Path, *, of: str, url: str = "ours") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SETTINGS.format(of=of, url=url))
    return path


@pytest.mark.parametrize("of", ["central", "*", "external:*", "*, !jboss", "jboss,central"])
def test_mirror_of_central_is_found(tmp_path: Path, of: str) -> None:
    found = central_mirror(_write(tmp_path / "settings.xml", of=of))

    assert found == "https://ours.invalid/maven/"


@pytest.mark.parametrize("of", ["jboss", "*,!central", ""])
def test_other_mirrors_are_not(tmp_path: Path, of: str) -> None:
    assert central_mirror(_write(tmp_path / "settings.xml", of=of)) is None


def test_environment_in_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_NAME", "named")
    settings = _write(tmp_path / "settings.xml", of="*", url="${env.MIRROR_NAME}")

    assert central_mirror(settings) == "https://named.invalid/maven/"


def test_unreadable_settings_count_as_absent(tmp_path: Path) -> None:
    (tmp_path / "settings.xml").write_text("<settings><mirrors>")

    assert central_mirror(tmp_path / "settings.xml") is None
    assert central_mirror(tmp_path / "absent.xml") is None


def test_users_settings_replace_central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _write(tmp_path / ".m2" / "settings.xml", of="*")

    assert maven_repositories()["central"] == "https://ours.invalid/maven"
