"""Settings from the environment (prefix ``NOVA_``) and from ``.env``: docs/settings.md."""

from __future__ import annotations

import difflib
import os
import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
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

#: Beside those whose type says so: an address that may have a password in it.
_SECRETS = {"schema_registry_url"}

#: Variables that something else of nova-stream reads: the local stack, the pytest fixtures, Faust.
_NO_SETTINGS = re.compile(r"NOVA_(CACHE_DIR|STACK_DIR|TEST_\w+|FAUST\w*)")
_SHORTEST_SECRET = 16
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
#: What Kubernetes sets in every container for a service called nova-….
_OF_A_SERVICE = re.compile(r"NOVA_\w*?(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


class Settings(BaseSettings):
    """Every setting of nova-stream. Build it with ``load_settings`` to get readable errors.

    A variable that is empty or blank counts as not set, in the environment and in ``.env``.
    """

    model_config = SettingsConfigDict(
        env_prefix="NOVA_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    kafka_brokers: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1:9092",)
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: str | None = None
    kafka_cert_file: str | None = None
    kafka_key_file: str | None = None

    database_url: SecretStr = SecretStr("postgresql://nova:nova@127.0.0.1:5432/nova")
    role_password_migrate: SecretStr | None = None
    role_password_worker: SecretStr | None = None
    role_password_api: SecretStr | None = None
    role_password_bi: SecretStr | None = None

    convex_url: str | None = None
    convex_key: SecretStr | None = None
    convex_poll_seconds: float = Field(1, ge=0.1, le=3600)
    schema_registry_url: str | None = None
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

    flush_records: int = Field(8000, ge=1, le=50_000)
    buffer_bytes: int = Field(16 * 1024 * 1024, ge=1024 * 1024)
    chunk_transport: bool = True
    unavailable_value: str = Field(DEFAULT, min_length=1)

    api_url: str = "http://127.0.0.1:8600"
    api_token: SecretStr | None = None
    api_tokens: SecretStr | None = None
    api_rate: float = Field(500, ge=0, le=1_000_000)
    api_burst: int = Field(1000, ge=1, le=1_000_000)
    api_streams: int = Field(1000, ge=0, le=100_000)
    api_tls_cert: str | None = None
    api_tls_key: str | None = None
    api_trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    api_cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    metrics_host: str = "127.0.0.1"
    metrics_token: SecretStr | None = None
    metrics_port: int | None = Field(None, ge=0, le=65535)
    stall_basis: Literal["activity", "started"] = "activity"
    archive_url: str = "file:.nova-stream/archive"
    archive_retention_days: int = Field(365, ge=1, le=36_500)
    # Jobs: a schedule is five cron fields in UTC, None the job's own; a spread is the seconds over
    # which jobs of one slot may start.
    schedule_cleanup_old_activity: str | None = None
    schedule_compute_agent_stats: str | None = None
    schedule_check_stalled_builds: str | None = None
    schedule_compact_old_executions: str | None = None
    schedule_mark_inactive_users: str | None = None
    schedule_refresh_build_stats: str | None = None
    schedule_health_check: str | None = None
    spread_cleanup_old_activity: float = Field(0, ge=0, le=86_400)
    spread_compute_agent_stats: float = Field(0, ge=0, le=86_400)
    spread_check_stalled_builds: float = Field(0, ge=0, le=86_400)
    spread_compact_old_executions: float = Field(0, ge=0, le=86_400)
    spread_mark_inactive_users: float = Field(0, ge=0, le=86_400)
    spread_refresh_build_stats: float = Field(0, ge=0, le=86_400)
    spread_health_check: float = Field(0, ge=0, le=86_400)
    job_history_days: int = Field(90, ge=1, le=36_500)
    job_lease_seconds: float = Field(15, ge=0.1, le=3600)
    job_late_seconds: float = Field(30, ge=1, le=86_400)

    alert_webhook_url: SecretStr | None = None
    alert_webhook_secret: SecretStr | None = None
    alert_webhook_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    alert_success_rate: float = Field(95, ge=0, le=100)
    alert_runs: int = Field(20, ge=1, le=200)
    alert_slow_factor: float = Field(2, gt=1, le=1000)
    alert_slow_floor_seconds: float = Field(1, ge=0, le=3600)

    # What the jobs take as old (what is exactly as old stays), and what healthCheck warns of.
    activity_days: int = Field(7, ge=1, le=36_500)
    execution_days: int = Field(30, ge=1, le=36_500)
    inactive_days: int = Field(90, ge=1, le=36_500)
    stall_minutes: int = Field(30, ge=1, le=525_600)
    dead_letter_days: int = Field(90, ge=1, le=36_500)
    trail_days: Annotated[int, Field(ge=366, le=36_500)] | None = None
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

    @field_validator("kafka_brokers", mode="before")
    @classmethod
    def _split_brokers(cls, value: Any) -> Any:
        value = _parts(value)
        for broker in value:
            host, colon, port = str(broker).rpartition(":")
            if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("host:port, several separated by commas, is allowed")
        if not value:
            raise ValueError("host:port, several separated by commas, is allowed")
        return value

    @field_validator("api_cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        value = _parts(value)
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(str(origin)):
                raise ValueError(
                    "origins as browsers write them, http://host:port or https://host:port without "
                    "a path, several separated by commas, are allowed, or * for all"
                )
        return value

    @field_validator("api_trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: Any) -> Any:
        value = _parts(value)
        for network in value:
            try:
                ip_network(str(network))
            except ValueError:
                raise ValueError(
                    "addresses and networks, such as 10.0.0.7 or 10.0.0.0/24, several separated "
                    "by commas, are allowed"
                ) from None
        return value

    @field_validator("metrics_token")
    @classmethod
    def _long_enough_token(cls, value: SecretStr | None) -> SecretStr | None:
        token = value.get_secret_value() if value is not None else None
        if token is not None and not (
            len(token) >= _SHORTEST_SECRET
            and token.isascii()
            and token.isprintable()
            and " " not in token
        ):
            raise ValueError(
                f"{_SHORTEST_SECRET} or more printable characters without spaces are allowed"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres_only(cls, value: SecretStr) -> SecretStr:
        parse_database_url(value.get_secret_value())
        return value

    @field_validator("unavailable_value")
    @classmethod
    def _placeholder(cls, value: str) -> str:
        try:
            placeholder_bytes(value)
        except ValueError:
            raise ValueError("a text, or hex: and an even number of hexadecimal digits") from None
        return value

    @field_validator("archive_url")
    @classmethod
    def _archive_place(cls, value: str) -> str:
        parts = urlsplit(value)
        if not ((parts.scheme == "file" and parts.path) or (parts.scheme == "s3" and parts.netloc)):
            raise ValueError("file:///folder, file:folder or s3://bucket/folder is allowed")
        return value

    @field_validator("schema_registry_url")
    @classmethod
    def _registry_address(cls, value: str | None) -> str | None:
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

    @field_validator("alert_webhook_url")
    @classmethod
    def _http_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("http://host/path or https://host/path is allowed")
        return value

    @field_validator("alert_webhook_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"{_SHORTEST_SECRET} characters or more are allowed")
        return value

    @field_validator(
        "role_password_migrate", "role_password_worker", "role_password_api", "role_password_bi"
    )
    @classmethod
    def _plain(cls, value: SecretStr | None) -> SecretStr | None:
        # Other characters have several forms, and a client may send another one than was stored.
        secret = value.get_secret_value() if value is not None else ""
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError("printable ASCII characters are allowed")
        return value

    @field_validator("alert_webhook_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(part.strip().lower() for part in value.split(",") if part.strip())
            if not value:
                raise ValueError("names of hosts, several separated by commas, are allowed")
        return value

    def check_webhook(self) -> None:
        """Raise SettingsError when the webhook's host is none of those that are allowed."""
        if self.alert_webhook_url is None or not self.alert_webhook_hosts:
            return
        host = urlsplit(self.alert_webhook_url.get_secret_value()).hostname
        if host not in self.alert_webhook_hosts:
            raise SettingsError(
                "NOVA_ALERT_WEBHOOK_URL: its host is none of NOVA_ALERT_WEBHOOK_HOSTS="
                f"{','.join(self.alert_webhook_hosts)} (value not shown)"
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

    @field_validator("convex_url")
    @classmethod
    def _deployment(cls, value: str | None) -> str | None:
        return deployment_url(value) if value else None

    @field_validator("convex_key")
    @classmethod
    def _printable(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value is not None else ""
        if not (key.isascii() and key.isprintable()):
            raise ValueError("a deploy key is one line of printable characters")
        return SecretStr(key) if key else None

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


def _parts(value: Any) -> Any:
    """What stands between commas, where the value is a text."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


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
    settings.check_webhook()
    settings.check_tls()
    return settings


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
