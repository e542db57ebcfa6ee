"""A copy of a source's documents on disk, for sources that cannot be asked for single ones."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from nova_stream.events.change import Entity

_SETUP = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;
CREATE TABLE documents (entity TEXT, id TEXT, document BLOB, PRIMARY KEY (entity, id))
    WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)"
_REMOVE = "DELETE FROM documents WHERE entity = ? AND id = ?"
_GET = "SELECT document FROM documents WHERE entity = ? AND id = ?"
#: Ids are compared by their bytes in UTF-8, which is the order of code points.
_AFTER = "SELECT id, document FROM documents WHERE entity = ? AND id > ? ORDER BY id LIMIT ?"

Document = dict[str, Any]


class Replica:
    """Documents by entity and id in a temporary file, which is gone when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nova-stream-")
        self._database = sqlite3.connect(Path(self._folder.name) / "documents")
        self._database.executescript(_SETUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file; may be repeated."""
        self._database.close()
        self._folder.cleanup()

    def put(self, entity: Entity, documents: Iterable[Document]) -> None:
        """Insert documents, or replace those of the same ``id``."""
        encode = msgspec.json.encode
        rows = [(entity.value, document["id"], encode(document)) for document in documents]
        with self._database:
            self._database.executemany(_PUT, rows)

    def remove(self, entity: Entity, identity: str) -> None:
        """Remove a document, if it is there."""
        with self._database:
            self._database.execute(_REMOVE, (entity.value, identity))

    def clear(self) -> None:
        """Remove all documents."""
        with self._database:
            self._database.execute("DELETE FROM documents")

    def get(self, entity: Entity, ids: Sequence[str]) -> dict[str, Document]:
        """These documents by id; those that are not there are absent."""
        found = {}
        for identity in ids:
            for (document,) in self._database.execute(_GET, (entity.value, identity)):
                found[identity] = msgspec.json.decode(document)
        return found

    def walk(self, entity: Entity, rows: int) -> Iterator[list[Document]]:
        """All documents in batches of ``rows``, by id in the order of code points."""
        after = ""
        while found := self._database.execute(_AFTER, (entity.value, after, rows)).fetchall():
            after = found[-1][0]
            yield [msgspec.json.decode(document) for _, document in found]
