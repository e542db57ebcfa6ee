"""TLS of the API: its certificate, which is loaded anew when its files are replaced."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from nova_stream.errors import SettingsError
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Seconds between two looks at the files.
_LOOK_EVERY_S = 5.0


class Certificate:
    """A chain of certificates and its key, in two files of PEM."""

    def __init__(self, chain: Path, key: Path) -> None:
        self.chain = chain
        self.key = key
        self._seen = self._state()

    def load(self, context: ssl.SSLContext) -> None:
        """Have new connections of ``context`` use the files as they are now.

        Raises SettingsError with what is wrong with them.
        """
        for name, path in (("cert", self.chain), ("key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise SettingsError(
                    f"--tls-{name} {path}: {error.strerror}; a file of PEM is needed that this "
                    "user may read"
                ) from None
        try:
            context.load_cert_chain(self.chain, self.key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(
                f"--tls-cert {self.chain}, --tls-key {self.key}: {_reason(error)}; the chain "
                "begins with the server's own certificate, and the key is that certificate's, "
                "without a password"
            ) from None

    async def follow(self, context: ssl.SSLContext) -> None:
        """Load the files into ``context`` whenever they have been replaced; one that cannot be
        used is told, and the former one stays.
        """
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            state = self._state()
            if state == self._seen:
                continue
            self._seen = state
            try:
                # Into one that is thrown away: the other is never left with half of a pair.
                self.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
                self.load(context)
            except SettingsError as error:
                _log.error(
                    "the new certificate cannot be used",
                    error=str(error),
                    then="the former one stays",
                )
            else:
                _log.info("the certificate was reloaded", file=str(self.chain))

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state_of(path) for path in (self.chain, self.key))


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _no_password() -> bytes:
    # Else OpenSSL asks at the terminal.
    raise OSError("the key has a password")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)
