"""NOVA_DATABASE_URL is read as libpq reads it, and never shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nova_stream.database_parameters import PARAMETERS, Meaning
from nova_stream.database_url import DatabaseUrl, Host, parse_database_url
from nova_stream.errors import SettingsError
from nova_stream.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
PLAIN = "postgresql://u:p@h:5433/d"
#: A value of each parameter that asks for nothing out of the way.
ORDINARY = {
    "connect_timeout": "10",
    "target_session_attrs": "read-write",
    "load_balance_hosts": "random",
    "options": "-c statement_timeout=30s",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "TLSv1.3",
    "gsslib": "gssapi",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "1000",
    "port": "5433",
    "hostaddr": "127.0.0.1",
    "channel_binding": "prefer",
    "gssencmode": "disable",
    "sslcertmode": "allow",
    "sslsni": "1",
    "min_protocol_version": "3.0",
    "max_protocol_version": "latest",
    "replication": "false",
}


def read(url: str, **environment: str) -> DatabaseUrl:
    return parse_database_url(url, environment)


def error(url: str, **environment: str) -> str:
    with pytest.raises(ValueError) as raised:
        parse_database_url(url, environment)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "hosts", "user", "password", "database"),
    [
        (PLAIN, [("h", 5433)], "u", "p", "d"),
        ("postgres://h", [("h", None)], None, None, None),
        ("postgresql://", [(None, None)], None, None, None),
        ("postgresql:///d", [(None, None)], None, None, "d"),
        ("postgresql://u@/d", [(None, None)], "u", None, "d"),
        ("postgresql://u:@h", [("h", None)], "u", None, None),
        ("postgresql://a:1,b:2,[::1]:3/d", [("a", 1), ("b", 2), ("::1", 3)], None, None, "d"),
        ("postgresql://a,b/d", [("a", None), ("b", None)], None, None, "d"),
        ("postgresql://a:1,b/d", [("a", 1), ("b", 5432)], None, None, "d"),
        ("postgresql://a,b:7/d", [("a", 5432), ("b", 7)], None, None, "d"),
        ("postgresql:///d?host=a,b&port=1,2", [("a", 1), ("b", 2)], None, None, "d"),
        ("postgresql://[fe80::1%25eth0]:1/d", [("fe80::1%eth0", 1)], None, None, "d"),
        ("postgresql://u:p%40%2F%3A%23@h/d", [("h", None)], "u", "p@/:#", "d"),
        ("postgresql://u:a:b?c#d@h/d", [("h", None)], "u", "a:b?c#d", "d"),
        ("postgresql://u%40corp@h/d", [("h", None)], "u@corp", None, "d"),
        ("postgresql://%2Fvar%2Frun/d", [("/var/run", None)], None, None, "d"),
        ("postgresql:///d?host=/var/run&port=5499", [("/var/run", 5499)], None, None, "d"),
        ("postgresql://h/d?user=a&password=b", [("h", None)], "a", "b", "d"),
        ("postgresql://h/d?host=x&dbname=y", [("x", None)], None, None, "y"),
        ("postgresql://h/d?hostaddr=10.0.0.1", [("10.0.0.1", None)], None, None, "d"),
        ("postgresql://h/d?user=a&user=b", [("h", None)], "b", None, "d"),
        ("postgresql://h/a%20b?", [("h", None)], None, None, "a b"),
    ],
)
def test_forms_of_an_address(
    url: str,
    hosts: list[tuple[str | None, int | None]],
    user: str | None,
    password: str | None,
    database: str | None,
) -> None:
    found = read(url)
    assert list(found.hosts) == [Host(*host) for host in hosts]
    assert (found.user, found.password, found.database) == (user, password, database)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_parameter_of_libpq_is_understood_ignored_or_refused_by_its_name(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    parameter = PARAMETERS[name]
    value = ORDINARY.get(name, str(file) if parameter.file else "x")
    if name == "service":
        (tmp_path / "services").write_text("[x]\nhost=other\n")
    url = f"{PLAIN}?{name}={quote(value, safe='')}&servicefile={tmp_path / 'services'}"
    if parameter.meaning is Meaning.REFUSED and name not in ORDINARY:
        assert error(url).startswith(f"{name} cannot be used here: ")
    else:
        read(url)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("channel_binding=require", "channel_binding cannot be used here"),
        ("require_auth=scram-sha-256", "require_auth cannot be used here"),
        ("gssencmode=require", "gssencmode cannot be used here"),
        ("requirepeer=postgres", "requirepeer cannot be used here"),
        ("sslcrldir=/etc/crl", "sslcrldir cannot be used here"),
        ("sslcertmode=require", "sslcertmode cannot be used here"),
        ("min_protocol_version=3.2", "min_protocol_version cannot be used here"),
        ("replication=database", "replication cannot be used here"),
        ("sslmode=verified", "sslmode: disable, allow"),
        ("sslrootcert=/there/is/none", "sslrootcert: there is no such file"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system goes with"),
        ("connect_timeout=soon", "connect_timeout: a whole number"),
        ("keepalives_idle=x", "keepalives_idle: a whole number"),
        ("target_session_attrs=leader", "target_session_attrs: any"),
        ("load_balance_hosts=yes", "load_balance_hosts: disable, random"),
        ("schema=public", "the parameter schema is unknown"),
        ("pgbouncer=true", "the parameter pgbouncer is unknown"),
        ("connection_timeout=3", "connect_timeout may be meant"),
        ("statement_timeout=30s", "options=-c%20name%3Dvalue"),
        ("options=statement_timeout%3D3", "options: -c name=value"),
        ("options=-B%2010", "options: -c name=value"),
        ("host=a,b,c&port=1,2", "host and port name different numbers"),
        ("hostaddr=1.1.1.1,2.2.2.2", "host and hostaddr name different numbers"),
        ("hostaddr=1.1.1.1&sslmode=verify-full", "hostaddr cannot be used with"),
        ("host=@abstract", "%40"),
        ("host=%40abstract", "abstract namespace"),
        ("port=0", "its port"),
        ("port=65536", "its port"),
        ("sslmode", "name=value"),
        ("=x", "name=value"),
        ("sslmode=%", "%25"),
        ("dbname=%00", "%00"),
        ("dbname=%FF", "UTF-8"),
        ("service=nobody", "no service file defines"),
    ],
)
def test_what_cannot_be_is_named(parameters: str, says: str, tmp_path: Path) -> None:
    assert says in error(f"{PLAIN}?{parameters}", PGSERVICEFILE=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-c statement_timeout=30s", {"statement_timeout": "30s"}),
        (
            "-cstatement_timeout=30s  --search-path=a,b",
            {"statement_timeout": "30s", "search_path": "a,b"},
        ),
        (r"-c search_path=a\ b", {"search_path": "a b"}),
        ("-c client_encoding=latin1 -c application_name=x -c my.own=1", {"my.own": "1"}),
        ("-c DateStyle='ISO'", {"DateStyle": "'ISO'"}),
    ],
)
def test_options_become_settings_of_the_session(options: str, settings: dict[str, str]) -> None:
    assert read(f"{PLAIN}?options={quote(options)}").server_settings == settings


def test_what_asyncpg_reads_from_an_address_goes_there_and_nothing_else_does() -> None:
    found = read(f"{PLAIN}?sslmode=require&ssl=true&krbsrvname=a%26b&connect_timeout=5")
    assert found.address() == "postgresql://?sslmode=require&krbsrvname=a%26b"
    assert read(PLAIN).address() == "postgresql://"


@pytest.mark.parametrize(("given", "seconds"), [("0", None), ("-1", None), ("1", 2), ("30", 30)])
def test_a_connect_timeout_is_libpqs(given: str, seconds: float | None) -> None:
    assert read(f"{PLAIN}?connect_timeout={given}").connect_timeout == seconds


def test_a_service_is_read_and_the_address_comes_before_it(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("[mine]\nhost=other\nport=1\nuser=su\npassword=100%s\nrequire_auth=none\n")
    assert "the service 'mine': require_auth" in error(
        "postgresql://h/?service=mine", PGSERVICEFILE=str(file)
    )
    file.write_text("[mine]\nhost=other\nport=1\nuser=su\npassword=100%s\n")
    found = read("postgresql://h/?service=mine", PGSERVICEFILE=str(file))
    assert (found.hosts, found.user, found.password) == ((Host("h", 1),), "su", "100%s")
    assert read("postgresql://h/", PGSERVICE="mine", PGSERVICEFILE=str(file)).user == "su"


def test_libpqs_variables_come_last_and_are_named() -> None:
    found = read("postgresql://h/d", PGHOST="x", PGUSER="env", PGCONNECT_TIMEOUT="7", PGPORT="9")
    assert (found.hosts, found.user, found.connect_timeout) == ((Host("h", 9),), "env", 7)
    assert error(PLAIN, PGREQUIREAUTH="md5").startswith("PGREQUIREAUTH: require_auth")
    read(PLAIN, PGREQUIREAUTH="", PGCHANNELBINDING="prefer")


def test_hosts_take_turns_if_that_is_wanted() -> None:
    url = "postgresql://a,b,c/d"
    assert {tuple(read(url).in_order()) for _ in range(50)} == {read(url).hosts}
    random = read(f"{url}?load_balance_hosts=random")
    assert len({random.in_order()[0] for _ in range(200)}) == 3


def test_it_is_shown_without_secrets() -> None:
    url = read("postgresql://me:secret@a:1,[::1]/d?sslpassword=secret")
    assert str(url) == "a:1,[::1]:5432/d"
    assert "secret" not in repr(url)


#: No word of a message or of what else is in the URL below has one of these letters.
SECRET = st.text(st.sampled_from("QXZ7@/:?#[]%&= ,\\'\"+"), min_size=1, max_size=12)


@example("QX/QXZ")
@example("QX@QXZ")
@example("7/Z?Q=Q")
@example("%QX")
@example("Q?X/Z@Q")
@example("7/?Z=QX@Q")
@example("Q&Z=X")
@given(SECRET)
def test_no_password_is_shown_however_it_is_written(password: str) -> None:
    """As it is, with whatever in it, and escaped: then it is the password."""
    assert read(f"postgresql://u:{quote(password, safe='')}@h/d").password == password
    for url in (f"postgresql://u:{password}@h/d", f"postgresql://h/d?password={password}"):
        try:
            shown = str(parse_database_url(url, {}))
        except ValueError as raised:
            shown = str(raised).removeprefix("its port is not a number from 1 to 65535")
        assert not re.search("[QXZ]|7", shown), shown


def test_a_url_that_cannot_be_read_stops_the_program_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOVA_DATABASE_URL", "postgresql://u:hush/hush@h/d")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith("NOVA_DATABASE_URL: ")
    assert "hush" not in str(raised.value)
    assert "%2F" in str(raised.value)


def test_the_documents_have_every_parameter() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [name for name in PARAMETERS if f"`{name}`" not in text]
    assert missing == []
