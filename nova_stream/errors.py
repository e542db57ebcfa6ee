"""Every error of the domain, as a tree. A message that a user can meet names what, where and what
to do; ``api/problems.py`` says which of them are which HTTP status.

    NovaStreamError                 shown to users as one line
    ├── SettingsError, UsageError, MissingExtraError    wrong usage: exit status 2
    ├── KafkaUnavailableError, PublishError, TopicError
    ├── DatabaseUnavailableError, DatabasePrivilegeError, SchemaVersionError
    ├── SourceRefusedError, SourceAwayError, CursorExpiredError    databases that are captured
    ├── LeadershipLostError, LeaseLostError    another instance does this work now
    ├── ArchiveError, CompactionError
    ├── LocalStackError
    ├── TryAgainError, PositionNotReachedError, BadCursorError    what an API tells its callers
    ├── ApiError                    what the client of the API raises
    │   └── ApiAccessError, ApiNotFoundError, ApiUnavailableError
    ├── RejectedError               a record that belongs among the dead letters
    │   └── OutOfRangeError         a time in none of the years 1 to 9999
    ├── SchemaNeededError
    └── RegistryUnavailableError
        └── RegistryRefusedError
    Signals between two modules, which no user meets:
    ├── RereadError
    │   ├── GapError
    │   └── GenerationError
    └── RevokedError, NoSuchSchemaError, NoLengthError, TooMuchError

Errors of one protocol (``api/convex/errors.py``, ``api/problems.py``) are not the domain's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
    """The database's schema is not the one that this version needs, or it cannot be told that we
    were made for it.
    """


class TopicError(NovaStreamError):
    """A topic's partitions or settings cannot work."""


class SourceRefusedError(NovaStreamError):
    """A source of documents refuses its address, key or plan: a person has to act."""

    exit_status = 2


class SourceAwayError(NovaStreamError):
    """The deployment gave no answer that could be used; it may later.

    ``retry_after`` is what it asks to wait, in seconds.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CursorExpiredError(NovaStreamError):
    """A source no longer has the changes or the snapshot that a cursor stands for."""


class LeadershipLostError(NovaStreamError):
    """Another instance does this work now; what this one still does must not be stored."""


class LeaseLostError(NovaStreamError):
    """A run is held by another worker now; what this one still does must not be committed."""


class CompactionError(NovaStreamError):
    """Another compaction is under way."""


class ArchiveError(NovaStreamError):
    """The archive does not answer, refuses, or does not have what it should."""


class LocalStackError(NovaStreamError):
    """The local Kafka or Postgres could not be started."""


class TryAgainError(NovaStreamError):
    """What is asked for cannot be done now, since a limit is reached or something is in use; it may
    be in ``retry_after`` seconds.

    ``kind`` is a short stable word; ``own_share`` tells that the caller has used up the part that
    one caller may have.
    """

    def __init__(
        self, kind: str, message: str, *, retry_after: int = 2, own_share: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.own_share = own_share


class PositionNotReachedError(NovaStreamError):
    """The stream did not come to a position token in time. ``position`` is the token of where it
    is, ``behind`` names the partitions that are not there yet.
    """

    def __init__(self, message: str, position: str, behind: list[dict[str, str | int]]) -> None:
        super().__init__(message)
        self.position = position
        self.behind = behind


class ApiError(NovaStreamError):
    """The API refused a request. The message names the request, the problem and what to do.

    ``status`` is that of HTTP (None where nothing answered), ``kind`` a stable word to decide by
    (``bad-cursor``, ``unknown-agent``…), ``members`` are all of the problem's, ``retry_after`` the
    seconds after which the API says that it is worth asking again.
    """

    def __init__(
        self,
        message: str,
        status: int | None,
        kind: str,
        members: Mapping[str, Any],
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.members = members
        self.retry_after = retry_after


class ApiAccessError(ApiError):
    """The API does not know the token, or the token may not do this: a person has to act."""


class ApiNotFoundError(ApiError):
    """There is nothing of this name or id."""


class ApiUnavailableError(ApiError):
    """Nothing answers, or the API, Postgres or Kafka is busy or away; it passes."""


class BadCursorError(NovaStreamError):
    """A cursor is none of the list's; the message says why."""

    def __init__(self, why: str = "not a nextCursor or prevCursor of this list") -> None:
        super().__init__(f"cursor: {why}")


class RejectedError(NovaStreamError):
    """A record cannot be applied and belongs among the dead letters.

    ``reason`` is a short stable word (``bad_json``, ``missing_id``, ``bad_status`` ...) that
    people filter by; the message says what was found and what is allowed.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class OutOfRangeError(RejectedError):
    """A time that can be read, and is in none of the years 1 to 9999: infinity, or BC."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_time", message)


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


class NoSuchSchemaError(Exception):
    """The Schema Registry says that it has no such schema."""


class NoLengthError(ValueError):
    """Not a length of time; the message says why, without the value."""


class RereadError(Exception):
    """A chunk cannot be applied as it was read; ``key`` names its topic and partition."""

    def __init__(self, key: tuple[str, int], message: str) -> None:
        super().__init__(message)
        self.key = key


class GapError(RereadError):
    """A chunk begins above its partition's position."""


class GenerationError(RereadError):
    """A chunk comes from an earlier life of a topic that has been recreated since."""


class RevokedError(Exception):
    """The partition was taken away before its chunk could be applied."""


class TooMuchError(Exception):
    """The documents of a list have more bytes than an answer may have."""
