"""Documents of executions as Parquet: what an object of the archive looks like inside.

One row an execution: its typed columns, for those who query the archive, and ``doc``, the whole
document as JSON text, from which it can be put back exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from nova_stream.extras import missing
from nova_stream.storage.maintenance.archive import ArchivedRow
from nova_stream.storage.maintenance.archive_sql import STATE

try:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise missing(error) from None

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("task_id", pa.string()),
        pa.field("agent", pa.string()),
        pa.field("duration_ms", pa.float64()),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("version_minor", pa.int32(), nullable=False),
        pa.field("version_generation", pa.int32()),
        pa.field("src_offset", pa.int64()),
        pa.field("doc", pa.string(), nullable=False),
    ]
)
_ROWS = 1000


class Content(NamedTuple):
    """What an object holds: rows, the first and last id in their order, and a digest of every
    row's id, state and document.
    """

    rows: int
    first_id: str
    last_id: str
    digest: str


class Writer:
    """Writes rows into the file ``path``; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetWriter(path, _SCHEMA, compression="zstd")
        self._content = _Content()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Sequence[ArchivedRow]) -> None:
        """Append rows."""
        self._content.add(rows)
        columns: dict[str, list[Any]] = {
            "id": [r.id for r in rows],
            "task_id": [r.task_id for r in rows],
            "agent": [r.agent for r in rows],
            "duration_ms": [None if r.duration is None else float(r.duration) for r in rows],
            "timestamp": [r.timestamp for r in rows],
            "version": [r.version for r in rows],
            "version_minor": [r.version_minor for r in rows],
            "version_generation": [r.version_generation for r in rows],
            "src_offset": [r.src_offset for r in rows],
            "doc": [r.doc for r in rows],
        }
        self._file.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=_ROWS)

    @property
    def size(self) -> int:
        """Bytes in the file so far."""
        return self._path.stat().st_size

    @property
    def content(self) -> Content:
        """What was written."""
        return self._content.result()


def read_content(path: Path) -> Content:
    """What a file holds, every row read; raises what pyarrow raises where it is damaged."""
    content = _Content()
    for rows in read_rows(path):
        content.add(rows)
    return content.result()


def read_rows(path: Path, *, documents: bool = True) -> Iterator[list[ArchivedRow]]:
    """A file's rows, up to a thousand at a time, in what columns it has; on request without their
    documents, which is much less to read.
    """
    columns = None if documents else [field.name for field in _SCHEMA if field.name != "doc"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
            yield [
                ArchivedRow(
                    id=row["id"],
                    task_id=row["task_id"],
                    agent=row["agent"],
                    duration=row["duration_ms"],
                    timestamp=row["timestamp"],
                    version=row["version"],
                    version_minor=row["version_minor"],
                    version_generation=row.get("version_generation"),
                    src_offset=row.get("src_offset"),
                    doc=row.get("doc", ""),
                )
                for row in batch.to_pylist()
            ]


class _Content:
    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._rows = 0
        self._first = self._last = ""

    def add(self, rows: Sequence[ArchivedRow]) -> None:
        if not rows:
            return
        self._first = self._first if self._rows else rows[0].id
        self._last = rows[-1].id
        self._rows += len(rows)
        for row in rows:
            state = [getattr(row, column) for column in STATE]
            told = f"{row.id}\0{state}\0{row.doc}\0"
            self._digest.update(told.encode())

    def result(self) -> Content:
        return Content(self._rows, self._first, self._last, self._digest.hexdigest())
