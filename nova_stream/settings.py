"""Settings from the environment (prefix ``NOVA_``) and from ``.env`` (contract section 7)."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nova_stream.errors import SettingsError
from nova_stream.events.change import Entity

_SECRETS = {"database_url", "api_token", "api_tokens", "kafka_password"}


class Settings(BaseSettings):
    """Every setting of nova-stream. Build it with ``load_settings`` to get readable errors."""

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
    buffer_bytes: int = Field(32 * 1024 * 1024, ge=1024 * 1024)
    chunk_transport: bool = True

    api_url: str = "http://127.0.0.1:8600"
    api_token: SecretStr | None = None
    api_tokens: SecretStr | None = None
    metrics_port: int | None = Field(None, ge=0, le=65535)
    stall_basis: Literal["activity", "started"] = "activity"
    archive_url: str = "file:.nova-stream/archive"
    archive_retention_days: int = Field(365, ge=1)
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("kafka_brokers", mode="before")
    @classmethod
    def _split_brokers(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        for broker in value:
            host, colon, port = str(broker).rpartition(":")
            if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("host:port, several separated by commas, is allowed")
        if not value:
            raise ValueError("host:port, several separated by commas, is allowed")
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres_only(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
            raise ValueError("postgresql://user:password@host:port/database is allowed")
        return value

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
    return settings


def _explain(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    allowed = str(item["msg"]).removeprefix("Value error, ")
    if name in _SECRETS:
        return f"NOVA_{name.upper()}: {allowed} (value not shown)"

    value = os.environ.get(f"NOVA_{name.upper()}", item.get("input"))
    return f"NOVA_{name.upper()}={value!r}: {allowed}"
