"""The keys, region and endpoint of an AWS profile, from the files that AWS's own tools keep.

Which source counts is decided as they decide it: variables with keys, then a role for a web
identity, then the profile, then what a container or a machine of AWS is given.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

#: What a profile may name instead of keys, and is not done here.
_OTHER_WAYS = ("role_arn", "sso_session", "sso_start_url", "credential_process", "login_session")
#: Variables that say where keys come from, before any profile.
_BEFORE = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
#: Variables that say so after it.
_AFTER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}


def store_options(environment: Mapping[str, str]) -> dict[str, str]:
    """What an S3 store is to be given: ``region``, and ``endpoint`` and keys where they are known
    here; it asks for keys itself otherwise.

    Raises ValueError for a profile that is not there or whose way to get keys is not possible
    here, and when there are no keys and the machine may not be asked for any.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    named = given.get("AWS_PROFILE") or given.get("AWS_DEFAULT_PROFILE")
    profile = _profile(named or "default", given)
    if profile is None and named is not None and not _has(given, _BEFORE):
        raise ValueError(f"there is no profile {named!r} in AWS's files (AWS_PROFILE)")
    profile = profile or {}
    options = {
        "region": given.get("AWS_REGION")
        or given.get("AWS_DEFAULT_REGION")
        or profile.get("region")
        or "us-east-1"
    }
    endpoint = (
        given.get("AWS_ENDPOINT_URL_S3")
        or given.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url")
    )
    if endpoint:
        options["endpoint"] = endpoint
    if _has(given, _BEFORE) or _is_on(given, "AWS_SKIP_SIGNATURE"):
        return options
    keys = _keys(named or "default", profile)
    if not keys and not _has(given, _AFTER) and _is_on(given, "AWS_EC2_METADATA_DISABLED"):
        raise ValueError(
            "there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    return options | keys


def _keys(name: str, profile: Mapping[str, str]) -> dict[str, str]:
    found = {ours: profile[theirs] for theirs, ours in _KEYS.items() if profile.get(theirs)}
    if {"access_key_id", "secret_access_key"} <= found.keys():
        return found
    other = next((way for way in _OTHER_WAYS if profile.get(way)), None)
    if found or other:
        has = f"has {other}, which is not possible here" if other else "has only some of its keys"
        raise ValueError(
            f"the profile {name!r} {has}; give it aws_access_key_id and aws_secret_access_key, or "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return {}


def _profile(name: str, given: Mapping[str, str]) -> dict[str, str] | None:
    """The settings of a profile in both files, the file of credentials first; None without any."""
    home = Path.home() / ".aws"
    config = _read(given.get("AWS_CONFIG_FILE") or home / "config")
    credentials = _read(given.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")
    in_config = name if name == "default" else f"profile {name}"
    found = [
        dict(parser.items(section))
        for parser, section in ((config, in_config), (credentials, name))
        if parser.has_section(section)
    ]
    return {key: value for part in found for key, value in part.items()} if found else None


def _read(path: str | Path) -> configparser.RawConfigParser:
    # No section is one for all: AWS's files have "default" as one of their own.
    parser = configparser.RawConfigParser(strict=False, default_section="")
    file = Path(path).expanduser()
    try:
        if file.is_file():
            parser.read_string(file.read_text(encoding="utf-8"), source=str(file))
    except (OSError, UnicodeError, configparser.Error):
        # Not the error's text: it shows the line, which may be a key.
        raise ValueError(f"the file {file} cannot be read") from None
    return parser


def _has(given: Mapping[str, str], names: tuple[str, ...]) -> bool:
    return any(name in given for name in names)


def _is_on(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "").lower() in {"1", "true"}
