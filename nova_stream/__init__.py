"""Statistics of agents and builds that are right at every instant."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_stream.client import NovaClient
    from nova_stream.errors import (
        ApiAccessError,
        ApiError,
        ApiNotFoundError,
        ApiUnavailableError,
        KafkaUnavailableError,
        NovaStreamError,
        PositionNotReachedError,
        PublishError,
        RejectedError,
        SettingsError,
        TopicError,
        UsageError,
    )
    from nova_stream.publish.position_token import PositionToken
    from nova_stream.publish.publisher import ChangePublisher
    from nova_stream.settings import Settings, load_settings

__all__ = [
    "ApiAccessError",
    "ApiError",
    "ApiNotFoundError",
    "ApiUnavailableError",
    "ChangePublisher",
    "KafkaUnavailableError",
    "NovaClient",
    "NovaStreamError",
    "PositionNotReachedError",
    "PositionToken",
    "PublishError",
    "RejectedError",
    "Settings",
    "SettingsError",
    "TopicError",
    "UsageError",
    "load_settings",
]

_PLACES = {
    "ChangePublisher": "nova_stream.publish.publisher",
    "NovaClient": "nova_stream.client",
    "PositionToken": "nova_stream.publish.position_token",
    "Settings": "nova_stream.settings",
    "load_settings": "nova_stream.settings",
}


def __getattr__(name: str) -> Any:
    """Imports what is public when it is first asked for: most programs need little of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES.get(name, "nova_stream.errors")), name)
