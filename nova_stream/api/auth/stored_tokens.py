"""The tokens that ``nova-stream tokens`` has stored, as the API knows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from nova_stream.api.database import Database
from nova_stream.clock import system_clock
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.access.tokens import KnownToken
from nova_stream.storage.faults import is_away, name_of
from nova_stream.telemetry import get_logger

#: Seconds after which the list is read again, when a request needs it.
_FRESH_S = 2.0
#: Seconds for which the last list counts while Postgres is away.
_KEEP_S = 60.0
#: Seconds for which the last list counts where it says that there is no token: whoever made one
#: since must not wait for the API to be closed.
_KEEP_OPEN_S = 5.0
#: Seconds for one look, and between two while Postgres is away.
_LIMIT_S = 1.2
_PAUSE_S = 1.0
#: Seconds for which one note of a token's use is enough.
_NOTED_S = 60.0

_log = get_logger(__name__)


class StoredTokens:
    """The list, read again when it is two seconds old and somebody asks."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = system_clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._tokens: dict[bytes, KnownToken] = {}
        self._any: bool | None = None
        self._version = 0
        #: Why the last look failed that did.
        self.failure: Exception | None = None
        self._trouble: str | None = None
        self._read_at = self._failed_at = float("-inf")
        self._noted: dict[int, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def known(self) -> bool:
        """Whether the list can be relied on: Postgres gave it within the last minute."""
        return self._seconds() - self._read_at < _KEEP_S

    @property
    def fresh(self) -> bool:
        """Whether the list is as new as it ever has to be."""
        return self._seconds() - self._read_at < _FRESH_S

    @property
    def any(self) -> bool | None:
        """Whether a token was ever stored; None while nobody knows. That none was is known for
        five seconds; that one was, for ever.
        """
        counts = self._seconds() - self._read_at < _KEEP_OPEN_S
        return self._any if self._any or counts else None

    @property
    def version(self) -> int:
        """Rises whenever the list is another one."""
        return self._version

    def assume_any(self) -> None:
        """Take it that a token was stored: somebody has seen it."""
        self._any = True

    async def refresh(self, *, insist: bool = False) -> None:
        """Bring the list up to date; it stays as it is while Postgres is away. After a failure the
        next look comes a second later, unless somebody insists.
        """
        came = self._seconds()
        if self.fresh:
            return
        async with self._lock:
            if self.fresh or self._failed_at >= (came if insist else self._seconds() - _PAUSE_S):
                return
            try:
                async with asyncio.timeout(_LIMIT_S):
                    await self._read()
            except Exception as error:  # whatever it is, the list stays as it is
                self._failed_at, self.failure = self._seconds(), error
                self._tell(error)
            else:
                self._tell(None)

    def find(self, secret: str) -> KnownToken | None:
        """The token with this secret, unless it is revoked or has expired; its use is noted."""
        # What a look-up's time tells is about digests, and nothing leads from them to a secret.
        token = self._tokens.get(token_store.digest_of(secret))
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock()):
            return None
        if self._seconds() - self._noted.get(token.id, float("-inf")) > _NOTED_S:
            self._noted[token.id] = self._seconds()
            task = asyncio.ensure_future(self._note(token.id))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return token

    async def close(self) -> None:
        """Wait for the notes that are being written."""
        await asyncio.gather(*self._writing)

    async def _read(self) -> None:
        started = self._seconds()
        async with self._database.brief_look() as connection:
            found = await token_store.known(connection)
            any_stored = bool(found) or await token_store.any_stored(connection)
        tokens = {token.digest: token for token in found}
        if (any_stored, tokens) != (self._any, self._tokens):
            self._version += 1
        self._any, self._tokens = any_stored, tokens
        self._read_at = started

    def _tell(self, error: Exception | None) -> None:
        """Say once what is wrong where Postgres is not just away, which others say."""
        trouble = None if error is None or is_away(error) else name_of(error)
        if trouble is not None and trouble != self._trouble:
            _log.error("stored tokens cannot be read", error=trouble)
        if error is None or trouble is not None:
            self._trouble = trouble

    async def _note(self, token: int) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S), self._database.look() as connection:
                await token_store.used(connection, token, self._clock())
        except Exception as error:  # a note of a use stands in nobody's way
            if is_away(error):
                self._noted.pop(token, None)
            else:
                _log.error("a token's use cannot be noted", error=name_of(error))
