"""Every error that a user can meet. The message names what, where and what to do."""

from __future__ import annotations


class NovaStreamError(Exception):
    """Base of all errors that nova-stream raises on purpose; shown to users as one line."""

    #: Exit status of the command line: 1 = the answer is bad, 2 = wrong usage.
    exit_status = 1


class SettingsError(NovaStreamError):
    """A setting is wrong: names the variable, the value (never a secret) and what is allowed."""

    exit_status = 2


class UsageError(NovaStreamError):
    """A command was called with words that do not fit."""

    exit_status = 2


class MissingExtraError(NovaStreamError):
    """A part of the package is not installed: names the extra that has it."""

    exit_status = 2


class KafkaUnavailableError(NovaStreamError):
    """No broker answers at the configured addresses."""


class PublishError(NovaStreamError):
    """Kafka did not acknowledge a change; nothing may be assumed about it."""


class DatabaseUnavailableError(NovaStreamError):
    """Postgres does not answer at the configured address."""


class DatabasePrivilegeError(NovaStreamError):
    """The role that connects may not do what is asked for: names what is missing."""


class SchemaVersionError(NovaStreamError):
    """The database's schema is not the one that this version needs."""


class TopicError(NovaStreamError):
    """A topic's partitions or settings cannot work."""


class SourceRefusedError(NovaStreamError):
    """A source of documents refuses its address, key or plan: a person has to act."""

    exit_status = 2


class CursorExpiredError(NovaStreamError):
    """A source no longer has the changes or the snapshot that a cursor stands for."""


class LeadershipLostError(NovaStreamError):
    """Another instance does this work now; what this one still does must not be stored."""


class LocalStackError(NovaStreamError):
    """The local Kafka or Postgres could not be started."""


class RejectedError(NovaStreamError):
    """A record cannot be applied and belongs among the dead letters.

    ``reason`` is a short stable word (``bad_json``, ``missing_id``, ``bad_status`` ...) that
    people filter by; the message says what was found and what is allowed.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SchemaNeededError(NovaStreamError):
    """A record can only be read with a schema that has to be fetched first, then it is to be
    decoded again.

    ``reference`` is the schema's id, or its GUID as text.
    """

    def __init__(self, reference: int | str) -> None:
        super().__init__(f"the schema {reference} has to be fetched from the Schema Registry")
        self.reference = reference


class RegistryUnavailableError(NovaStreamError):
    """The Schema Registry does not answer, or not with a schema; it is worth asking again."""


class RegistryRefusedError(RegistryUnavailableError):
    """The Schema Registry answers and refuses what the settings give: a person has to act."""
