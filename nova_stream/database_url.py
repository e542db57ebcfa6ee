"""``NOVA_DATABASE_URL``, read as libpq reads a connection URI: once, and checked.

No message from here holds a user, a password or a piece of text that may be one: a password with
an unescaped ``@`` or ``/`` moves into what looks like a host, a port or a database.
"""

from __future__ import annotations

import configparser
import difflib
import os
import random
import re
import shlex
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from nova_stream.database_parameters import PARAMETERS, Meaning

ALLOWED = "postgresql://user:password@host:port/database is allowed"
_ESCAPE = (
    "characters such as @, /, %, ? and # in the user's name, the password or a parameter are "
    "written as %40, %2F, %25, %3F and %23"
)
_SCHEME = re.compile(r"postgres(?:ql)?://(.*)", re.DOTALL)
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_HOST = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([^:]*))?")
_SERVER_SETTING = re.compile(r"[A-Za-z_][\w.]*")
_LARGEST_PORT = 65535
_SECRET_ONES = {"password", "sslpassword"}
#: Settings of a session that are not the user's: what the driver writes is UTF-8.
_OURS = {"client_encoding", "application_name"}
#: Where systems keep the certificates of the authorities that they trust.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class Host(NamedTuple):
    """A server: a name, an address or a folder of a Unix socket; without one, the default."""

    name: str | None
    port: int | None

    def __str__(self) -> str:
        name = f"[{self.name}]" if self.name and ":" in self.name else self.name
        return f"{name or 'localhost'}:{self.port or 5432}"


@dataclass(frozen=True, repr=False)
class DatabaseUrl:
    """Where the database is and how to connect; ``str`` shows it without secrets."""

    hosts: tuple[Host, ...]
    user: str | None = None
    password: str | None = None
    database: str | None = None
    passfile: str | None = None
    target_session_attrs: str = "any"
    #: Seconds for one host; None = the caller's limit.
    connect_timeout: float | None = None
    load_balance: bool = False
    #: Parameters that asyncpg reads from its own address only.
    more: Mapping[str, str] = field(default_factory=dict)
    server_settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        hosts = ",".join(str(host) for host in self.hosts)
        return f"{hosts}/{self.database or ''}"

    def in_order(self) -> list[Host]:
        """The hosts in the order in which they are to be tried this time."""
        if self.load_balance:
            return random.sample(self.hosts, len(self.hosts))
        return list(self.hosts)

    def address(self) -> str:
        """The address that gives asyncpg what it takes in no other way; it names no host."""
        return f"postgresql://?{urlencode(self.more)}" if self.more else "postgresql://"


def parse_database_url(url: str, environment: Mapping[str, str] | None = None) -> DatabaseUrl:
    """Read and check a URL; parameters that it lacks come from its service, then from libpq's
    variables in ``environment`` (this process's, if None).

    Raises ValueError with what is wrong and what to do, without any part of a secret.
    """
    environment = os.environ if environment is None else environment
    given = _read(url)
    origins = dict.fromkeys(given, "")
    _add_service(given, origins, environment)
    for name, parameter in PARAMETERS.items():
        value = environment.get(parameter.variable, "") if parameter.variable else ""
        if value and not given.get(name):
            given[name], origins[name] = value, f"{parameter.variable}: "
    given = {name: value for name, value in given.items() if value}
    _use_system_authorities(given)
    for name, value in given.items():
        try:
            PARAMETERS[name].check(name, value)
        except ValueError as error:
            raise ValueError(f"{origins[name]}{error}") from None
    return _built(given)


def _read(url: str) -> dict[str, str]:
    """The parameters that the URL itself gives, by libpq's names."""
    match = _SCHEME.fullmatch(url.strip())
    if match is None:
        raise ValueError(ALLOWED)
    user_info, rest = _split_user(match[1])
    if "@" in rest:
        raise ValueError(f"it cannot be read: {_ESCAPE}")
    rest, _, query = rest.partition("?")
    places, _, database = rest.partition("/")
    user, _, password = user_info.partition(":")
    hosts = [_host(place) for place in places.split(",")] if places else []
    given = {
        "user": _unescape(user),
        "password": _unescape(password),
        "host": ",".join(name for name, _ in hosts),
        "port": ",".join(port for _, port in hosts).strip(","),
        "dbname": _unescape(database),
    }
    if len({bool(port) for _, port in hosts}) > 1:
        given["port"] = ",".join(port or "5432" for _, port in hosts)
    return given | _query(query)


def _split_user(rest: str) -> tuple[str, str]:
    """User and password, and what follows them: an ``@`` before any ``/`` divides them."""
    before, at, after = rest.partition("@")
    return (before, after) if at and "/" not in before else ("", rest)


def _host(place: str) -> tuple[str, str]:
    match = _HOST.fullmatch(place)
    if match is None:
        raise ValueError(f"its host cannot be read: {_ESCAPE}; an IPv6 address goes into [ ]")
    port = match[3] or ""
    if port:
        _check_port(port)
    return _unescape(match[1] or match[2] or ""), port


def _query(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        name, value = _unescape(name), _unescape(value)
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"its parameters cannot be read: name=value is allowed, and {_ESCAPE}")
        if name == "ssl" and value == "true":  # as JDBC writes it, and libpq reads it
            name, value = "sslmode", "require"
        if name == "database":
            name = "dbname"
        if name not in PARAMETERS:
            # After a secret with an unescaped & the name may be a piece of it.
            raise ValueError(
                f"it cannot be read: & is written as %26, and {_ESCAPE}"
                if (_SECRET_ONES & given.keys())
                else _unknown(name)
            )
        given[name] = value
    return given


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, PARAMETERS, n=1, cutoff=0.75)
    hint = (
        f"{close[0]} may be meant"
        if close
        else "libpq's are allowed, and a setting of the server as options=-c%20name%3Dvalue"
    )
    return f"the parameter {name} is unknown; {hint}"


def _add_service(
    given: dict[str, str], origins: dict[str, str], environment: Mapping[str, str]
) -> None:
    service = given.get("service") or environment.get("PGSERVICE", "")
    if not service:
        return
    parser = configparser.RawConfigParser(interpolation=None, strict=False)
    for path in _service_files(given, environment):
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeError, configparser.Error):
            raise ValueError(f"the service file {path} cannot be read") from None
        if parser.has_section(service):
            break
    else:
        raise ValueError(f"no service file defines the service {service!r}")
    for name, value in parser.items(service):
        if name not in PARAMETERS:
            raise ValueError(f"the service {service!r}: {_unknown(name)}")
        if not given.get(name):
            given[name], origins[name] = value, f"the service {service!r}: "


def _service_files(given: Mapping[str, str], environment: Mapping[str, str]) -> list[Path]:
    """Where services may be defined, the first that does counts."""
    named = given.get("servicefile") or environment.get("PGSERVICEFILE", "")
    own = Path(named) if named else Path.home() / ".pg_service.conf"
    shared = environment.get("PGSYSCONFDIR", "")
    return [own, Path(shared) / "pg_service.conf"] if shared else [own]


def _use_system_authorities(given: dict[str, str]) -> None:
    """``sslrootcert=system`` as the file that it means; it goes with full verification only."""
    if given.get("sslrootcert") != "system":
        return
    if given.setdefault("sslmode", "verify-full") != "verify-full":
        raise ValueError("sslrootcert=system goes with sslmode=verify-full")
    files = (ssl.get_default_verify_paths().cafile, *_AUTHORITIES)
    found = next((file for file in files if file and Path(file).is_file()), None)
    if found is None:
        raise ValueError("sslrootcert=system: this machine has no file of them; name one instead")
    given["sslrootcert"] = found


def _built(given: Mapping[str, str]) -> DatabaseUrl:
    options = given.get("options", "")
    timeout = int(given.get("connect_timeout", "0"))
    return DatabaseUrl(
        hosts=_hosts(given),
        user=given.get("user"),
        password=given.get("password"),
        database=given.get("dbname"),
        passfile=given.get("passfile"),
        target_session_attrs=given.get("target_session_attrs", "any"),
        # libpq, too, waits no less than 2 seconds; 0 and less are no limit of the URL's.
        connect_timeout=max(timeout, 2) if timeout > 0 else None,
        load_balance=given.get("load_balance_hosts") == "random",
        more={
            name: value for name, value in given.items() if PARAMETERS[name].meaning is Meaning.TLS
        },
        server_settings=_server_settings(options),
    )


def _hosts(given: Mapping[str, str]) -> tuple[Host, ...]:
    names = given.get("host", "").split(",")
    addresses = given.get("hostaddr", "").split(",")
    if addresses != [""]:
        if names != [""] and len(names) != len(addresses):
            raise ValueError("host and hostaddr name different numbers of hosts")
        if names != [""] and given.get("sslmode") == "verify-full":
            raise ValueError(
                "hostaddr cannot be used with host and sslmode=verify-full: the certificate would "
                "be compared with the address; leave hostaddr out"
            )
        if names == [""]:
            names = [""] * len(addresses)
        pairs = zip(addresses, names, strict=True)
        names = [address or name for address, name in pairs]
    if any(name.startswith("@") for name in names):
        raise ValueError("host: sockets in the abstract namespace (@…) are not possible here")
    ports = given.get("port", "").split(",")
    for port in filter(None, ports):
        _check_port(port)
    if len(ports) == 1:
        ports = ports * len(names)
    if len(ports) != len(names):
        raise ValueError("host and port name different numbers of hosts")
    return tuple(
        Host(name or None, int(port) if port else None)
        for name, port in zip(names, ports, strict=True)
    )


def _check_port(port: str) -> None:
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LARGEST_PORT):
        # Not shown: of a password with an unescaped / this is a piece.
        raise ValueError(f"its port is not a number from 1 to {_LARGEST_PORT}; {_ESCAPE}")


def _server_settings(options: str) -> dict[str, str]:
    """``-c name=value`` and ``--name=value``, several of them, as settings of the session."""
    found: dict[str, str] = {}
    words = iter(_words(options))
    for word in words:
        text = next(words, "") if word == "-c" else word.removeprefix("--").removeprefix("-c")
        name, equals, value = text.partition("=")
        name = name.replace("-", "_")
        if not equals or word == text or not _SERVER_SETTING.fullmatch(name):
            raise ValueError("options: -c name=value or --name=value, several of them, is allowed")
        if name.lower() not in _OURS:
            found[name] = value
    return found


def _words(options: str) -> list[str]:
    lexer = shlex.shlex(options, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.commenters = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise ValueError("options: it ends with a backslash") from None


def _unescape(text: str) -> str:
    """Percent-decoded, strictly."""
    data = text.encode()
    if data.count(b"%") != len(_ESCAPED.findall(data)):
        raise ValueError(f"it cannot be read: a % does not begin an escape; {_ESCAPE}")
    try:
        decoded = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data).decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"it cannot be read: its percent escapes are not valid UTF-8; {_ESCAPE}"
        ) from None
    if "\0" in decoded:
        raise ValueError("it cannot be read: %00 is not allowed")
    return decoded
