"""Kafka's jars: fetched by jgo, checked against sums that stand in this package, cached per user.

``kafka-jars.lock`` has a line a jar: ``group:artifact:version sha256 size``. ``python -m
tools.kafka_jars`` writes it anew when the version changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local.locks import FileLock
from nova_stream.local.mirrors import maven_repositories

#: Told what is going on and how far it is, 0.0 to 1.0.
Progress = Callable[[str, float], None]

LOCK = Path(__file__).with_name("kafka-jars.lock")
_ATTEMPTS = 4
_WAIT_FOR_OTHER_S = 900.0


def silent(text: str, fraction: float) -> None:
    """A ``Progress`` that shows nothing."""


@dataclass(frozen=True)
class Jar:
    """One pinned file."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


#: Brings one jar into a folder and returns its path; may raise anything.
Fetch = Callable[[Jar, Path, Callable[[int], None]], Path]


def read_lock(path: Path = LOCK) -> list[Jar]:
    """The pinned jars, in the order of the class path."""
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256, size = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256, int(size)))
    return jars


def cache_dir() -> Path:
    """``NOVA_CACHE_DIR``, else the user's cache folder as the system has it."""
    named = os.environ.get("NOVA_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path  # noqa: PLC0415  (slow to import)

    return user_cache_path("nova-stream", appauthor=False)


def install(
    *,
    progress: Progress = silent,
    lock: Path = LOCK,
    cache: Path | None = None,
    fetch: Fetch | None = None,
) -> list[Path]:
    """The class path of Kafka; fetches what is not in the cache.

    Safe to run from several processes at once and after one was killed: a jar appears in the
    cache in one step, whole and checked. Raises LocalStackError when a jar cannot be had or its
    sum is not the pinned one.
    """
    jars = read_lock(lock)
    folder = (cache or cache_dir()) / "kafka-jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = _missing(jars, folder)
        if missing:
            _fetch_missing(jars, folder, progress, fetch or _fetch_with_jgo)
    except OSError as error:
        raise LocalStackError(
            f"Kafka's jars cannot be kept in {folder}: {error.strerror or error}; "
            "set NOVA_CACHE_DIR to a folder that can be written and has 100 MB left"
        ) from error
    return [folder / jar.name for jar in jars]


def _missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if not _is_right(folder / jar.name, jar)]


def _is_right(path: Path, jar: Jar) -> bool:
    try:
        return path.stat().st_size == jar.size and file_sha256(path) == jar.sha256
    except FileNotFoundError:
        return False


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fetch_missing(jars: Sequence[Jar], folder: Path, progress: Progress, fetch: Fetch) -> None:
    guard = FileLock(folder / ".lock")
    if not guard.acquire():
        progress("waiting for another process that is fetching Kafka", 0.0)
        if not guard.acquire(timeout=_WAIT_FOR_OTHER_S):
            raise LocalStackError(
                f"another process has been fetching Kafka's jars into {folder} for "
                f"{_WAIT_FOR_OTHER_S / 60:.0f} minutes; end it and start again"
            )
    # Whatever lies here was left by a run that was killed: this one has the lock.
    staging = folder / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        missing = _missing(jars, folder)
        meter = _Meter(sum(jar.size for jar in missing), progress)
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="jars") as pool:
            tasks = [pool.submit(_bring, jar, folder, staging, fetch, meter) for jar in missing]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                meter.abandon()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        guard.release()


class _Meter:
    """Adds up what several threads have fetched."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = max(total, 1)
        self._done = 0
        self._told = -1
        self._progress = progress
        self._lock = threading.Lock()
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """Make every fetch under way end at its next bytes."""
        self._abandoned.set()

    @property
    def abandoned(self) -> bool:
        return self._abandoned.is_set()

    def add(self, size: int) -> None:
        """Count bytes; raises InterruptedError when nobody waits for them any more."""
        if self.abandoned:
            raise InterruptedError("no longer wanted")
        with self._lock:
            self._done += size
            percent = min(100 * self._done // self._total, 100)
            if percent > self._told:
                self._told = percent
                text = f"fetching Kafka ({self._total / 1e6:.0f} MB, once)"
                self._progress(text, percent / 100)


def _bring(jar: Jar, folder: Path, staging: Path, fetch: Fetch, meter: _Meter) -> None:
    target = staging / jar.name
    for attempt in range(1, _ATTEMPTS + 1):
        shutil.rmtree(target, ignore_errors=True)
        try:
            fetched = fetch(jar, target, meter.add)
        except Exception as error:  # the network, whatever the client makes of it
            if attempt == _ATTEMPTS or meter.abandoned:
                raise LocalStackError(
                    f"{jar} cannot be fetched ({_brief(error)}); check the network and your Maven "
                    "settings, or set NOVA_KAFKA_BROKERS to a Kafka that runs already"
                ) from error
            time.sleep(attempt)
            continue
        break

    found = file_sha256(fetched)
    if found != jar.sha256:
        raise LocalStackError(
            f"{jar}: SHA-256 is {found}, pinned is {jar.sha256}; what was fetched is not the "
            "released file, so it is not used: check the Maven repository or mirror"
        )
    fetched.replace(folder / jar.name)


def _brief(error: Exception) -> str:
    # The client's own text lists addresses, with their passwords where a mirror has one.
    return type(error).__name__


def _fetch_with_jgo(jar: Jar, folder: Path, count: Callable[[int], None]) -> Path:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  (slow to import)

    @contextlib.contextmanager
    def meter(name: str, size: int) -> Iterator[Callable[[int], None]]:
        yield count

    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(
        resolver=PythonResolver(progress_callback=meter),
        repo_cache=folder,
        remote_repos=maven_repositories(),
        timeout=60,
    )
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact().resolve())
