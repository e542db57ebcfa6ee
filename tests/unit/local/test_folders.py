"""Data folders: read by their owner only, without a change of what is somebody else's."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from nova_stream.local.folders import let_account_through, make_private
from nova_stream.local.processes import Account

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_its_owners_only(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "data")
    assert mode(tmp_path / "a" / "data") == 0o700
    assert mode(tmp_path / "a" / "data" / "logs") == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_one_of_an_earlier_version_is_closed(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        data = tmp_path / "data"
        for name in ("kafka", "logs", "run", "archive", "postgres"):
            (data / name).mkdir(parents=True)
        (data / "stack.env").touch()
        make_private(data)
        make_private(data)
    finally:
        os.umask(before)
    assert mode(data) == 0o700
    for name in ("kafka", "logs", "run", "archive"):
        assert mode(data / name) == 0o700


def test_a_folder_with_other_things_keeps_its_mode_and_our_parts_are_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "theirs").mkdir(mode=0o755)
    (tmp_path / "kafka").mkdir(mode=0o755)
    make_private(tmp_path)
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "theirs") == 0o755
    assert mode(tmp_path / "kafka") == 0o700


def test_the_account_passes_through_and_nobody_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_private(data)
    let_account_through(data, Account(os.getuid(), os.getgid()))
    make_private(data)  # as Kafka does, which starts again beside it
    assert mode(data) == 0o710
    assert data.stat().st_gid == os.getgid()
    assert mode(tmp_path) & stat.S_IXOTH


def test_in_a_folder_with_other_things_it_passes_as_everybody_may(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "theirs").touch()
    make_private(tmp_path)
    let_account_through(tmp_path, Account(os.getuid(), os.getgid()))
    assert mode(tmp_path) == 0o701
