"""The six documents: their fields, as typed structs that read what the main app itself writes.

The structs are the fast way. ``columns`` gives the typed columns of documents in the plain form
(text ids, times as ``2026-02-20T12:00:00.000Z``, numbers as numbers), a column after the other,
and raises ValueError where one has anything else; ``normalise`` then reads it with care or says
what is wrong.
The rules that both follow stand once, as annotations of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec

from nova_stream.events.change import (
    BUILD_STATUSES,
    TASK_STATUSES,
    BuildStatus,
    Entity,
    TaskStatus,
)
from nova_stream.events.placeholders import DEFAULT_UUID
from nova_stream.events.times import canonical_times

#: Longest id, and longest value of an indexed column, in UTF-8 bytes: an entry of a Postgres
#: index holds some 2,700.
MAX_INDEXED_BYTES = 1024
#: The largest number, durations among them: a sum of 1e8 of them is still a double.
MAX_NUMBER = Decimal("1e300")

#: Typed columns, each with the values of all documents.
Columns = tuple[Sequence[Any], ...]

_LEFT_OUT = [DEFAULT_UUID]
#: Characters of a plain duration.
_LONG = 24
# A text of so many characters has at most MAX_INDEXED_BYTES, whatever they are.
_Short = Annotated[str, msgspec.Meta(max_length=MAX_INDEXED_BYTES // 4)]


class Kind(Enum):
    """How a field's value is read."""

    ID = "id"
    REFERENCE = "reference"  # the id of something else: text, or a number from Debezium
    TEXT = "text"
    TIME = "time"
    NUMBER = "number"
    DURATION = "duration"
    FLAG = "flag"
    LIST = "list"
    JSON = "json"  # anything, in a JSON column
    ANY = "any"


class Rule(NamedTuple):
    """What a field's value must be. ``max_bytes`` counts UTF-8, None = no limit."""

    kind: Kind
    required: bool = False
    max_bytes: int | None = None
    allowed: tuple[str, ...] = ()


_Id = Annotated[
    Annotated[_Short, msgspec.Meta(min_length=1)],
    Rule(Kind.ID, required=True, max_bytes=MAX_INDEXED_BYTES),
]
_Reference = Annotated[str | None, Rule(Kind.REFERENCE)]
_IndexedReference = Annotated[_Short | None, Rule(Kind.REFERENCE, max_bytes=MAX_INDEXED_BYTES)]
_Text = Annotated[str | None, Rule(Kind.TEXT)]
_IndexedText = Annotated[_Short | None, Rule(Kind.TEXT, max_bytes=MAX_INDEXED_BYTES)]
_Time = Annotated[str | None, Rule(Kind.TIME)]
_Number = Annotated[
    Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
    | Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
    | None,
    Rule(Kind.NUMBER),
]
_Flag = Annotated[bool | None, Rule(Kind.FLAG)]
_List = Annotated[list[str] | None, Rule(Kind.LIST)]
_Json = Annotated[Any, Rule(Kind.JSON)]
_Anything = Annotated[Any, Rule(Kind.ANY)]


class AgentDocument(msgspec.Struct, rename="camel", gc=False):
    """An agent, as registered in the main app."""

    id: _Id
    name: Annotated[_Short, Rule(Kind.TEXT, required=True, max_bytes=MAX_INDEXED_BYTES)]
    role: _Text = None
    domain: _Text = None
    model: _Text = None
    system_prompt: _Anything = None
    gates: _Json = None
    created_at: _Time = None

    @staticmethod
    def columns(documents: Sequence[AgentDocument]) -> Columns:
        """name, created_at."""
        if any(isinstance(d.gates, str) for d in documents):
            raise ValueError("perhaps JSON in a text column")
        return [d.name for d in documents], canonical_times([d.created_at for d in documents])


class BuildDocument(msgspec.Struct, rename="camel", gc=False):
    """A build: one run of a PRD."""

    id: _Id
    status: Annotated[BuildStatus, Rule(Kind.TEXT, required=True, allowed=BUILD_STATUSES)]
    prd_id: _Reference = None
    prd_name: _Text = None
    started_at: _Time = None
    completed_at: _Time = None
    error: _Text = None

    @staticmethod
    def columns(documents: Sequence[BuildDocument]) -> Columns:
        """status, started_at, completed_at."""
        return (
            [d.status for d in documents],
            canonical_times([d.started_at for d in documents]),
            canonical_times([d.completed_at for d in documents]),
        )


class TaskDocument(msgspec.Struct, rename="camel", gc=False):
    """A task of a build, given to an agent by name."""

    id: _Id
    status: Annotated[TaskStatus, Rule(Kind.TEXT, required=True, allowed=TASK_STATUSES)]
    build_id: _IndexedReference = None
    task_id: _IndexedReference = None
    title: _Text = None
    agent: _IndexedText = None
    dependencies: _List = None
    phase: _Number = None
    attempts: _Number = None
    created_at: _Time = None
    output: _Text = None
    error: _Text = None

    @staticmethod
    def columns(documents: Sequence[TaskDocument]) -> Columns:
        """build_id, agent, status, created_at."""
        if _LEFT_OUT in [d.dependencies for d in documents]:
            raise ValueError("a value left out")
        return (
            [d.build_id for d in documents],
            [d.agent or "" for d in documents],
            [d.status for d in documents],
            canonical_times([d.created_at for d in documents]),
        )


class ExecutionDocument(msgspec.Struct, rename="camel", gc=False):
    """One call of a model for a task; its duration is in milliseconds."""

    id: _Id
    task_id: _IndexedReference = None
    agent: _IndexedText = None
    model: _Text = None
    prompt: _Text = None
    response: _Text = None
    gates_passed: _Flag = None
    # Raw, since a float would lose digits: durations are summed exactly.
    duration: Annotated[msgspec.Raw, Rule(Kind.DURATION)] = msgspec.Raw()
    timestamp: _Time = None
    error: _Text = None

    @staticmethod
    def columns(documents: Sequence[ExecutionDocument]) -> Columns:
        """task_id, agent, duration, timestamp."""
        return (
            [d.task_id for d in documents],
            [d.agent or "" for d in documents],
            _plain_durations([d.duration for d in documents]),
            canonical_times([d.timestamp for d in documents]),
        )


class ActivityDocument(msgspec.Struct, rename="camel", gc=False):
    """A line of the activity feed."""

    id: _Id
    user_id: _Reference = None
    agent_name: _Text = None
    event_type: _Text = None
    task_id: _IndexedReference = None
    details: _Text = None
    timestamp: _Time = None

    @staticmethod
    def columns(documents: Sequence[ActivityDocument]) -> Columns:
        """timestamp."""
        if any(d.agent_name is None or d.event_type is None for d in documents):
            raise ValueError("perhaps under another name")
        return (canonical_times([d.timestamp for d in documents]),)


class UserDocument(msgspec.Struct, rename="camel", gc=False):
    """The profile of a user."""

    id: _Id
    user_id: _Reference = None
    email: _Text = None
    tier: _Text = None
    global_wisdom_opt_in: _Flag = None
    created_at: _Time = None
    last_active_at: _Time = None

    @staticmethod
    def columns(documents: Sequence[UserDocument]) -> Columns:
        """created_at, last_active_at."""
        return (
            canonical_times([d.created_at for d in documents]),
            canonical_times([d.last_active_at for d in documents]),
        )


Document = (
    AgentDocument
    | BuildDocument
    | TaskDocument
    | ExecutionDocument
    | ActivityDocument
    | UserDocument
)

DOCUMENTS: dict[Entity, type[Document]] = {
    Entity.AGENTS: AgentDocument,
    Entity.BUILDS: BuildDocument,
    Entity.TASKS: TaskDocument,
    Entity.EXECUTIONS: ExecutionDocument,
    Entity.ACTIVITIES: ActivityDocument,
    Entity.USERS: UserDocument,
}


def _plain_durations(raws: Sequence[msgspec.Raw]) -> Sequence[str | None]:
    """The texts of numbers of milliseconds without sign and exponent, None of none; ValueError
    where one is anything else.
    """
    joined = str(b"\n".join(raws), "utf-8")
    texts = joined.split("\n")
    # A number has no line break, so that there are as many texts as numbers.
    if joined.replace("\n", "").isdigit() and all(texts) and max(map(len, texts)) <= _LONG:
        return texts
    return [_plain_duration(str(raw, "utf-8")) for raw in raws]


def _plain_duration(text: str) -> str | None:
    if len(text) <= _LONG and (text.isdigit() or text.replace(".", "", 1).isdigit()):
        return text
    if text in {"", "null"}:
        return None
    raise ValueError(text)


def camel_case(name: str) -> str:
    """``last_active_at`` as ``lastActiveAt``."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def snake_case(name: str) -> str:
    """``lastActiveAt`` as ``last_active_at``."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def _rules(document: type[Document]) -> dict[str, Rule]:
    hints = get_type_hints(document, include_extras=True)
    fields = msgspec.structs.fields(document)
    return {
        field.encode_name: next(
            item for item in hints[field.name].__metadata__ if isinstance(item, Rule)
        )
        for field in fields
    }


#: The rule of every known field, by entity and camelCase name.
RULES: dict[Entity, dict[str, Rule]] = {
    entity: _rules(document) for entity, document in DOCUMENTS.items()
}

#: The camelCase name of every snake_case column that differs from it, by entity.
COLUMN_NAMES: dict[Entity, dict[str, str]] = {
    entity: {
        field.name: field.encode_name
        for field in msgspec.structs.fields(document)
        if field.name != field.encode_name
    }
    for entity, document in DOCUMENTS.items()
}
