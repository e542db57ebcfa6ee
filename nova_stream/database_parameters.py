"""Every parameter of libpq (PostgreSQL 18), and what it means for a connection of nova-stream."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import NamedTuple

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


class Meaning(Enum):
    """What becomes of a parameter."""

    USED = "used"
    #: Used by asyncpg, which takes it from an address only.
    TLS = "tls"
    #: Has no effect, and nothing depends on one.
    IGNORED = "ignored"
    #: Promises something that cannot be kept here, unless its value asks for nothing.
    REFUSED = "refused"


class Parameter(NamedTuple):
    """One of libpq's parameters. ``allowed``: its values, if it has few; with REFUSED those that
    ask for nothing. ``variable``: where libpq takes it from if the URL lacks it.
    """

    meaning: Meaning
    allowed: tuple[str, ...] = ()
    variable: str = ""
    integer: bool = False
    file: bool = False
    why: str = ""

    def check(self, name: str, value: str) -> None:
        """Raise ValueError unless ``value`` is possible; the message does not show it."""
        if self.meaning is Meaning.REFUSED:
            if value not in self.allowed:
                hint = f"; {' or '.join(self.allowed)} is allowed" if self.allowed else ""
                raise ValueError(f"{name} cannot be used here: {self.why}{hint}")
        elif self.allowed and value not in self.allowed:
            raise ValueError(f"{name}: {', '.join(self.allowed)} are allowed")
        if self.integer and not _INTEGER.fullmatch(value):
            raise ValueError(f"{name}: a whole number is allowed")
        if self.file and not Path(value).is_file():
            raise ValueError(f"{name}: there is no such file")


def _used(*allowed: str, variable: str = "", integer: bool = False) -> Parameter:
    return Parameter(Meaning.USED, allowed, variable, integer)


def _tls(*allowed: str, variable: str = "", file: bool = False) -> Parameter:
    return Parameter(Meaning.TLS, allowed, variable, file=file)


def _ignored(*, integer: bool = False) -> Parameter:
    return Parameter(Meaning.IGNORED, integer=integer)


def _refused(why: str, *allowed: str, variable: str = "") -> Parameter:
    return Parameter(Meaning.REFUSED, allowed, variable, why=why)


_OFF = ("0", "off", "false", "no")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_NO_OAUTH = "the driver has no OAuth"

PARAMETERS: dict[str, Parameter] = {
    # Where, who, what.
    "host": _used(variable="PGHOST"),
    "hostaddr": _used(variable="PGHOSTADDR"),
    "port": _used(variable="PGPORT"),
    "dbname": _used(variable="PGDATABASE"),
    "user": _used(variable="PGUSER"),
    "password": _used(variable="PGPASSWORD"),
    "passfile": _used(variable="PGPASSFILE"),
    "service": _used(),
    "servicefile": _used(),
    "connect_timeout": _used(variable="PGCONNECT_TIMEOUT", integer=True),
    "target_session_attrs": _used(
        "any",
        "read-write",
        "read-only",
        "primary",
        "standby",
        "prefer-standby",
        variable="PGTARGETSESSIONATTRS",
    ),
    "load_balance_hosts": _used("disable", "random", variable="PGLOADBALANCEHOSTS"),
    "options": _used(),
    # TLS and Kerberos, by asyncpg.
    "sslmode": _tls(
        "disable", "allow", "prefer", "require", "verify-ca", "verify-full", variable="PGSSLMODE"
    ),
    "sslnegotiation": _tls("postgres", "direct", variable="PGSSLNEGOTIATION"),
    "sslcert": _tls(file=True, variable="PGSSLCERT"),
    "sslkey": _tls(file=True, variable="PGSSLKEY"),
    "sslpassword": _tls(),
    "sslrootcert": _tls(file=True, variable="PGSSLROOTCERT"),
    "sslcrl": _tls(file=True, variable="PGSSLCRL"),
    "ssl_min_protocol_version": _tls(*_TLS_VERSIONS, variable="PGSSLMINPROTOCOLVERSION"),
    "ssl_max_protocol_version": _tls(*_TLS_VERSIONS, variable="PGSSLMAXPROTOCOLVERSION"),
    "krbsrvname": _tls(variable="PGKRBSRVNAME"),
    "gsslib": _tls("gssapi", "sspi", variable="PGGSSLIB"),
    # Names and limits that nova-stream gives its sessions itself.
    "application_name": _ignored(),
    "fallback_application_name": _ignored(),
    "client_encoding": _ignored(),
    "keepalives": _ignored(integer=True),
    "keepalives_idle": _ignored(integer=True),
    "keepalives_interval": _ignored(integer=True),
    "keepalives_count": _ignored(integer=True),
    "tcp_user_timeout": _ignored(integer=True),
    # What the driver does not have, and nothing needs.
    "sslcompression": _ignored(),
    "sslkeylogfile": _ignored(),
    "gssdelegation": _ignored(),
    # What somebody relies on: to leave it out silently would be unsafe.
    "channel_binding": _refused(
        "the driver has no channel binding", "disable", "prefer", variable="PGCHANNELBINDING"
    ),
    "require_auth": _refused(
        "the driver answers whatever way of authentication the server asks for; "
        "sslmode=verify-full makes sure of the server",
        variable="PGREQUIREAUTH",
    ),
    "requirepeer": _refused(
        "the driver does not look whose process a socket is", variable="PGREQUIREPEER"
    ),
    "gssencmode": _refused(
        "the driver has no GSSAPI encryption", "disable", "prefer", variable="PGGSSENCMODE"
    ),
    "sslcrldir": _refused(
        "the driver reads one file of revoked certificates, sslcrl", variable="PGSSLCRLDIR"
    ),
    "sslcertmode": _refused(
        "the driver sends a certificate when it has one and is asked",
        "allow",
        variable="PGSSLCERTMODE",
    ),
    "sslsni": _refused("the driver always names the host", "1", variable="PGSSLSNI"),
    "min_protocol_version": _refused(
        "the driver speaks protocol 3.0", "3.0", variable="PGMINPROTOCOLVERSION"
    ),
    "max_protocol_version": _used("3.0", "3.2", "latest"),
    "replication": _refused("nova-stream's sessions run statements", *_OFF),
    "scram_client_key": _refused("the driver needs the password itself"),
    "scram_server_key": _refused("the driver needs the password itself"),
    "oauth_issuer": _refused(_NO_OAUTH),
    "oauth_client_id": _refused(_NO_OAUTH),
    "oauth_client_secret": _refused(_NO_OAUTH),
    "oauth_scope": _refused(_NO_OAUTH),
}
