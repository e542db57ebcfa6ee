"""Where Maven's files come from here: what the user has set for Maven and jgo is respected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_CENTRAL = "central"


def maven_repositories() -> dict[str, str]:
    """Name and address of the repositories to ask, in order.

    A mirror of Maven Central in ``settings.xml`` (the user's, else Maven's own) replaces
    it; repositories of jgo's configuration file follow. Unreadable settings count as absent.
    """
    from jgo.config import GlobalSettings  # noqa: PLC0415  (slow to import)
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415

    repositories = {_CENTRAL: MAVEN_CENTRAL_URL}
    for path in _settings_files():
        mirror = central_mirror(path)
        if mirror:
            repositories[_CENTRAL] = mirror
            break
    repositories.update(GlobalSettings.load().repositories)
    return {name: address.rstrip("/") for name, address in repositories.items()}


def _settings_files() -> Iterator[Path]:
    yield Path.home() / ".m2" / "settings.xml"
    for variable in ("MAVEN_HOME", "M2_HOME"):
        home = os.environ.get(variable)
        if home:
            yield Path(home) / "conf" / "settings.xml"


def central_mirror(settings: Path) -> str | None:
    """The address of the mirror that a Maven ``settings.xml`` names for Maven Central."""
    try:
        root = ElementTree.parse(settings).getroot()  # noqa: S314  (the user's own file)
    except (OSError, ElementTree.ParseError):
        return None

    for mirror in root.iterfind("{*}mirrors/{*}mirror"):
        wanted = (mirror.findtext("{*}mirrorOf") or "").split(",")
        address = (mirror.findtext("{*}url") or "").strip()
        if address and _covers_central([word.strip() for word in wanted]):
            return _expand(address)
    return None


def _covers_central(words: list[str]) -> bool:
    return "!central" not in words and bool({"*", "external:*", _CENTRAL} & set(words))


def _expand(text: str) -> str:
    """Maven's ``${env.NAME}``."""
    return re.sub(r"\$\{env\.([^}]+)\}", lambda match: os.environ.get(match[1], ""), text)
