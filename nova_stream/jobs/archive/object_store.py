"""The archive of old executions' documents: a folder or an S3 bucket, named by NOVA_ARCHIVE_URL.

For S3 the usual AWS_… variables, and the profile that AWS_PROFILE names, tell keys, region and
endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from nova_stream.errors import ArchiveError
from nova_stream.extras import missing
from nova_stream.jobs.archive.aws_profile import store_options

try:
    import obstore
    from obstore.exceptions import BaseError, NotFoundError
    from obstore.store import LocalStore, ObjectStore, S3Store
except ModuleNotFoundError as error:
    raise missing(error) from None

_CHUNK = 1024 * 1024
#: Parts of an upload in memory at a time, 5 MiB each.
_PARTS = 4
#: How obstore says that an object is not there, by kind of store.
_MISSING = (NotFoundError, FileNotFoundError)
_PROBE = "nova-stream-probe"
#: Of a request that S3 did not answer, with longer and longer pauses.
RETRIES = 4
_CLIENT_LIMIT = timedelta(seconds=15)


class FetchedObject(NamedTuple):
    """An object that was read: its SHA-256 in hexadecimal, and its bytes' number."""

    sha256: str
    size: int


class Archive:
    """Objects by name. Every method raises ArchiveError, within a minute when nothing answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        self._root = Path(unquote(parts.path)).absolute() if parts.scheme == "file" else None

    async def put(self, name: str, source: Path | bytes) -> None:
        """Write an object, over one of the same name; when it returns, it lasts."""
        with self._failing(f"{name} cannot be written"):
            store = self._store()
            await obstore.put_async(store, name, source, max_concurrency=_PARTS)
            if self._root is not None:
                await asyncio.to_thread(_make_last, self._root, name)

    async def fetch(self, name: str, target: Path) -> FetchedObject:
        """Read an object into the file ``target``."""
        digest, size = hashlib.sha256(), 0
        with self._failing(f"{name} cannot be read"):
            answer = await obstore.get_async(self._store(), name)
            with target.open("wb") as file:
                async for chunk in answer.stream(min_chunk_size=_CHUNK):
                    size += await asyncio.to_thread(_take, bytes(chunk), digest, file)
        return FetchedObject(digest.hexdigest(), size)

    async def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        with self._failing(f"{name} cannot be deleted"), contextlib.suppress(*_MISSING):
            await obstore.delete_async(self._store(), name)

    async def check(self) -> None:
        """Raise ArchiveError unless it answers, and, if it is a folder, can be written to."""
        with self._failing("it cannot be used"):
            store = self._store()
            with contextlib.suppress(*_MISSING):
                await obstore.head_async(store, _PROBE)
            if self._root is not None and not os.access(self._root, os.W_OK):
                raise PermissionError(f"no permission to write to {self._root}")

    def _store(self) -> ObjectStore:
        if self._root is not None:
            return LocalStore(self._root, mkdir=True)

        options: dict[str, Any] = store_options(os.environ)
        return S3Store.from_url(
            self._url,
            **options,
            client_options={
                "allow_http": options.get("endpoint", "").startswith("http://"),
                "timeout": _CLIENT_LIMIT,
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": 2 * _CLIENT_LIMIT},
        )

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
            raise ArchiveError(
                f"the archive {self._url}: {what}: {reason or type(error).__name__}. "
                "Check NOVA_ARCHIVE_URL and, for S3, the AWS_… variables"
            ) from None


def _take(chunk: bytes, digest: object, file: object) -> int:
    digest.update(chunk)  # type: ignore[attr-defined]
    file.write(chunk)  # type: ignore[attr-defined]
    return len(chunk)


def _make_last(root: Path, name: str) -> None:
    """Bring a file and the folders that lead to it to the disk: documents are deleted next."""
    place = root / name
    for path in (place, *place.parents):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if path == root:
            return
