"""Kafka's jars: pinned, checked, cached, and safe against company and kill -9."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nova_stream.errors import LocalStackError
from nova_stream.local import jars
from nova_stream.local.jars import Jar, cache_dir, install, read_lock

_CONTENT = {"one": b"1" * 1000, "two": b"2" * 2000}


class Repository:
    """Serves what it is given and counts."""

    def __init__(self, content: dict[str, bytes] | None = None) -> None:
        self.content = content or dict(_CONTENT)
        self.fetched: list[str] = []
        self.failures = 0

    def __call__(self, jar: Jar, folder: Path, count: Callable[[int], None]) -> Path:
        self.fetched.append(jar.artifact)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("secret@address")
        folder.mkdir(parents=True)
        path = folder / jar.name
        path.write_bytes(self.content[jar.artifact])
        count(jar.size)
        return path


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nova_stream.local.jars.time.sleep", lambda seconds: None)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    lines = ["# made by hand"]
    for name, content in _CONTENT.items():
        lines.append(f"org.example:{name}:1.0 {hashlib.sha256(content).hexdigest()} {len(content)}")
    path = tmp_path / "jars.lock"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fetches_once_in_the_order_of_the_lock(lock: Path, tmp_path: Path) -> None:
    repository = Repository()

    first = install(lock=lock, cache=tmp_path, fetch=repository)
    second = install(lock=lock, cache=tmp_path, fetch=repository)

    assert [path.name for path in first] == ["one-1.0.jar", "two-1.0.jar"]
    assert [path.read_bytes() for path in first] == list(_CONTENT.values())
    assert second == first
    assert sorted(repository.fetched) == ["one", "two"]


def test_progress_goes_from_nothing_to_all(lock: Path, tmp_path: Path) -> None:
    seen: list[float] = []

    install(
        lock=lock,
        cache=tmp_path,
        fetch=Repository(),
        progress=lambda text, fraction: seen.append(fraction),
    )

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_wrong_sum_is_refused_and_not_cached(lock: Path, tmp_path: Path) -> None:
    tampered = Repository({**_CONTENT, "two": b"3" * 2000})

    with pytest.raises(LocalStackError, match=r"org\.example:two:1\.0: SHA-256 is .*, pinned is"):
        install(lock=lock, cache=tmp_path, fetch=tampered)

    assert not (tmp_path / "kafka-jars" / "two-1.0.jar").exists()
    assert not (tmp_path / "kafka-jars" / ".staging").exists()


@pytest.mark.parametrize("damage", [b"", b"1" * 999, b"2" * 1000])
def test_damaged_cache_is_repaired(lock: Path, tmp_path: Path, damage: bytes) -> None:
    (path, _) = install(lock=lock, cache=tmp_path, fetch=Repository())
    path.write_bytes(damage)
    repository = Repository()

    install(lock=lock, cache=tmp_path, fetch=repository)

    assert path.read_bytes() == _CONTENT["one"]
    assert repository.fetched == ["one"]


def test_network_trouble_is_tried_again(lock: Path, tmp_path: Path) -> None:
    repository = Repository()
    repository.failures = 2

    assert len(install(lock=lock, cache=tmp_path, fetch=repository)) == 2


def test_lasting_trouble_is_one_line_without_addresses(lock: Path, tmp_path: Path) -> None:
    repository = Repository()
    repository.failures = 1000

    with pytest.raises(LocalStackError, match="cannot be fetched") as caught:
        install(lock=lock, cache=tmp_path, fetch=repository)

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_written(lock: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LocalStackError, match="NOVA_CACHE_DIR"):
        install(lock=lock, cache=tmp_path / "file", fetch=Repository())


def test_two_at_once_fetch_once(lock: Path, tmp_path: Path) -> None:
    both = threading.Barrier(2)
    repository = Repository()

    def one_start() -> list[Path]:
        both.wait()
        return install(lock=lock, cache=tmp_path, fetch=repository)

    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(one_start) for _ in range(2)]]

    assert results[0] == results[1]
    assert sorted(repository.fetched) == ["one", "two"]


_KILLED = """
import os, sys
from pathlib import Path
from nova_stream.local.jars import install

def fetch(jar, folder, count):
    folder.mkdir(parents=True)
    (folder / jar.name).write_bytes(b"half")
    os.kill(os.getpid(), 9)

install(lock=Path(sys.argv[1]), cache=Path(sys.argv[2]), fetch=fetch)
"""


def test_kill_9_in_the_middle_is_repaired(lock: Path, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(lock), str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert (tmp_path / "kafka-jars" / ".staging").exists()

    paths = install(lock=lock, cache=tmp_path, fetch=Repository())

    assert [path.read_bytes() for path in paths] == list(_CONTENT.values())
    assert not (tmp_path / "kafka-jars" / ".staging").exists()


def test_own_lock_pins_everything_and_names_no_address() -> None:
    text = jars.LOCK.read_text()
    pinned = read_lock()

    assert "org.apache.kafka:kafka_2.13:4.4.0 " in text
    assert len({jar.name for jar in pinned}) == len(pinned) >= 44
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in pinned)
    assert "/" not in text


def test_cache_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOVA_CACHE_DIR", str(tmp_path))

    assert cache_dir() == tmp_path
