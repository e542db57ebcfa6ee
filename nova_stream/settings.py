"""Settings from the environment (prefix ``NOVA_``) and from ``.env``: docs/settings.md."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from nova_stream.database_url import DatabaseUrl, parse_database_url
from nova_stream.deployment_url import deployment_url
from nova_stream.errors import SettingsError
from nova_stream.events.change import Entity
from nova_stream.events.placeholders import DEFAULT, placeholder_bytes
from nova_stream.smtp_url import mail_server

#: Beside those whose type says so: an address that may have a password in it.
_SECRETS = {"schema_registry_url"}

#: Variables that something else of nova-stream reads: the local stack, the pytest fixtures, Faust.
_NO_SETTINGS = re.compile(r"NOVA_(CACHE_DIR|STACK_(DIR|ENV|MADE)|TEST_\w+|FAUST\w*)")
_SHORTEST_SECRET = 16
_BROKERS = "host:port, several separated by commas, is allowed"
_MAIL_ADDRESS = re.compile(r"[^@\s,<>\"]+@[A-Za-z0-9.-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
#: What Kubernetes sets in every container for a service called nova-….
_OF_A_SERVICE = re.compile(r"NOVA_\w*?(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


def _parts(value: Any) -> Any:
    """What stands between commas, where the value is a text."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _set(check: Callable[[str], object]) -> AfterValidator:
    """``check``, which raises ValueError, of what is set: of a text, a secret, or several texts."""

    def validate(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        for part in text if isinstance(text, tuple) else (text,):
            if part is not None:
                check(part)
        return value

    return AfterValidator(validate)


def _broker(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(_BROKERS)


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError(_BROKERS)
    return value


def _origin(text: str) -> None:
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise ValueError(
            "origins as browsers write them, http://host:port or https://host:port without a path, "
            "several separated by commas, are allowed, or * for all"
        )


def _network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(
            "addresses and networks, such as 10.0.0.7 or 10.0.0.0/24, several separated by commas, "
            "are allowed"
        ) from None


def _strong_token(text: str) -> None:
    if len(text) < _SHORTEST_SECRET or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            f"{_SHORTEST_SECRET} or more printable characters without spaces are allowed"
        )


def _strong_secret(text: str) -> None:
    if len(text) < _SHORTEST_SECRET:
        raise ValueError(f"{_SHORTEST_SECRET} characters or more are allowed")


def _password(text: str) -> None:
    # Other characters have several forms, and a client may send another one than was stored.
    if not (text.isascii() and text.isprintable()):
        raise ValueError("printable ASCII characters are allowed")


def _placeholder(text: str) -> None:
    try:
        placeholder_bytes(text)
    except ValueError:
        raise ValueError("a text, or hex: and an even number of hexadecimal digits") from None


def _archive_place(text: str) -> None:
    parts = urlsplit(text)
    if not ((parts.scheme == "file" and parts.path) or (parts.scheme == "s3" and parts.netloc)):
        raise ValueError("file:///folder, file:folder or s3://bucket/folder is allowed")


def _registries(value: str | None) -> str | None:
    for url in value.split(",") if value else ():
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("http://host:port or https://host:port is allowed")
        if parts.username or parts.password:
            raise ValueError(
                "an address without credentials is allowed; they belong into "
                "NOVA_SCHEMA_REGISTRY_USERNAME and NOVA_SCHEMA_REGISTRY_PASSWORD"
            )
    return value or None


def _http(text: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("http://host/path or https://host/path is allowed")


def _mail_address(text: str) -> None:
    if not _MAIL_ADDRESS.fullmatch(text):
        raise ValueError("addresses as name@example.com are allowed")


def _hosts(value: Any) -> Any:
    # What is set and names nobody would allow everybody.
    if isinstance(value, str) and not _parts(value):
        raise ValueError("names of hosts, several separated by commas, are allowed")
    return value.lower() if isinstance(value, str) else value


def _deployment(value: str | None) -> str | None:
    return deployment_url(value) if value else None


def _deploy_key(value: SecretStr | None) -> SecretStr | None:
    key = value.get_secret_value().strip() if value is not None else ""
    if not (key.isascii() and key.isprintable()):
        raise ValueError("a deploy key is one line of printable characters")
    return SecretStr(key) if key else None


#: Values separated by commas.
_Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
_Password = Annotated[SecretStr | None, _set(_password)]
_SecretAddress = Annotated[SecretStr | None, _set(_http)]

#: The jobs, each with a setting for its schedule and one for its spread; a test holds them to the
#: registry.
JOBS = (
    "cleanup_old_activity",
    "compute_agent_stats",
    "check_stalled_builds",
    "compact_old_executions",
    "mark_inactive_users",
    "refresh_build_stats",
    "summarize_engagement",
    "health_check",
)

if TYPE_CHECKING:
    _JobSettings = BaseSettings
else:
    # A schedule is five cron fields in UTC, None the job's own; a spread is the seconds over which
    # jobs of one slot may start.
    _JobSettings = create_model(
        "_JobSettings",
        __base__=BaseSettings,
        **{f"schedule_{job}": (str | None, None) for job in JOBS},
        **{f"spread_{job}": (float, Field(0, ge=0, le=86_400)) for job in JOBS},
    )


class Settings(_JobSettings):
    """Every setting of nova-stream. Build it with ``load_settings`` to get readable errors.

    A variable that is empty or blank counts as not set, in the environment and in ``.env``.
    """

    model_config = SettingsConfigDict(
        env_prefix="NOVA_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    kafka_brokers: Annotated[_Listed, _set(_broker), AfterValidator(_some)] = ("127.0.0.1:9092",)
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: str | None = None
    kafka_cert_file: str | None = None
    kafka_key_file: str | None = None

    database_url: Annotated[SecretStr, _set(parse_database_url)] = SecretStr(
        "postgresql://nova:nova@127.0.0.1:5432/nova"
    )
    role_password_migrate: _Password = None
    role_password_worker: _Password = None
    role_password_api: _Password = None
    role_password_bi: _Password = None

    convex_url: Annotated[str | None, AfterValidator(_deployment)] = None
    convex_key: Annotated[SecretStr | None, AfterValidator(_deploy_key)] = None
    convex_poll_seconds: float = Field(1, ge=0.1, le=3600)
    schema_registry_url: Annotated[str | None, AfterValidator(_registries)] = None
    schema_registry_username: str | None = None
    schema_registry_password: SecretStr | None = None
    schema_registry_token: SecretStr | None = None
    schema_registry_cluster: str | None = None
    schema_registry_ca_file: str | None = None
    flattened_prefix: str = Field("__", pattern=r"^[A-Za-z0-9._-]{1,40}$")

    topic_prefix: str = Field("nova", pattern=r"^[A-Za-z0-9._-]{1,150}$")
    topic_agents: str | None = None
    topic_builds: str | None = None
    topic_tasks: str | None = None
    topic_executions: str | None = None
    topic_activities: str | None = None
    topic_users: str | None = None
    consumer_group: str = Field("nova-stream", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    partitions: int = Field(8, ge=1, le=512)
    replication: int = Field(1, ge=1, le=10)

    flush_records: int = Field(12_000, ge=1, le=50_000)
    buffer_bytes: int = Field(20 * 1024 * 1024, ge=1024 * 1024)
    chunk_transport: bool = True
    unavailable_value: Annotated[str, _set(_placeholder)] = Field(DEFAULT, min_length=1)

    api_url: str = "http://127.0.0.1:8600"
    api_token: SecretStr | None = None
    api_tokens: SecretStr | None = None
    api_rate: float = Field(500, ge=0, le=1_000_000)
    api_burst: int = Field(1000, ge=1, le=1_000_000)
    api_streams: int = Field(1000, ge=0, le=100_000)
    api_tls_cert: str | None = None
    api_tls_key: str | None = None
    api_trusted_proxies: Annotated[_Listed, _set(_network)] = ()
    api_cors_origins: Annotated[_Listed, _set(_origin)] = ()
    metrics_host: str = "127.0.0.1"
    metrics_token: Annotated[SecretStr | None, _set(_strong_token)] = None
    metrics_port: int | None = Field(None, ge=0, le=65535)
    stall_basis: Literal["activity", "started"] = "activity"
    archive_url: Annotated[str, _set(_archive_place)] = "file:.nova-stream/archive"
    archive_retention_days: int = Field(365, ge=1, le=36_500)
    job_history_days: int = Field(90, ge=1, le=36_500)
    job_lease_seconds: float = Field(15, ge=0.1, le=3600)
    job_late_seconds: float = Field(30, ge=1, le=86_400)

    alert_webhook_url: _SecretAddress = None
    alert_webhook_secret: Annotated[SecretStr | None, _set(_strong_secret)] = None
    alert_webhook_hosts: Annotated[_Listed, BeforeValidator(_hosts)] = ()
    alert_slack_url: _SecretAddress = None
    alert_email_to: Annotated[_Listed, _set(_mail_address)] = ()
    alert_email_from: Annotated[str | None, _set(_mail_address)] = None
    smtp_url: Annotated[SecretStr | None, _set(mail_server)] = None
    alert_success_rate: float = Field(95, ge=0, le=100)
    alert_runs: int = Field(20, ge=1, le=200)
    alert_growth_days: float = Field(7, gt=0, le=365)
    alert_slow_factor: float = Field(2, gt=1, le=1000)
    alert_slow_floor_seconds: float = Field(1, ge=0, le=3600)

    # What the jobs take as old (what is exactly as old stays), and what healthCheck warns of.
    activity_days: int = Field(7, ge=1, le=36_500)
    execution_days: int = Field(30, ge=1, le=36_500)
    inactive_days: int = Field(90, ge=1, le=36_500)
    engagement_days: int = Field(400, ge=61, le=3660)
    stall_minutes: int = Field(30, ge=1, le=525_600)
    #: Percent of a partition's records in the seconds; 0 = no limit.
    dead_letter_limit: float = Field(50, ge=0, le=100)
    dead_letter_limit_records: int = Field(10_000, ge=1)
    dead_letter_limit_seconds: float = Field(600, gt=0, le=86_400)
    dead_letter_days: int = Field(90, ge=1, le=36_500)
    trail_days: Annotated[int, Field(ge=366, le=36_500)] | None = None
    stream_history_days: int = Field(90, ge=2, le=3660)
    undo_days: int = Field(7, ge=0, le=36_500)
    task_table_warning: int = Field(100_000, ge=0)
    activity_table_warning: int = Field(1_000_000, ge=0)
    lag_warning: int = Field(100_000, ge=0)
    health_seconds: float = Field(10, gt=0, le=600)

    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """As ever, without what is blank: compose files and charts pass on what nobody set."""
        for source in (env_settings, dotenv_settings):
            assert isinstance(source, EnvSettingsSource)
            source.env_vars = {
                name: value for name, value in source.env_vars.items() if value and value.strip()
            }
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    def check_alerts(self) -> None:
        """Raise SettingsError when alerts would go to a host that is not allowed, or e-mail cannot
        be sent.
        """
        for name in ("alert_webhook_url", "alert_slack_url"):
            url = getattr(self, name)
            if url is None or not self.alert_webhook_hosts:
                continue
            if urlsplit(url.get_secret_value()).hostname not in self.alert_webhook_hosts:
                raise SettingsError(
                    f"NOVA_{name.upper()}: its host is none of NOVA_ALERT_WEBHOOK_HOSTS="
                    f"{','.join(self.alert_webhook_hosts)} (value not shown)"
                )
        if len({bool(self.alert_email_to), bool(self.alert_email_from), bool(self.smtp_url)}) > 1:
            raise SettingsError(
                "NOVA_ALERT_EMAIL_TO, NOVA_ALERT_EMAIL_FROM and NOVA_SMTP_URL: all are needed, or "
                "none"
            )

    def check_tls(self) -> None:
        """Raise SettingsError when the API has a certificate without a key, or the reverse."""
        if (self.api_tls_cert is None) != (self.api_tls_key is None):
            raise SettingsError(
                "NOVA_API_TLS_CERT and NOVA_API_TLS_KEY: both are needed, or neither"
            )

    def database(self) -> DatabaseUrl:
        """Where the database is and how to connect, from ``database_url``, checked.

        Raises SettingsError when a variable of libpq's says what cannot be done.
        """
        try:
            return parse_database_url(self.database_url.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"NOVA_DATABASE_URL: {error} (value not shown)") from None

    def topic(self, entity: Entity) -> str:
        """The Kafka topic of an entity: ``NOVA_TOPIC_<ENTITY>``, else prefix and entity."""
        named: str | None = getattr(self, f"topic_{entity.value}")
        return named or f"{self.topic_prefix}.{entity.value}"

    def topics(self) -> dict[str, Entity]:
        """All six topics with the entity that each carries.

        Raises SettingsError when two entities share one topic.
        """
        found = {self.topic(entity): entity for entity in Entity}
        if len(found) != len(Entity):
            raise SettingsError("NOVA_TOPIC_…: two entities have the same topic; give each its own")
        return found


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process.

    ``overrides`` come before the environment. Raises SettingsError with one line a wrong value
    that names the variable, the value (unless it is a secret) and what is allowed.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(item) for item in error.errors())) from None
    settings.topics()
    settings.check_alerts()
    settings.check_tls()
    return settings


def given_variables() -> dict[str, str]:
    """The variables of the environment, then of ``.env``, that are not blank; names in capitals."""
    given = {**dotenv_values(".env"), **{name: v for name, v in os.environ.items() if v.strip()}}
    return {name.upper(): value for name, value in given.items() if value and value.strip()}


def unknown_variables() -> dict[str, str | None]:
    """Variables of the environment and of ``.env`` that begin as settings do and are none, each
    with the setting that is most likely meant, if any is.
    """
    known = {f"NOVA_{name.upper()}" for name in Settings.model_fields}
    found = {name.upper() for name in (*os.environ, *dotenv_values(".env"))}
    in_kubernetes = "KUBERNETES_SERVICE_HOST" in found
    unknown = sorted(
        name
        for name in found - known
        if name.startswith("NOVA_")
        and not _NO_SETTINGS.fullmatch(name)
        and not (in_kubernetes and _OF_A_SERVICE.fullmatch(name))
    )
    return {
        name: next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.75)), None)
        for name in unknown
    }


def is_secret(name: str) -> bool:
    """Whether the value of this setting is never shown."""
    field = Settings.model_fields.get(name)
    return name in _SECRETS or (field is not None and "SecretStr" in str(field.annotation))


def _explain(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    allowed = str(item["msg"]).removeprefix("Value error, ")
    if is_secret(name):
        return f"NOVA_{name.upper()}: {allowed} (value not shown)"

    value = os.environ.get(f"NOVA_{name.upper()}", item.get("input"))
    # An address may have a password in it, and a deploy key may stand in the wrong place.
    if any(sign in str(value) for sign in "@|"):
        return f"NOVA_{name.upper()}: {allowed} (value not shown)"
    return f"NOVA_{name.upper()}={value!r}: {allowed}"
