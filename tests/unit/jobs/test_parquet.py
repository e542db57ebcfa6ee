"""Objects of the archive: what goes in comes out, exactly."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from nova_stream.errors import ArchiveError
from nova_stream.jobs.archive import parquet
from nova_stream.jobs.archive.object_store import Archive
from nova_stream.settings import load_settings
from nova_stream.storage.maintenance.archive import ArchivedRow


def rows(count: int, start: int = 0) -> list[ArchivedRow]:
    return [
        ArchivedRow(
            id=f"e{n}",
            task_id=None if n % 2 else f"t{n}",
            agent="Åland ☄",
            duration=Decimal(n) / 4,
            timestamp=datetime(1 if n == 0 else 2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
            version=2**63 - 1 - n,
            version_minor=n,
            version_generation=n % 3,
            src_offset=2**62 + n,
            doc=f'{{"n": {n}, "text": "\\u2713 \\n\\"x"}}',
        )
        for n in range(start, start + count)
    ]


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    with parquet.Writer(path) as writer:
        writer.write(rows(1500))
        writer.write(rows(700, 1500))
        assert writer.size > 0
    found = [row for part in parquet.read_rows(path) for row in part]
    assert found == rows(2200)
    content = parquet.read_content(path)
    assert content == writer.content
    assert (content.rows, content.first_id, content.last_id) == (2200, "e0", "e2199")
    slim = next(parquet.read_rows(path, documents=False))[1]
    assert (slim.id, slim.version, slim.doc) == ("e1", 2**63 - 2, "")


def test_a_file_of_before_has_part_of_the_state(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    with parquet.Writer(path) as writer:
        writer.write(rows(3))
    pq.write_table(pq.read_table(path).drop_columns(["version_generation", "src_offset"]), path)
    for documents in (True, False):
        (found,) = parquet.read_rows(path, documents=documents)
        assert [row.version for row in found] == [row.version for row in rows(3)]
        assert {(row.version_generation, row.src_offset) for row in found} == {(None, None)}


def test_nothing(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    with parquet.Writer(path) as writer:
        pass
    assert parquet.read_content(path) == writer.content
    assert writer.content.rows == 0


@pytest.mark.parametrize("place", [0, 1])
def test_every_change_changes_the_digest(tmp_path: Path, place: int) -> None:
    found = set()
    state = ({"version": 1}, {"version_minor": 9}, {"version_generation": 7}, {"src_offset": 1})
    for change in ({}, {"id": "x"}, *state, {"doc": "{}"}):
        path = tmp_path / "it.parquet"
        with parquet.Writer(path) as writer:
            changed = rows(2)
            fields = {name: getattr(changed[place], name) for name in ArchivedRow.__struct_fields__}
            changed[place] = ArchivedRow(**{**fields, **change})
            writer.write(changed)
        found.add(parquet.read_content(path).digest)
    assert len(found) == 7


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    with parquet.Writer(path) as writer:
        writer.write(rows(10))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(pa.ArrowInvalid):
        parquet.read_content(path)


async def test_a_folder_as_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = Archive("file:some%20folder/archive")
    await archive.check()
    await archive.put("day=1/a.json", b"it")
    assert (tmp_path / "some folder" / "archive" / "day=1" / "a.json").read_bytes() == b"it"
    fetched = await archive.fetch("day=1/a.json", tmp_path / "copy")
    assert (fetched.size, (tmp_path / "copy").read_bytes()) == (2, b"it")
    await archive.put("day=1/a.json", b"other")
    await archive.delete("day=1/a.json")
    await archive.delete("day=1/a.json")
    with pytest.raises(ArchiveError, match="NOVA_ARCHIVE_URL"):
        await archive.fetch("day=1/a.json", tmp_path / "copy")


@pytest.mark.parametrize("url", ["file:///a", "file:a/b", "s3://bucket", "s3://bucket/a"])
def test_addresses(url: str) -> None:
    assert load_settings(archive_url=url).archive_url == url
